//! Promises to pushes: asked for by the collection of deleted content, and written down by the server.

use std::time::Duration;

use tokio::time::sleep;

use crate::meta::{Millis, millis, now, point};
use crate::registry::error::Error;
use crate::registry::facades::Gc;
use crate::registry::gc::run::SweepRun;
use crate::registry::service::Registry;

/// Maximum number of promises written in one change.
const BATCH: usize = 200;
/// Number of looks for the server's answer, and the pause between two.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

impl Gc<'_> {
    /// Writes down what pushes count on, if a collection has asked for it; for the server.
    pub async fn write_promises(self) -> Result<(), Error> {
        // without a read of the database, which an idle server leaves alone
        let is_called = self.registry.blobs.is_called();
        if !is_called.map_err(Error::files("looking for a collection"))? {
            return Ok(());
        }
        let Some(asked) = unanswered(self.registry).await? else {
            return Ok(());
        };
        let lifetime = millis(self.registry.settings().retention.lease) / 2;
        let promised = self.registry.promises.since(now().saturating_sub(lifetime));
        for some in promised.chunks(BATCH) {
            let some = some.to_vec();
            self.registry
                .meta
                .write_lazily(move |tx| {
                    some.iter().try_for_each(|(repository, digest, at)| {
                        tx.renew_link(repository, digest, *at).map(drop)
                    })
                })
                .await?;
        }
        self.registry
            .meta
            .write_lazily(move |tx| tx.record_promises_written(asked))
            .await?;
        Ok(())
    }
}

impl SweepRun<'_> {
    /// Has the server write down the promises that it has given by `until`, if one runs.
    ///
    /// # Errors
    /// [`Error::Internal`] if the server does not answer within ten seconds.
    pub(super) async fn gather_promises(&mut self, until: Millis) -> Result<(), Error> {
        self.write(move |tx| Ok::<_, Error>(tx.ask_for_promises(until)?))
            .await?;
        let called = self.registry.blobs.call_servers();
        let _call = called.map_err(Error::files("calling the server"))?;
        for _ in 0..TRIES {
            if unanswered(&self.registry).await?.is_none() || self.registry.lock_alone()?.is_some()
            {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        Err(Error::Internal(
            "the running server does not say which pushes are under way, so nothing was freed: restart or stop it, and try again"
                .to_owned(),
        ))
    }
}

/// Returns the time that a collection has asked about, until a server has answered.
async fn unanswered(registry: &Registry) -> Result<Option<Millis>, Error> {
    let read = point(|reader| Ok((reader.promises_asked()?, reader.promises_written()?)));
    let (asked, written) = registry.meta.read(read).await?;
    Ok(asked.filter(|asked| written.is_none_or(|written| written < *asked)))
}
