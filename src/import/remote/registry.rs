//! Another registry that is running, as a source.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;

use super::patience::{Patience, patiently};
use crate::import::damage::Damage;
use crate::import::error::Error;
use crate::import::selection::Selection;
use crate::oci::{Digest, RepositoryName};
use crate::registry::{self, Actor, BodyError, Part, Registry};
use crate::upstream::{self, Settings, Upstream};

/// Another registry that is running.
#[derive(Clone)]
pub struct RemoteRegistry {
    /// Its address, as it is shown.
    pub(super) url: String,
    pub(super) upstream: Upstream,
    /// Number of repositories that are read at once.
    pub(super) threads: usize,
    pub(super) patience: Patience,
}

/// A blob of a repository of another registry.
#[derive(Clone)]
pub(in crate::import) struct RemoteBlob {
    pub digest: Digest,
    /// Size that a manifest names, in bytes.
    pub size: u64,
    pub(super) repository: RepositoryName,
    pub(super) registry: RemoteRegistry,
}

/// Names of repositories to consider.
pub(in crate::import) enum Names {
    /// Those that the owner asks for, which may not be there.
    Asked(BTreeSet<String>),
    /// All that are there.
    Listed(BTreeSet<String>),
}

impl RemoteRegistry {
    /// Prepares to read a registry. Files are read, which may block; nothing is asked yet.
    ///
    /// # Errors
    /// Those of [`Upstream::new`].
    pub fn new(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            url: settings.url.trim_end_matches('/').to_owned(),
            upstream: Upstream::new(settings)?,
            threads: settings.concurrency,
            patience: Patience::of_command(),
        })
    }

    /// Prepares to read a registry that is asked already, by work that comes again whatever fails.
    pub(in crate::import) fn of(upstream: Upstream, url: String, threads: usize) -> Self {
        Self {
            url,
            upstream,
            threads,
            patience: Patience::of_background(),
        }
    }

    /// Returns the repositories to consider.
    pub(in crate::import) async fn repositories(
        &self,
        selection: &Selection,
    ) -> Result<Names, Error> {
        let named = selection.only.iter().map(|glob| glob.as_str());
        let named: BTreeSet<_> = named.map(str::to_owned).collect();
        // a list of millions is no way to find two, and Docker Hub has none
        if !named.is_empty() && named.iter().all(|name| RepositoryName::parse(name).is_ok()) {
            return Ok(Names::Asked(named));
        }
        let listed = patiently(&self.patience, || self.upstream.repositories()).await;
        listed.map(Names::Listed).map_err(|cause| match cause {
            cause if cause.is_passing() => self.failed(cause),
            cause if cause.is_about_login() => Error::Login {
                url: self.url.clone(),
                cause,
            },
            cause => Error::NoCatalog {
                url: self.url.clone(),
                cause,
            },
        })
    }

    pub(super) fn failed(&self, cause: upstream::Error) -> Error {
        let url = self.url.clone();
        match self.patience.has_answered() {
            true => Error::Upstream { url, cause },
            false => Error::Unreached { url, cause },
        }
    }
}

impl RemoteBlob {
    /// Fetches it and stores it; returns what is wrong with it, if it is left out.
    ///
    /// # Errors
    /// [`Error::Upstream`] for failures that may pass, and errors of this registry.
    pub async fn store(&self, registry: &Registry, actor: &Actor) -> Result<Option<Damage>, Error> {
        let outcome = patiently(&self.registry.patience, || self.fetch(registry, actor)).await;
        match outcome {
            Ok(Ok(())) => Ok(None),
            Ok(Err(registry::Error::DigestMismatch { .. })) => {
                Ok(Some(Damage::AlteredBlob(self.digest.clone())))
            }
            Ok(Err(error)) => Err(error.into()),
            Err(error) => self.refusal(error).map(Some),
        }
    }

    /// Asks whether the registry has it, of the size that is stored here; returns what is wrong with it, if it is left out.
    ///
    /// # Errors
    /// [`Error::Upstream`] for failures that may pass.
    pub async fn ask(&self, stored: u64) -> Result<Option<Damage>, Error> {
        let upstream = &self.registry.upstream;
        let asking = || upstream.blob_size(&self.repository, &self.digest);
        match patiently(&self.registry.patience, asking).await {
            Ok(size) if size.is_none_or(|size| size == stored) => Ok(None),
            // a registry that answers everything has nothing
            Ok(_) => Ok(Some(Damage::MissingBlob(self.digest.clone()))),
            Err(error) => self.refusal(error).map(Some),
        }
    }

    /// Returns why it is left out; fails for what may pass.
    fn refusal(&self, error: upstream::Error) -> Result<Damage, Error> {
        match error {
            upstream::Error::NotFound => Ok(Damage::MissingBlob(self.digest.clone())),
            error if error.is_passing() => Err(self.registry.failed(error)),
            error => Ok(Damage::Upstream(error)),
        }
    }

    /// Fetches it once; an error of this registry is no reason to try again.
    async fn fetch(
        &self,
        registry: &Registry,
        actor: &Actor,
    ) -> Result<Result<(), registry::Error>, upstream::Error> {
        let upstream = &self.registry.upstream;
        let blob = upstream.blob(&self.repository, &self.digest).await?;
        let size = blob.size().unwrap_or(self.size);
        let (pieces, failure) = blob.limited(size).into_stream();
        let body = pieces.map_ok(Part::Bytes).map_err(BodyError::from);
        let stored = registry
            .import()
            .receive(&self.digest, size, body, actor.clone());
        match (stored.await, failure.take()) {
            (Err(registry::Error::Body(_)), Some(failure)) => Err(failure),
            (stored, _) => Ok(stored),
        }
    }
}
