//! Bodies made of pieces of a file and of memory, without holding more than a window of the file at a time.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};

use super::allowance::{self, Allowance, Window, Windows};
use super::sendfile::SendSlot;
use crate::sys::Mapping;

/// How much of a file is handed to the connection at a time where it need not be copied.
const MAPPED_WINDOW: u64 = 2 << 20;
/// Files smaller than this are not worth a mapping.
const MAPPED_FROM: u64 = 64 << 10;

/// A piece of a body.
pub(super) enum Part {
    Memory(Bytes),
    /// These bytes of the file.
    File(Range<u64>),
}

/// A file that parts are taken from.
pub(super) struct FileSource {
    file: Arc<File>,
    way: Way,
}

/// How a file's bytes get to the connection.
enum Way {
    Mapped(Mapped),
    Copied(Windows),
}

struct Mapped {
    mapping: Arc<Mapping>,
    bytes: Bytes,
}

/// Lets [`Bytes`] own a share of a mapping.
struct Share(Arc<Mapping>);

impl AsRef<[u8]> for Share {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl FileSource {
    /// A source over all `size` bytes of `file`, without copies where the connection has a slot for that, and else with
    /// copies inside the connection's allowance.
    pub(super) fn new(
        file: File,
        size: u64,
        slot: Option<&SendSlot>,
        allowance: &Allowance,
    ) -> Self {
        let file = Arc::new(file);
        let mapped = slot
            .filter(|slot| slot.sends_files() && size >= MAPPED_FROM)
            .and_then(|slot| Mapped::new(&file, size, slot));
        let way = mapped.map_or_else(|| Way::Copied(allowance.body()), Way::Mapped);
        Self { file, way }
    }

    /// What stands between parts of the file, counted as they are.
    fn hold(&self, bytes: Bytes) -> Bytes {
        match &self.way {
            Way::Mapped(_) => bytes,
            Way::Copied(windows) => windows.hold(bytes.into()).freeze(),
        }
    }

