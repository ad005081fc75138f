//! Heads of HTTP/2, as they arrive.
//!
//! hyper keeps the frames of a head until the last one is there, for as long as the connection lives. It has neither a
//! time limit for that nor a hook, so the frames are counted where they pass by: on the connection's stream.

use crate::http::connection::head_budget::Head;

/// Length of the client's preface, before the first frame (RFC 9113, section 3.4).
const PREFACE: usize = 24;
/// Length of a frame's own header (section 4.1).
const FRAME_HEADER: usize = 9;
/// Types of the frames of a head, and the flag of the last one (sections 6.2 and 6.10).
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Scanner of the frames that a client sends.
pub(crate) struct H2Heads {
    /// Rest of the preface, or of the current frame, in bytes.
    rest: usize,
    /// Beginning of the next frame's header.
    header: [u8; FRAME_HEADER],
    filled: usize,
    state: State,
    /// Number of finished heads.
    finished: usize,
}

/// Place of the current frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In no head.
    Outside,
    /// In a head that goes on after this frame.
    GoesOn,
    /// In the last frame of a head.
    Ends,
}

impl Default for H2Heads {
    fn default() -> Self {
        Self {
            rest: PREFACE,
            header: [0; FRAME_HEADER],
            filled: 0,
            state: State::Outside,
            finished: 0,
        }
    }
}

impl H2Heads {
    /// Notes bytes that have arrived, and those of heads in `head`.
    pub(crate) fn arrived(&mut self, mut bytes: &[u8], head: &mut Head) {
        while !bytes.is_empty() {
            let length = if self.rest > 0 {
                self.pass(bytes.len())
            } else {
                self.fill(bytes)
            };
            bytes = &bytes[length..];
            if self.state != State::Outside {
                head.arrived(length);
            }
            if self.rest == 0 && self.filled == 0 && self.state == State::Ends {
                self.state = State::Outside;
                self.finished += 1;
                head.finish();
            }
        }
    }

    /// Returns the number of the head that is not complete, if there is one.
    pub(crate) fn unfinished(&self) -> Option<usize> {
        (self.state != State::Outside).then_some(self.finished)
    }

    /// Skips content of the current frame; returns how much of `available` it is.
    fn pass(&mut self, available: usize) -> usize {
        let length = self.rest.min(available);
        self.rest -= length;
        length
    }

    /// Reads on in a frame's header; returns its share of `bytes`.
    fn fill(&mut self, bytes: &[u8]) -> usize {
        let length = (FRAME_HEADER - self.filled).min(bytes.len());
        self.header[self.filled..self.filled + length].copy_from_slice(&bytes[..length]);
        self.filled += length;
        if self.filled == FRAME_HEADER {
            self.filled = 0;
            let [a, b, c, kind, flags, ..] = self.header;
            self.rest = u32::from_be_bytes([0, a, b, c]) as usize;
            self.state = match kind {
                HEADERS | CONTINUATION if flags & END_HEADERS != 0 => State::Ends,
                HEADERS | CONTINUATION => State::GoesOn,
                _ => State::Outside,
            };
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::connection::head_budget::{HeadBudget, Size};

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags, 0, 0, 0, 1];
        frame.resize(FRAME_HEADER + length, kind);
        frame
    }

    #[test]
    fn heads_count_until_they_end_however_they_are_cut() {
        let frames = [
            vec![b'P'; PREFACE],
            frame(4, 0, 6),
            frame(HEADERS, END_HEADERS, 100),
            frame(0, 0, 30_000),
            frame(HEADERS, 0, 5000),
            frame(CONTINUATION, 0, 5000),
        ]
        .concat();
        for piece in [1, 7, 9, 10, 1000, frames.len()] {
            let (mut heads, mut head) = (
                H2Heads::default(),
                Head::new(HeadBudget::default().of(None)),
            );
            for bytes in frames.chunks(piece) {
                heads.arrived(bytes, &mut head);
            }
            assert_eq!(heads.unfinished(), Some(1), "{piece}");
            assert_eq!(head.wait_for(0), Size::Large, "{piece}");
            heads.arrived(&frame(CONTINUATION, END_HEADERS, 0), &mut head);
            assert_eq!(heads.unfinished(), None, "{piece}");
            assert_eq!(head.wait_for(0), Size::Ordinary, "{piece}");
        }
    }
}
