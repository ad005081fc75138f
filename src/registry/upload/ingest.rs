//! The pipeline of every upload: from a client's bytes to a file and a digest.
//!
//! Bytes are gathered from the socket into batches. While one batch is hashed and written, on two
//! blocking threads side by side, the next one is gathered: an upload runs at the speed of the
//! slowest of socket, hash and disk. No thread and no memory is held while a client is silent, so
//! slow clients cost nothing: a batch is passed on as it is when the socket has no more bytes.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::FutureExt;
use futures_util::stream::{Fuse, Stream, StreamExt};
use tokio::task::{JoinError, JoinHandle};

use crate::blob::UploadFile;
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Uploads;
use crate::registry::upload::body::{BodyError, BodyStream, Part};
use crate::registry::upload::hashed_file::{Batch, HashedFile};

/// Maximum size of a batch, for clients faster than hash and disk.
const BATCH_SIZE: usize = 512 << 10;
/// Size below which hash and write run one after the other on one thread, because a hand-over costs
/// more.
const SMALL_BATCH: usize = 64 << 10;
/// Number of bytes received between two checks of the free disk.
pub(super) const SPACE_CHECK_STEP: u64 = 16 << 20;

/// Failure of [`Uploads::ingest`].
pub(in crate::registry) enum IngestError {
    /// The client's body failed; what had arrived is in the file, and hashed.
    Body(Box<HashedFile>, Error),
    /// The disk or this process failed; the file, if any, no longer matches the hash.
    Broken(Option<Box<UploadFile>>, Error),
}

impl Uploads<'_> {
    /// Appends a whole body.
    pub(in crate::registry) async fn ingest(
        self,
        upload: HashedFile,
        body: impl BodyStream,
    ) -> Result<HashedFile, IngestError> {
        let mut reader = BodyReader {
            body: body.fuse(),
            put_back: None,
            failure: None,
        };
        let mut work = WriteTask::Idle(upload);
        let mut unchecked = 0;
        while let Some(part) = reader.next().await {
            let first = match part {
                Part::Bytes(first) => first,
                Part::Direct(source) => {
                    let upload = work.settle().await?;
                    // boxed: every request with a body would reserve room for it
                    let receiving = Box::pin(self.receive_directly(upload, source));
                    work = WriteTask::Idle(receiving.await?);
                    continue;
                }
            };
            // only now: no memory is held while waiting for a client
            let place = self.registry.batches.acquire().await;
            let mut batch = Batch {
                size: first.len(),
                chunks: vec![first],
            };
            while batch.size < BATCH_SIZE {
                match reader.next_unless_done(&mut work).await? {
                    Some(Part::Bytes(chunk)) => batch.push(chunk),
                    Some(direct) => {
                        reader.put_back = Some(direct);
                        break;
                    }
                    None => break,
                }
            }
            let idle = work.settle().await?;
            unchecked += batch.size as u64;
            if unchecked >= SPACE_CHECK_STEP {
                unchecked = 0;
                if let Err(full) = self.registry.check_disk_space(0) {
                    return Err(IngestError::Broken(Some(Box::new(idle.file)), full));
                }
            }
            work = if batch.size < SMALL_BATCH && reader.is_at_end() {
                WriteTask::Idle(idle.end_with(batch, place))
            } else if batch.size < SMALL_BATCH {
                // next to nothing is gained by receiving meanwhile
                let written = write_batch(idle, batch).await;
                drop(place);
                WriteTask::Idle(written?)
            } else {
                WriteTask::Busy(tokio::spawn(async move {
                    let _place = place;
                    write_batch(idle, batch).await
                }))
            };
        }
        let upload = work.settle().await?;
        match reader.failure {
            None => Ok(upload),
            Some(cause) => Err(IngestError::Body(
                Box::new(upload),
                Error::Body(cause.to_string()),
            )),
        }
    }
}

/// A body that ends at its first error, and keeps the error.
struct BodyReader<S: Stream> {
    body: Fuse<S>,
    /// Part that comes first.
    put_back: Option<Part>,
    failure: Option<BodyError>,
}

impl<S: BodyStream> BodyReader<S> {
    /// True once all of the body was read, without a failure.
    fn is_at_end(&self) -> bool {
        self.body.is_done() && self.put_back.is_none() && self.failure.is_none()
    }

    async fn next(&mut self) -> Option<Part> {
        if self.failure.is_some() {
            return None;
        }
        if let Some(part) = self.put_back.take() {
            return Some(part);
        }
        loop {
            match self.body.next().await? {
                // HTTP/2 ends bodies with an empty chunk
                Ok(Part::Bytes(chunk)) if chunk.is_empty() => {}
                Ok(part) => return Some(part),
                Err(failure) => {
                    self.failure = Some(failure);
                    return None;
                }
            }
        }
    }

    /// Returns the next part if it arrives before `work` completes; `None` if waiting is of no
    /// use.
    async fn next_unless_done(
        &mut self,
        work: &mut WriteTask,
    ) -> Result<Option<Part>, IngestError> {
        if let Some(part) = self.next().now_or_never() {
            return Ok(part);
        }
        let WriteTask::Busy(task) = work else {
            return Ok(None);
        };
        tokio::select! {
            biased;
            part = self.next() => Ok(part),
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
            Self::Idle(upload) => Ok(upload),
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

async fn write_batch(upload: HashedFile, batch: Batch) -> Result<HashedFile, IngestError> {
    let HashedFile {
        mut file,
        mut hasher,
        ..
    } = upload;
    let chunks: Arc<[Bytes]> = batch.chunks.into();
    let hashed = Arc::clone(&chunks);
    let hash = move || {
        hashed.iter().for_each(|chunk| hasher.update(chunk));
        hasher
    };
    let write = move || {
        let written = file
            .append(&chunks[..])
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
        (Ok(hasher), Ok((file, Ok(())))) => Ok(HashedFile::new(file, hasher)),
        (_, Ok((file, Err(error)))) | (Err(error), Ok((file, Ok(())))) => {
            Err(IngestError::Broken(Some(Box::new(file)), error))
        }
        (_, Err(error)) => Err(IngestError::Broken(None, error)),
    }
}
