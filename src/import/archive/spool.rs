//! The place where the content of a stream goes: this registry, or nowhere if an import is only planned.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use futures_util::stream;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::import::error::Error;
use crate::oci::{Algorithm, Digest};
use crate::registry::{self, Actor, BodyError, Hasher, Part, Registry};

/// Size of the pieces in which content is passed on, in bytes.
const CHUNK: u64 = 256 << 10;
/// Maximum number of pieces that wait.
const WAITING: usize = 4;
/// Maximum size of a document that a plan keeps, in bytes.
const DOCUMENT: u64 = 4 << 20;
/// Maximum size of all documents that a plan keeps, in bytes.
const DOCUMENTS: usize = 64 << 20;

/// The place where the content of a stream goes. Every call may block.
pub(in crate::import) trait Spool {
    /// Returns the size of a blob that is here, and has it stay; `None` if it is not.
    fn keep(&self, digest: &Digest) -> Result<Option<u64>, Error>;

    /// Stores content of a size.
    fn store(
        &self,
        algorithm: Algorithm,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<Digest, SpoolError>;

    /// Reads at most `limit` bytes of what was stored or is here.
    fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, Error>;
}

/// Failure to store content.
pub(in crate::import) enum SpoolError {
    /// The stream failed.
    Stream(std::io::Error),
    Registry(Error),
}

impl SpoolError {
    /// Names the archive that failed.
    pub fn of_archive(self, path: &Path) -> Error {
        match self {
            Self::Stream(error) => Error::archive(path)(error),
            Self::Registry(error) => error,
        }
    }
}

/// A registry as the place: its blobs wait for a repository, and are collected if none comes.
pub(in crate::import) struct RegistrySpool {
    pub registry: Registry,
    pub actor: Actor,
    pub runtime: Handle,
}

impl Spool for RegistrySpool {
    fn keep(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        Ok(self.runtime.block_on(self.registry.import().keep(digest))?)
    }

    fn store(
        &self,
        algorithm: Algorithm,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<Digest, SpoolError> {
        let (sender, mut chunks) = mpsc::channel(WAITING);
        let body = stream::poll_fn(move |context| chunks.poll_recv(context));
        let actor = self.actor.clone();
        let storing = self.registry.import().spool(algorithm, size, body, actor);
        let (fed, stored) = self
            .runtime
            .block_on(async { tokio::join!(feed(content, sender), storing) });
        match (fed, stored) {
            (_, Ok(digest)) => Ok(digest),
            (Err(error), Err(registry::Error::Body(_))) => Err(SpoolError::Stream(error)),
            (_, Err(error)) => Err(SpoolError::Registry(error.into())),
        }
    }

    fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let reading = self.registry.import().read_stored(digest, limit);
        Ok(self.runtime.block_on(reading)?)
    }
}

/// Passes content on until it ends, fails, or is not wanted any more.
async fn feed(
    content: &mut dyn Read,
    sender: mpsc::Sender<Result<Part, BodyError>>,
) -> std::io::Result<()> {
    loop {
        let mut chunk = Vec::new();
        match content.take(CHUNK).read_to_end(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(_) if sender.send(Ok(Part::Bytes(chunk.into()))).await.is_err() => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                let _ = sender.send(Err("the archive cannot be read".into())).await;
                return Err(error);
            }
        }
    }
}

/// A place that keeps nothing but small documents, in memory.
pub(in crate::import) struct PlanSpool {
    pub registry: Option<RegistrySpool>,
    documents: Mutex<Documents>,
}

/// Documents in memory.
#[derive(Default)]
struct Documents {
    by_digest: HashMap<Digest, Vec<u8>>,
    /// Size of all of them, in bytes.
    size: usize,
}

impl PlanSpool {
    pub fn new(registry: Option<RegistrySpool>) -> Self {
        Self {
            registry,
            documents: Mutex::default(),
        }
    }
}

impl Spool for PlanSpool {
    fn keep(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        match &self.registry {
            Some(spool) => {
                let size = spool.registry.import().stored_size(digest);
                Ok(spool.runtime.block_on(size)?)
            }
            None => Ok(None),
        }
    }

    fn store(
        &self,
        algorithm: Algorithm,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<Digest, SpoolError> {
        let mut hash = Hasher::new(algorithm);
        let mut document = Vec::new();
        loop {
            let mut chunk = Vec::new();
            let read = content.take(CHUNK).read_to_end(&mut chunk);
            if read.map_err(SpoolError::Stream)? == 0 {
                break;
            }
            hash.update(&chunk);
            if size <= DOCUMENT {
                document.append(&mut chunk);
            }
        }
        let digest = hash.finish();
        let mut documents = self.documents.lock();
        if document.first() == Some(&b'{') && documents.size + document.len() <= DOCUMENTS {
            documents.size += document.len();
            documents.by_digest.insert(digest.clone(), document);
        }
        Ok(digest)
    }

    fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let document = self.documents.lock().by_digest.get(digest).cloned();
        match (document, &self.registry) {
            (None, Some(spool)) => spool.read(digest, limit),
            (document, _) => Ok(document),
        }
    }
}