    fn poll_window(&self, cx: &mut Context<'_>) -> Poll<u64> {
        match &self.way {
            Way::Mapped(_) => Poll::Ready(MAPPED_WINDOW),
            Way::Copied(windows) => windows.poll_size(cx),
        }
    }
}

impl Mapped {
    /// None where the file cannot be mapped, or is shorter than recorded: it is then read, and fails, the usual way.
    fn new(file: &Arc<File>, size: u64, slot: &SendSlot) -> Option<Self> {
        let length = usize::try_from(size).ok()?;
        let is_whole = file.metadata().is_ok_and(|metadata| metadata.len() == size);
        let mapping = Arc::new(Mapping::new(file, length).ok().filter(|_| is_whole)?);
        let bytes = Bytes::from_owner(Share(Arc::clone(&mapping)));
        slot.register(bytes.clone(), Arc::clone(file));
        Some(Self { mapping, bytes })
    }
}

/// The parts of a content, one after the other.
pub(super) struct ContentBody {
    parts: Box<dyn Iterator<Item = Part> + Send>,
    /// A part that there has been no room for, or what is left of one.
    begun: Option<Part>,
    source: Option<FileSource>,
    remaining: u64,
    loading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl ContentBody {
    /// A body of `parts`, which have so many bytes together.
    pub(super) fn new(
        parts: impl Iterator<Item = Part> + Send + 'static,
        length: u64,
        source: Option<FileSource>,
    ) -> Self {
        Self {
            parts: Box::new(parts),
            begun: None,
            source,
            remaining: length,
            loading: None,
        }
    }

    /// Takes the next window off the parts, once there is room for it: ready bytes, or a task that fetches them.
    fn poll_window(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, JoinHandle<io::Result<Bytes>>>>> {
        loop {
            let Some(part) = self.begun.take().or_else(|| self.parts.next()) else {
                return Poll::Ready(None);
            };
            if part.is_empty() {
                continue;
            }
            let Some(source) = &self.source else {
                return Poll::Ready(part.in_memory().map(Ok));
            };
            let Poll::Ready(window) = source.poll_window(cx) else {
                self.begun = Some(part);
                return Poll::Pending;
            };
            return Poll::Ready(Some(match part {
                Part::Memory(bytes) => Ok(source.hold(bytes)),
                Part::File(range) => {
                    let end = range.end.min(range.start + window);
                    self.begun = Some(Part::File(end..range.end));
                    source.fetch(range.start..end)
                }
            }));
        }
    }
}

impl FileSource {
    fn fetch(&self, range: Range<u64>) -> Result<Bytes, JoinHandle<io::Result<Bytes>>> {
        let file = Arc::clone(&self.file);
        let mapped = match &self.way {
            Way::Mapped(mapped) => mapped,
            Way::Copied(windows) => {
                let window = windows.open(range.end - range.start);
                let read =
                    |window| tokio::task::spawn_blocking(move || read(&file, range.start, window));
                return read_resident(&self.file, range.start, window).map_err(read);
            }
        };
        // a mapping's length is a usize, and the range lies inside it
        let inside = range.start as usize..range.end as usize;
        let slice = mapped.bytes.slice(inside.clone());
        if mapped.mapping.is_resident(inside) {
            return Ok(slice);
        }
        // sendfile would wait for the disk, and an async worker with it: let a blocking thread do the waiting
        Err(tokio::task::spawn_blocking(move || {
            warm(&file, range).map(|()| slice)
        }))
    }
}

/// Fills a window from `offset` on if all of that is in memory, so that nobody waits for the disk; else gives it back.
fn read_resident(file: &File, offset: u64, mut window: Window) -> Result<Bytes, Window> {
    let buffer = &mut [IoSliceMut::new(&mut window.bytes)];
    let read = rustix::io::preadv2(file, buffer, offset, rustix::io::ReadWriteFlags::NOWAIT);
    // fewer bytes: the rest is on the disk
    if read.is_ok_and(|length| length == window.bytes.len()) {
        Ok(window.freeze())
    } else {
        Err(window)
    }
}

fn read(file: &File, offset: u64, mut window: Window) -> io::Result<Bytes> {
    file.read_exact_at(&mut window.bytes, offset)?;
    Ok(window.freeze())
}

/// Brings a range of a file into the page cache, and asks for the next one.
fn warm(file: &File, range: Range<u64>) -> io::Result<()> {
    let _ = rustix::fs::fadvise(
        file,
        range.end,
        std::num::NonZeroU64::new(MAPPED_WINDOW),
        rustix::fs::Advice::WillNeed,
    );
    let mut scratch = vec![0; allowance::LARGEST as usize];
    let mut offset = range.start;
    while offset < range.end {
        let length = (range.end - offset).min(allowance::LARGEST) as usize;
        file.read_exact_at(&mut scratch[..length], offset)?;
        offset += length as u64;
    }
    Ok(())
}

impl Part {
    fn is_empty(&self) -> bool {
        match self {
            Self::Memory(bytes) => bytes.is_empty(),
            Self::File(range) => range.is_empty(),
        }
    }

    fn in_memory(self) -> Option<Bytes> {
        match self {
            Self::Memory(bytes) => Some(bytes),
            Self::File(_) => None,
        }
    }
}

impl Body for ContentBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.loading.is_none() {
            match ready!(this.poll_window(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(this.frame(bytes)))),
                Some(Err(task)) => this.loading = Some(task),
            }
        }
        let Some(task) = this.loading.as_mut() else {
            return Poll::Ready(None);
        };
        let loaded =
            ready!(Pin::new(task).poll(cx)).unwrap_or_else(|error| Err(io::Error::other(error)));
        this.loading = None;
        Poll::Ready(Some(loaded.map(|bytes| this.frame(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }
}

impl ContentBody {
    fn frame(&mut self, bytes: Bytes) -> Frame<Bytes> {
        self.remaining -= bytes.len() as u64;
        Frame::data(bytes)
    }
}

/// A request's body that tells its connection when it has been read to its end, and fails once its client has been
/// silent for too long.
pub(super) struct TrackedBody {
    inner: axum::body::Body,
    slot: SendSlot,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl TrackedBody {
    /// Tracks `body` on its connection, unless there is none; its client may stay silent for `patience`.
    pub(super) fn wrap(
        body: axum::body::Body,
        slot: &SendSlot,
        patience: Duration,
    ) -> axum::body::Body {
        let is_unread = !body.is_end_stream();
        slot.set_unread(is_unread);
        if !is_unread {
            return body;
        }
        axum::body::Body::new(Self {
            inner: body,
            slot: slot.clone(),
            patience,
            stalled: None,
        })
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.stalled = None;
            if frame.is_none() || self.inner.is_end_stream() {
                self.slot.set_unread(false);
            }
            return Poll::Ready(frame);
        }
        let patience = self.patience;
        ready!(
            self.stalled
                .get_or_insert_with(|| Box::pin(sleep(patience)))
                .as_mut()
                .poll(cx)
        );
        let cause = format!(
            "the client sent nothing for {}",
            humantime::format_duration(patience)
        );
        Poll::Ready(Some(Err(axum::Error::new(io::Error::new(
            io::ErrorKind::TimedOut,
            cause,
        )))))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

/// An answer's body that lets go of `T`, its handler's turn, once it has been handed over, and of `K` once its client has taken
/// it or it is given up.
pub(super) struct AnswerBody<T, K = ()> {
    inner: axum::body::Body,
    turn: Option<T>,
    _kept: K,
}

impl<T> AnswerBody<T> {
    pub(super) fn new(inner: axum::body::Body, turn: T) -> Self {
        Self {
            inner,
            turn: Some(turn),
            _kept: (),
        }
    }

    pub(super) fn keeping<K>(self, kept: K) -> AnswerBody<T, K> {
        AnswerBody {
            inner: self.inner,
            turn: self.turn,
            _kept: kept,
        }
    }
}

impl<T: Unpin, K: Unpin> Body for AnswerBody<T, K> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_none() || self.inner.is_end_stream() {
            // not left to the drop: hyper may look for the next request before it drops this
            self.turn = None;
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}
