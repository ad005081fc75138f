//! From a client's bytes to a file and a digest: the pipeline of every upload.
//!
//! Bytes are gathered from the socket into batches. While one batch is being hashed and written, on two blocking
//! threads side by side, the next one is gathered: the upload runs at the speed of the slowest of socket, hash and disk.
//! No thread and no memory is held while a client is silent, so slow clients cost nothing: a batch goes out as it is
//! when the socket has nothing more to give.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::FutureExt;
use futures_util::stream::{Fuse, Stream, StreamExt};
use tokio::task::{JoinError, JoinHandle};

use crate::blob::{Hasher, UploadFile};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::slices::Uploads;

/// How much is gathered at the most, from a client that is faster than hash and disk.
const BATCH_SIZE: usize = 512 << 10;
/// Below this, hash and write follow each other on one thread: handing over costs more than it gains.
const SMALL_BATCH: usize = 64 << 10;
/// How many bytes are taken in between two looks at the free disk.
const SPACE_CHECK_STEP: u64 = 16 << 20;

/// The reason a body stopped before its end.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body.
pub trait BodyStream: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + 'static {}
impl<S: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + 'static> BodyStream for S {}

/// A file that grows, and the hash of all it holds.
pub(in crate::registry) struct HashedFile {
    pub file: UploadFile,
    pub hasher: Hasher,
}

/// How taking in a body ended, besides well.
pub(in crate::registry) enum IngestError {
    /// The client went away; what had arrived is in the file, and hashed.
    Body(Box<HashedFile>, Error),
    /// The disk, or this process, failed; the file, where it is still there, is not what the hash covers any more.
    Broken(Option<UploadFile>, Error),
}

impl Uploads<'_> {
    /// Appends a whole body.
    pub(in crate::registry) async fn ingest(
        self,
        intake: HashedFile,
        body: impl BodyStream,
    ) -> Result<HashedFile, IngestError> {
        let mut feed = BodyReader {
            body: body.fuse(),
            failure: None,
        };
        let mut work = WriteTask::Idle(intake);
        let mut unchecked = 0;
        while let Some(first) = feed.next().await {
            // only now: nobody holds a place in memory while waiting for a client
            let place = self.registry.batches.acquire().await;
            let mut batch = Batch {
                size: first.len(),
                chunks: vec![first],
            };
            while batch.size < BATCH_SIZE {
                match feed.next_unless_done(&mut work).await? {
                    Some(chunk) => batch.push(chunk),
                    None => break,
                }
            }
            let idle = work.settle().await?;
            unchecked += batch.size as u64;
            if unchecked >= SPACE_CHECK_STEP {
                unchecked = 0;
                if let Err(full) = self.registry.check_disk_space(0) {
                    return Err(IngestError::Broken(Some(idle.file), full));
                }
            }
            work = WriteTask::Busy(tokio::spawn(async move {
                let _place = place;
                write_batch(idle, batch).await
            }));
        }
        let intake = work.settle().await?;
        match feed.failure {
            None => Ok(intake),
            Some(cause) => Err(IngestError::Body(
                Box::new(intake),
                Error::Body(cause.to_string()),
            )),
        }
    }
}

/// Pieces of a body that are hashed and written together.
struct Batch {
    chunks: Vec<Bytes>,
    size: usize,
}

impl Batch {
    fn push(&mut self, chunk: Bytes) {
        self.size += chunk.len();
        self.chunks.push(chunk);
    }
}

/// A body that ends at its first error, and keeps it.
struct BodyReader<S: Stream> {
    body: Fuse<S>,
    failure: Option<BodyError>,
}

impl<S: BodyStream> BodyReader<S> {
    async fn next(&mut self) -> Option<Bytes> {
        if self.failure.is_some() {
            return None;
        }
        loop {
            match self.body.next().await? {
                // HTTP/2 ends bodies with one
                Ok(chunk) if chunk.is_empty() => {}
                Ok(chunk) => return Some(chunk),
                Err(failure) => {
                    self.failure = Some(failure);
                    return None;
                }
            }
        }
    }

    /// The next piece if it is there, or comes before `work` is done; `None` once there is no reason to wait for more.
    async fn next_unless_done(
        &mut self,
        work: &mut WriteTask,
    ) -> Result<Option<Bytes>, IngestError> {
        if let Some(chunk) = self.next().now_or_never() {
            return Ok(chunk);
        }
        let WriteTask::Busy(task) = work else {
            return Ok(None);
        };
        tokio::select! {
            biased;
            chunk = self.next() => Ok(chunk),
            done = task => {
                *work = WriteTask::Idle(finished(done)?);
                Ok(self.next().now_or_never().flatten())
            }
        }
    }
}

enum WriteTask {
    Idle(HashedFile),
    Busy(JoinHandle<Result<HashedFile, IngestError>>),
}

impl WriteTask {
    async fn settle(self) -> Result<HashedFile, IngestError> {
        match self {
            Self::Idle(intake) => Ok(intake),
            Self::Busy(task) => finished(task.await),
        }
    }
}

fn finished(
    done: Result<Result<HashedFile, IngestError>, JoinError>,
) -> Result<HashedFile, IngestError> {
    done.unwrap_or_else(|error| {
        Err(IngestError::Broken(
            None,
            Error::Internal(format!("an upload's task ended early: {error}")),
        ))
    })
}

async fn write_batch(intake: HashedFile, batch: Batch) -> Result<HashedFile, IngestError> {
    let HashedFile {
        mut file,
        mut hasher,
    } = intake;
    let chunks: Arc<[Bytes]> = batch.chunks.into();
    let hashed = Arc::clone(&chunks);
    let hash = move || {
        hashed.iter().for_each(|chunk| hasher.update(chunk));
        hasher
    };
    let write = move || {
        let written = file
            .append(&chunks)
            .map_err(Error::files("writing an upload"));
        (file, written)
    };
    let (hashed, written) = if batch.size < SMALL_BATCH {
        blocking(move || (hash(), write()))
            .await
            .map(|(hasher, written)| (Ok(hasher), Ok(written)))
    } else {
        Ok(tokio::join!(blocking(hash), blocking(write)))
    }
    .map_err(|error| IngestError::Broken(None, error))?;
    match (hashed, written) {
        (Ok(hasher), Ok((file, Ok(())))) => Ok(HashedFile { file, hasher }),
        (_, Ok((file, Err(error)))) | (Err(error), Ok((file, Ok(())))) => {
            Err(IngestError::Broken(Some(file), error))
        }
        (_, Err(error)) => Err(IngestError::Broken(None, error)),
    }
}
