//! Lines for somebody who may be slow to read them, or may have stopped: a thread of their own writes them, so nobody else waits.
//! So much may wait to be written, and what is more is dropped, and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::telemetry::Counter;

/// How many bytes of lines may wait to be written.
const WAITING_LIMIT: usize = 4 << 20;
/// How many are written at once, about.
const WRITTEN_AT_ONCE: usize = 64 << 10;

/// Where lines go; clones share it.
#[derive(Clone)]
pub(crate) struct BackgroundWriter(Arc<Shared>);

struct Shared {
    lines: Sender<Job>,
    /// Bytes that wait.
    waiting: AtomicUsize,
    dropped: Counter,
}

enum Job {
    Line(Vec<u8>),
    /// To be told once everything before it is written.
    Flush(Sender<()>),
}

impl BackgroundWriter {
    /// Starts the thread that writes to `out`; it is called as the log calls what is written. For `gathering`, lines are gathered
    /// before they are written: a thread that is woken for each costs as much as a pull.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub(crate) fn start(
        what: &'static str,
        out: impl Write + Send + 'static,
        gathering: Duration,
    ) -> io::Result<Self> {
        let (lines, jobs) = channel();
        let shared = Arc::new(Shared {
            lines,
            waiting: AtomicUsize::default(),
            dropped: Counter::default(),
        });
        let writer = Arc::downgrade(&shared);
        let write = move || {
            let mut out = out;
            let wrote = |bytes: usize, dropped: u64| {
                if let Some(shared) = writer.upgrade() {
                    shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
                    shared.dropped.add(dropped);
                }
            };
            work(what, &jobs, &mut out, gathering, wrote);
        };
        std::thread::Builder::new()
            .name(what.to_owned())
            .spawn(write)?;
        Ok(Self(shared))
    }

    /// Lines that nobody took in time, or that could not be written.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.get()
    }

    /// Whether nothing waits to be written, or is being written.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed) == 0
    }

    /// Waits until everything is written that was handed over by now, for `patience` at the most. Blocks.
    pub(crate) fn flush(&self, patience: Duration) {
        let (done, wait) = channel();
        if self.0.lines.send(Job::Flush(done)).is_ok() {
            // whoever is not reading by now does not want it
            let _ = wait.recv_timeout(patience);
        }
    }

    /// Hands over a line with its end.
    pub(crate) fn write(&self, line: impl Into<Vec<u8>>) {
        let (shared, line) = (&self.0, line.into());
        let length = line.len();
        if shared.waiting.fetch_add(length, Ordering::Relaxed) > WAITING_LIMIT
            || shared.lines.send(Job::Line(line)).is_err()
        {
            shared.waiting.fetch_sub(length, Ordering::Relaxed);
            shared.dropped.add(1);
        }
    }
}

/// Writes until there can be no more lines; tells of each piece how many bytes it had, and how many lines of it were lost.
fn work(
    what: &str,
    jobs: &Receiver<Job>,
    out: &mut impl Write,
    gathering: Duration,
    wrote: impl Fn(usize, u64),
) {
    let (mut piece, mut has_failed) = (Vec::new(), false);
    while let Ok(first) = jobs.recv() {
        let (mut lines, mut flushes) = (0, Vec::new());
        for job in std::iter::once(first).chain(jobs.try_iter()) {
            match job {
                Job::Line(line) => {
                    piece.extend_from_slice(&line);
                    lines += 1;
                }
                Job::Flush(done) => flushes.push(done),
            }
            if piece.len() >= WRITTEN_AT_ONCE {
                break;
            }
        }
        let written = out.write_all(&piece).and_then(|()| out.flush());
        wrote(piece.len(), if written.is_ok() { 0 } else { lines });
        if let Err(error) = written
            && !std::mem::replace(&mut has_failed, true)
        {
            tracing::warn!(%error, "the {what} cannot be written; its lines are dropped");
        }
        if piece.len() < WRITTEN_AT_ONCE && flushes.is_empty() && !gathering.is_zero() {
            std::thread::sleep(gathering);
        }
        piece.clear();
        // whoever asked may have stopped waiting
        flushes.into_iter().for_each(|done| _ = done.send(()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::SyncSender;

    use super::*;

    /// Takes nothing until it is told to.
    struct Stuck(Receiver<()>, SyncSender<Vec<u8>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(bytes.to_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_stuck_holds_nobody_up_and_costs_bounded_memory() {
        let (go_on, stuck) = channel();
        let (sink, written) = std::sync::mpsc::sync_channel(1 << 16);
        let writer = BackgroundWriter::start("test", Stuck(stuck, sink), Duration::ZERO).unwrap();
        let line = "x".repeat(1023) + "\n";
        for _ in 0..10_000 {
            writer.write(line.clone());
        }
        let dropped = writer.dropped();
        assert!((5000..9000).contains(&dropped), "{dropped}");
        assert!(writer.0.waiting.load(Ordering::Relaxed) <= WAITING_LIMIT + line.len());
        writer.flush(Duration::from_millis(1));
        drop(go_on);
        writer.flush(Duration::from_secs(20));
        assert_eq!(
            written
                .try_iter()
                .map(|bytes| bytes.len() as u64)
                .sum::<u64>(),
            (10_000 - dropped) * 1024
        );
        writer.write(line);
        writer.flush(Duration::from_secs(20));
        assert_eq!((writer.dropped(), written.try_iter().count()), (dropped, 1));
    }
}
