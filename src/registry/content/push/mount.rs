//! Mounting blobs (OCI distribution-spec 1.1, "Mounting a blob from another repository").

use std::sync::Arc;

use crate::events::EventKind;
use crate::meta::{self, Actor, EventSubject, now};
use crate::oci::{Digest, RepositoryName};
use crate::registry::content::blob_events::{blob_subject, blob_target};
use crate::registry::error::Error;
use crate::registry::facades::Blobs;
use crate::registry::outbox::notes::NotedEvent;

impl Blobs<'_> {
    /// Links a blob of repository `from`, or of any repository, to this one; false if there is
    /// none.
    pub async fn mount(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
        actor: Actor,
    ) -> Result<bool, Error> {
        let is_there = match from {
            Some(from) => match self.link(from, digest).await? {
                Some(link) => {
                    let size = link.blob.size;
                    self.is_intact(from, digest, size).await?
                }
                None => false,
            },
            None => {
                let is_linked = meta::point(|reader| reader.is_blob_linked(digest));
                self.registry.meta.read(is_linked).await?
            }
        };
        if !is_there {
            return Ok(false);
        }
        self.note_promise(repository, digest);
        if let Some(link) = self.link(repository, digest).await?
            && self.promise_link(repository, digest, &link).await?
        {
            let size = link.blob.size;
            let is_intact = self.is_intact(repository, digest, size).await?;
            if is_intact {
                self.note_mount(repository, digest, size, from, actor);
            }
            return Ok(is_intact);
        }
        let source = from.map(|from| from.as_str().to_owned());
        let (repository, digest) = (repository.clone(), digest.clone());
        let blobs = Arc::clone(&self.registry.blobs);
        let quota = self.registry.settings().quotas.of(repository.as_str());
        self.registry
            .write(actor, move |tx, actor| {
                let Some(blob) = tx.blob(&digest)? else {
                    return Ok(false);
                };
                if blobs.is_lost(&digest, blob.size) {
                    return Ok(false);
                }
                let now = now();
                let repository = tx.ensure_repository(&repository, now)?;
                if let Some(quota) = quota {
                    quota.admit(tx, repository, &digest, blob.size)?;
                }
                tx.link_blob(repository, &digest, blob, now)?;
                let subject = EventSubject {
                    from_repository: source.as_deref(),
                    ..blob_subject(repository, &digest, blob.size)
                };
                tx.tell(EventKind::BlobMounted, actor, now, || Ok(subject))?;
                Ok(true)
            })
            .await
    }

    /// Notes a mount that changes nothing.
    fn note_mount(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
        from: Option<&RepositoryName>,
        actor: Actor,
    ) {
        self.registry.outbox().note(NotedEvent {
            from_repository: from.map(|from| from.as_str().to_owned()),
            target: Some(blob_target(digest, size)),
            ..NotedEvent::about(EventKind::BlobMounted, repository, actor)
        });
    }
}
