//! Ending upload sessions that nobody goes on with.

use std::sync::Arc;

use crate::blob::UploadId;
use crate::meta::{Actor, Millis, now};
use crate::registry::error::Error;
use crate::registry::slices::Uploads;

/// How many expired sessions are read at once.
const EXPIRED_AT_ONCE: usize = 1000;
/// How many sessions are given another end in one change.
const MOVED_AT_ONCE: usize = 5000;

/// The actor of sessions that end by themselves.
fn expiry_actor() -> Actor {
    Actor {
        name: Some("upload expiry".to_owned()),
        ..Actor::default()
    }
}

impl Uploads<'_> {
    /// Ends sessions whose time is over by the rules in force; says how many. Where those only ask for it, the log tells
    /// which would be ended, and none is.
    pub async fn expire(self) -> Result<usize, Error> {
        let upload_expiry = self.registry.settings().upload_expiry;
        // the end of each was written down when it began, by the rules of then
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
        let mut after = (Millis::MIN, String::new());
        loop {
            let expired = self.expired(&after).await?;
            let Some(last) = expired.last() else {
                return Ok(0);
            };
            after.clone_from(last);
            for (_, id) in expired {
                tracing::info!(
                    upload = id,
                    "this upload is over and would be purged, were it not for dryrun"
                );
            }
        }
    }

    /// Ends sessions whose time is over; says how many. One bad file stops nothing.
    pub async fn end_expired(self) -> Result<usize, Error> {
        let (mut ended, mut after) = (0, (Millis::MIN, String::new()));
        loop {
            let expired = self.expired(&after).await?;
            let Some(last) = expired.last() else {
                self.registry.collection.uploads.add(ended as u64);
                return Ok(ended);
            };
            after.clone_from(last);
            for id in expired.iter().filter_map(|(_, id)| UploadId::parse(id)) {
                match self.end(&id).await {
                    Ok(is_ended) => ended += usize::from(is_ended),
                    Err(error) => {
                        tracing::warn!(%error, "an upload that is over could not be cleared; going on with the next")
                    }
                }
            }
        }
    }

    async fn end(self, id: &UploadId) -> Result<bool, Error> {
        // a locked one is being written to at this moment
        let Some(file) = self.lock(id)? else {
            return Ok(false);
        };
        let file = Arc::new(file);
        // a crash amid clearing leaves a session that is over for a file that may be a blob
        if file
            .is_published()
            .map_err(Error::files("looking at an upload"))?
        {
            self.resolve_published(id, &file).await?;
        }
        self.discard(id, file, expiry_actor()).await?;
        Ok(true)
    }

    async fn expired(self, after: &(Millis, String)) -> Result<Vec<(Millis, String)>, Error> {
        let after = after.clone();
        self.registry
            .scan(move |meta| meta.expired_uploads(now(), &after, EXPIRED_AT_ONCE))
            .await
    }
}
