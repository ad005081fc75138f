//! Stored content, from which bodies take a window at a time.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::http::connection::send_budget::{self, SendBudget, Window, Windows};
use crate::http::connection::sendfile::ConnectionState;
use crate::oci::{Digest, RepositoryName};
use crate::registry::{BlobContent, BlobFile, GrowingBlob, Registry};
use crate::sys::Mapping;

/// Bytes of a mapped file that are handed to the connection at a time.
const MAPPED_WINDOW: u64 = 2 << 20;
/// Minimum size of a file for a mapping, in bytes.
const MAPPED_FROM: u64 = 64 << 10;

/// Stored content, and the budget for what is read from it.
pub(crate) struct Source {
    content: Stored,
    /// Growth of a file that is not complete.
    growth: Option<GrowingBlob>,
    budget: SendBudget,
}

enum Stored {
    Memory(Bytes),
    /// In the database, and read for each window.
    Manifest(Arc<ManifestRow>),
    File(Arc<BlobFile>),
    Mapped(Mapped),
}

struct ManifestRow {
    registry: Registry,
    repository: RepositoryName,
    digest: Digest,
}

struct Mapped {
    file: Arc<BlobFile>,
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

/// Bytes of a window: ready, or read by a task.
pub(crate) type Fetched = Result<Bytes, JoinHandle<io::Result<Bytes>>>;

impl Source {
    /// Creates a source over a blob of `size` bytes, if that is known: without copies if the connection sends from files,
    /// else with copies inside its budget.
    pub(crate) fn blob(
        content: BlobContent,
        size: Option<u64>,
        state: Option<&ConnectionState>,
        budget: SendBudget,
    ) -> Self {
        let (file, growth) = match content {
            BlobContent::File(file) => (Arc::new(file), None),
            BlobContent::Growing(blob) => (Arc::clone(blob.file()), Some(blob)),
        };
        let map = |size| match &growth {
            None => file.map(size),
            // no more of it is handed out than is there
            Some(_) => file.map_ahead(size),
        };
        let mapped = state
            .filter(|state| state.sends_files())
            .zip(size.filter(|size| *size >= MAPPED_FROM))
            .and_then(|(state, size)| Some(Mapped::new(&file, map(size)?, state)));
        Self {
            content: mapped.map_or_else(|| Stored::File(file), Stored::Mapped),
            growth,
            budget,
        }
    }

    /// Creates a source over a manifest that has just been read: its bytes, if the budget has room for all of them.
    pub(crate) fn manifest(
        registry: &Registry,
        repository: &RepositoryName,
        digest: &Digest,
        bytes: &Bytes,
        budget: SendBudget,
    ) -> Self {
        let row = || ManifestRow {
            registry: registry.clone(),
            repository: repository.clone(),
            digest: digest.clone(),
        };
        let held = budget.hold(bytes).map(Stored::Memory);
        let content = held.unwrap_or_else(|| Stored::Manifest(Arc::new(row())));
        Self {
            content,
            growth: None,
            budget,
        }
    }

    /// Returns all of the content if it is in memory.
    pub(crate) fn in_memory(&self) -> Option<&Bytes> {
        match &self.content {
            Stored::Memory(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Opens the windows of one body.
    pub(crate) fn windows(&self) -> Windows {
        self.budget.body()
    }

    /// Charges bytes between parts of the content to the budget.
    pub(crate) fn hold(&self, bytes: Bytes, windows: &Windows) -> Bytes {
        match &self.content {
            Stored::Mapped(_) => bytes,
            _ => windows.hold(bytes).freeze(),
        }
    }

    /// Returns the size of the next window once the budget has one.
    pub(crate) fn poll_window(&self, windows: &Windows, cx: &mut Context<'_>) -> Poll<u64> {
        match &self.content {
            Stored::Mapped(_) => Poll::Ready(MAPPED_WINDOW),
            _ => windows.poll_size(cx),
        }
    }

    /// Returns the end of what is there of a range, once that is anything, or the end of the whole.
    pub(crate) fn poll_end(
        &self,
        range: &Range<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<u64>> {
        match &self.growth {
            None => Poll::Ready(Ok(u64::MAX)),
            Some(growth) => growth.poll_end(range, cx),
        }
    }

    /// Returns a range of the content that is there, at most a window.
    pub(crate) fn fetch(&self, range: Range<u64>, windows: &Windows) -> Fetched {
        let open = || windows.open(range.end - range.start);
        match &self.content {
            Stored::Memory(bytes) => Ok(windows.hold(slice(bytes, range)).freeze()),
            Stored::Mapped(mapped) => mapped.fetch(range),
            Stored::File(file) => read_resident(file, range.start, open()).map_err(|window| {
                let file = Arc::clone(file);
                tokio::task::spawn_blocking(move || read(&file, range.start, window))
            }),
            Stored::Manifest(row) => {
                let (row, window) = (Arc::clone(row), open());
                Err(tokio::spawn(
                    async move { row.read(range.start, window).await },
                ))
            }
        }
    }
}

impl ManifestRow {
    async fn read(&self, offset: u64, mut window: Window) -> io::Result<Bytes> {
        let manifests = self.registry.manifests();
        // a manifest's length is a usize, and the window lies inside it
        let (offset, buffer) = (offset as usize, &mut window.bytes);
        manifests
            .read_part(&self.repository, &self.digest, offset, buffer)
            .await
            .map_err(io::Error::other)?;
        Ok(window.freeze())
    }
}

/// Returns part of content in memory, whose size an index can hold.
pub(crate) fn slice(bytes: &Bytes, range: Range<u64>) -> Bytes {
    bytes.slice(range.start as usize..range.end as usize)
}

impl Mapped {
    fn new(file: &Arc<BlobFile>, mapping: Mapping, state: &ConnectionState) -> Self {
        let mapping = Arc::new(mapping);
        let bytes = Bytes::from_owner(SharedMapping(Arc::clone(&mapping)));
        state.register(bytes.clone(), Arc::clone(file));
        Self {
            file: Arc::clone(file),
            mapping,
            bytes,
        }
    }

    fn fetch(&self, range: Range<u64>) -> Fetched {
        // a mapping's length is a usize, and the range lies inside it
        let inside = range.start as usize..range.end as usize;
        let slice = self.bytes.slice(inside.clone());
        if self.file.is_cached(&self.mapping, inside) {
            return Ok(slice);
        }
        let file = Arc::clone(&self.file);
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
