//! Bodies made of pieces of a file and of memory, without holding more than a window of the file at a time.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::http::connection::send_budget::{self, SendBudget, Window, Windows};
use crate::http::connection::sendfile::ConnectionState;
use crate::registry::BlobFile;
use crate::sys::Mapping;

/// How much of a file is handed to the connection at a time where it need not be copied.
const MAPPED_WINDOW: u64 = 2 << 20;
/// Files smaller than this are not worth a mapping.
const MAPPED_FROM: u64 = 64 << 10;

/// A piece of a body.
pub(crate) enum Part {
    Memory(Bytes),
    /// These bytes of the file.
    File(Range<u64>),
}

/// A file that parts are taken from.
pub(crate) struct FileSource {
    file: Arc<BlobFile>,
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
    pub(crate) fn new(
        file: BlobFile,
        size: u64,
        state: Option<&ConnectionState>,
        budget: &SendBudget,
    ) -> Self {
        let file = Arc::new(file);
        let mapped = state
            .filter(|state| state.sends_files() && size >= MAPPED_FROM)
            .and_then(|state| Mapped::new(&file, size, state));
        let way = mapped.map_or_else(|| Way::Copied(budget.body()), Way::Mapped);
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
    fn new(file: &Arc<BlobFile>, size: u64, state: &ConnectionState) -> Option<Self> {
        let mapping = Arc::new(file.map(size)?);
        let bytes = Bytes::from_owner(Share(Arc::clone(&mapping)));
        state.register(bytes.clone(), Arc::clone(file));
        Some(Self { mapping, bytes })
    }
}

/// The parts of a content, one after the other.
pub(crate) struct ContentBody {
    parts: Box<dyn Iterator<Item = Part> + Send>,
    /// A part that there has been no room for, or what is left of one.
    begun: Option<Part>,
    source: Option<FileSource>,
    remaining: u64,
    loading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl ContentBody {
    /// A body of `parts`, which have so many bytes together.
    pub(crate) fn new(
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
fn read_resident(file: &BlobFile, offset: u64, mut window: Window) -> Result<Bytes, Window> {
    if file.read_cached_at(&mut window.bytes, offset) {
        Ok(window.freeze())
    } else {
        Err(window)
    }
}

fn read(file: &BlobFile, offset: u64, mut window: Window) -> io::Result<Bytes> {
    file.read_exact_at(&mut window.bytes, offset)?;
    Ok(window.freeze())
}

/// Brings a range of a file into the page cache, and asks for the next one.
fn warm(file: &BlobFile, range: Range<u64>) -> io::Result<()> {
    file.prefetch(range.end, MAPPED_WINDOW);
    let mut scratch = vec![0; send_budget::LARGEST as usize];
    let mut offset = range.start;
    while offset < range.end {
        let length = (range.end - offset).min(send_budget::LARGEST) as usize;
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
