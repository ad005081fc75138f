//! Content that is read while it is written: the file of an upload, as far as it has come.
//!
//! Its writer tells how far that is, and in the end whether the bytes have the right digest. Until then the last byte of
//! what is read is held back, so that no reader takes for complete what nobody has compared with its digest.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::file::BlobFile;

/// Growth of a file, as its writer tells it. Dropped before its end, it fails all readers.
#[derive(Debug)]
pub(super) struct Growth(Arc<Shared>);

/// A blob whose bytes are still arriving, for one reader.
pub struct GrowingBlob {
    file: Arc<BlobFile>,
    /// In bytes, if it is known.
    size: Option<u64>,
    shared: Arc<Shared>,
    /// Number of this reader.
    reader: u64,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Bytes in the file.
    written: u64,
    end: End,
    readers: u64,
    /// Readers that wait, by their numbers.
    waiting: HashMap<u64, Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Ahead,
    /// All bytes are there, and have the right digest.
    Verified,
    Failed,
}

impl Growth {
    /// Begins with an empty file, open for readers as well.
    pub fn begin(file: BlobFile, size: Option<u64>) -> (Self, GrowingBlob) {
        let shared = Arc::<Shared>::default();
        let reader = GrowingBlob {
            file: Arc::new(file),
            size,
            shared: Arc::clone(&shared),
            reader: 0,
        };
        (Self(shared), reader)
    }

    /// Tells that the file has `written` bytes.
    pub fn reached(&self, written: u64) {
        self.0.change(|state| state.written = written);
    }

    /// Tells that all bytes are there, and have the right digest.
    pub fn verified(&self) {
        self.0.change(|state| state.end = End::Verified);
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        self.0.change(|state| {
            if state.end == End::Ahead {
                state.end = End::Failed;
            }
        });
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let waiting = {
            let mut state = self.0.lock();
            change(&mut state);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }
}

impl GrowingBlob {
    /// The file, of which only the bytes before [`Self::poll_end`] may be read.
    pub fn file(&self) -> &Arc<BlobFile> {
        &self.file
    }

    /// Size of the whole, in bytes, if it is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Completes once the whole is here and has its digest; returns it with its size.
    ///
    /// # Errors
    /// As [`Self::poll_end`].
    pub async fn whole(mut self) -> io::Result<Self> {
        // nothing is there to read before the end
        let beyond = u64::MAX - 1..u64::MAX;
        let end = std::future::poll_fn(|context| self.poll_end(&beyond, context));
        self.size = Some(end.await?);
        Ok(self)
    }

    /// Returns the end of what may be read of a range, once that is anything, or the end of the whole.
    ///
    /// Until the digest is compared, that is never all of it: nobody has a whole range of wrong bytes.
    ///
    /// # Errors
    /// The writer has failed, or the bytes have another digest.
    pub fn poll_end(&self, range: &Range<u64>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let mut state = self.shared.0.lock();
        let end = match state.end {
            End::Failed => {
                return Poll::Ready(Err(io::Error::other("the blob did not arrive")));
            }
            End::Verified => return Poll::Ready(Ok(state.written)),
            End::Ahead => state.written.min(range.end.saturating_sub(1)),
        };
        if end > range.start {
            return Poll::Ready(Ok(end));
        }
        state.waiting.insert(self.reader, context.waker().clone());
        Poll::Pending
    }
}

/// Another reader of the same blob.
impl Clone for GrowingBlob {
    fn clone(&self) -> Self {
        let mut state = self.shared.0.lock();
        state.readers += 1;
        Self {
            file: Arc::clone(&self.file),
            size: self.size,
            shared: Arc::clone(&self.shared),
            reader: state.readers,
        }
    }
}

impl Drop for GrowingBlob {
    fn drop(&mut self) {
        self.shared.0.lock().waiting.remove(&self.reader);
    }
}

impl fmt::Debug for GrowingBlob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::blob::traffic::Traffic;

    struct Woken(AtomicUsize);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn begin(size: Option<u64>) -> (Growth, GrowingBlob) {
        let file = tempfile::tempfile().unwrap();
        Growth::begin(BlobFile::new(file, Traffic::default().enter()), size)
    }

    fn end(reader: &GrowingBlob, range: Range<u64>) -> Option<u64> {
        match reader.poll_end(&range, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(end) => Some(end.unwrap()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn readers_see_what_was_written_and_the_last_byte_once_it_is_verified() {
        let (writer, reader) = begin(Some(10));
        assert_eq!(end(&reader, 0..10), None);
        writer.reached(4);
        assert_eq!((end(&reader, 0..10), end(&reader, 4..10)), (Some(4), None));
        writer.reached(10);
        assert_eq!((end(&reader, 4..10), end(&reader, 9..10)), (Some(9), None));
        assert_eq!((end(&reader, 2..6), end(&reader, 2..3)), (Some(5), None));
        writer.verified();
        assert_eq!(end(&reader, 9..10), Some(10));
        drop(writer);
        assert_eq!(end(&reader, 9..10), Some(10));
    }

    #[test]
    fn without_a_size_the_end_is_known_once_it_is_verified() {
        let (writer, reader) = begin(None);
        writer.reached(10);
        let rest = 10..u64::MAX;
        assert_eq!(
            (end(&reader, 0..u64::MAX), end(&reader, rest.clone())),
            (Some(10), None)
        );
        writer.verified();
        assert_eq!(end(&reader, rest), Some(10));
    }

    #[test]
    fn the_whole_is_there_once_it_is_verified() {
        let (writer, reader) = begin(None);
        let mut whole = Box::pin(reader.clone().whole());
        let mut context = Context::from_waker(Waker::noop());
        writer.reached(10);
        assert!(whole.as_mut().poll(&mut context).is_pending());
        writer.verified();
        let Poll::Ready(Ok(whole)) = whole.as_mut().poll(&mut context) else {
            panic!("it is there");
        };
        assert_eq!((whole.size(), reader.size()), (Some(10), None));
        let (writer, reader) = begin(None);
        let mut whole = Box::pin(reader.whole());
        drop(writer);
        assert!(matches!(
            whole.as_mut().poll(&mut context),
            Poll::Ready(Err(_))
        ));
    }

    #[test]
    fn every_reader_that_waits_is_woken_and_a_writer_that_ends_early_fails_all() {
        let (writer, reader) = begin(Some(10));
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let other = reader.clone();
        for reader in [&reader, &other, &reader.clone()] {
            let end = reader.poll_end(&(0..10), &mut Context::from_waker(&waker));
            assert!(end.is_pending());
        }
        writer.reached(5);
        assert_eq!(woken.0.load(Ordering::Relaxed), 2, "one has left");
        drop(writer);
        for reader in [reader, other] {
            let end = reader.poll_end(&(0..10), &mut Context::from_waker(&waker));
            assert!(matches!(end, Poll::Ready(Err(_))));
        }
    }
}
