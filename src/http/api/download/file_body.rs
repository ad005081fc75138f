//! Bodies made of parts of a file and of memory, which hold no more than a window of the file at a time.

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

/// Bytes of a mapped file that are handed to the connection at a time.
const MAPPED_WINDOW: u64 = 2 << 20;
/// Minimum size of a file for a mapping, in bytes.
const MAPPED_FROM: u64 = 64 << 10;

/// Part of a body.
pub(crate) enum Part {
    Memory(Bytes),
    /// Range of the file.
    File(Range<u64>),
}

/// File that parts are read from.
pub(crate) struct FileSource {
    file: Arc<BlobFile>,
    transfer: Transfer,
}

/// Transfer of a file's bytes to the connection.
enum Transfer {
    Mapped(Mapped),
    Copied(Windows),
}

struct Mapped {
    mapping: Arc<Mapping>,
    bytes: Bytes,
}

/// Shared mapping that [`Bytes`] can own.
struct SharedMapping(Arc<Mapping>);

impl AsRef<[u8]> for SharedMapping {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl FileSource {
    /// Creates a source over all `size` bytes of `file`: without copies if the connection sends from files, else with
    /// copies inside its budget.
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
        let transfer = mapped.map_or_else(|| Transfer::Copied(budget.body()), Transfer::Mapped);
        Self { file, transfer }
    }

    /// Charges bytes between parts of the file to the budget.
    fn hold(&self, bytes: Bytes) -> Bytes {
        match &self.transfer {
            Transfer::Mapped(_) => bytes,
            Transfer::Copied(windows) => windows.hold(bytes.into()).freeze(),
        }
    }

    fn poll_window(&self, cx: &mut Context<'_>) -> Poll<u64> {
        match &self.transfer {
            Transfer::Mapped(_) => Poll::Ready(MAPPED_WINDOW),
            Transfer::Copied(windows) => windows.poll_size(cx),
        }
    }
}

impl Mapped {
    /// Maps a file. Returns `None` if it cannot be mapped or is shorter than recorded: reading it then reports the
    /// error.
    fn new(file: &Arc<BlobFile>, size: u64, state: &ConnectionState) -> Option<Self> {
        let mapping = Arc::new(file.map(size)?);
        let bytes = Bytes::from_owner(SharedMapping(Arc::clone(&mapping)));
        state.register(bytes.clone(), Arc::clone(file));
        Some(Self { mapping, bytes })
    }
}

/// Parts of content, one after the other.
pub(crate) struct ContentBody {
    parts: Box<dyn Iterator<Item = Part> + Send>,
    /// Part, or its remainder, that waits for the budget.
    begun: Option<Part>,
    source: Option<FileSource>,
    remaining: u64,
    loading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl ContentBody {
    /// Creates a body of `parts`, which have `length` bytes in total.
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

    /// Takes the next window from the parts once the budget allows: ready bytes, or a task that reads them.
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
        let mapped = match &self.transfer {
            Transfer::Mapped(mapped) => mapped,
            Transfer::Copied(windows) => {
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
        // sendfile would block an async worker while it waits for the disk
        Err(tokio::task::spawn_blocking(move || {
            warm(&file, range).map(|()| slice)
        }))
    }
}

/// Reads a window from the page cache without waiting for the disk; returns the window if that is impossible.
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

/// Reads a range of a file into the page cache, and prefetches the next one.
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
