//! Expiry of abandoned upload sessions.

use std::sync::Arc;

use crate::blob::UploadId;
use crate::meta::{Actor, ExpiredUpload, now};
use crate::registry::error::Error;
use crate::registry::facades::Uploads;

/// Maximum number of expired sessions read at once.
const EXPIRED_AT_ONCE: usize = 1000;
/// Maximum number of sessions whose expiry is changed in one transaction.
const MOVED_AT_ONCE: usize = 5000;

/// The actor of expiry.
fn expiry_actor() -> Actor {
    Actor {
        name: Some("upload expiry".to_owned()),
        ..Actor::default()
    }
}

impl Uploads<'_> {
    /// Ends expired sessions by the settings in force; returns their number.
    ///
    /// With `dry_run` it only logs them.
    pub async fn expire(self) -> Result<usize, Error> {
        let upload_expiry = self.registry.settings().upload_expiry;
        // each session's expiry was recorded when it began, by the settings of that time
        while self
            .registry
            .meta
            .write_lazily(move |tx| tx.set_upload_lifetime(upload_expiry.lifetime(), MOVED_AT_ONCE))
            .await?
            > 0
        {}
        if !upload_expiry.dry_run {
            return self.end_expired().await;
        }
        let mut after = None;
        loop {
            let expired = self.expired(after).await?;
            let Some(last) = expired.last() else {
                return Ok(0);
            };
            after = Some(last.clone());
            for expired in expired {
                tracing::info!(
                    upload = expired.id,
                    "upload has expired and would be removed without dryrun"
                );
            }
        }
    }

    /// Ends expired sessions; returns their number.
    ///
    /// Logs and skips files that fail.
    pub async fn end_expired(self) -> Result<usize, Error> {
        let (mut ended, mut after) = (0, None);
        loop {
            let expired = self.expired(after).await?;
            let Some(last) = expired.last() else {
                self.registry.collection.uploads.add(ended as u64);
                return Ok(ended);
            };
            after = Some(last.clone());
            for id in expired
                .iter()
                .filter_map(|expired| UploadId::parse(&expired.id))
            {
                match self.end(&id).await {
                    Ok(is_ended) => ended += usize::from(is_ended),
                    Err(error) => {
                        tracing::warn!(%error, "cannot remove an expired upload; continuing with the next")
                    }
                }
            }
        }
    }

    async fn end(self, id: &UploadId) -> Result<bool, Error> {
        // a locked session has a request in progress
        let Some(file) = self.lock(id)? else {
            return Ok(false);
        };
        let file = Arc::new(file);
        // a crash during removal leaves an expired session whose file may be a blob
        if file
            .is_published()
            .map_err(Error::files("inspecting an upload"))?
        {
            self.resolve_published(id, &file).await?;
        }
        self.discard(id, file, expiry_actor()).await?;
        Ok(true)
    }

    async fn expired(self, after: Option<ExpiredUpload>) -> Result<Vec<ExpiredUpload>, Error> {
        self.registry
            .scan(move |meta| meta.expired_uploads(now(), after.as_ref(), EXPIRED_AT_ONCE))
            .await
    }
}
