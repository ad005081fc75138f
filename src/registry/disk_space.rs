//! Changes and the free disk: what pushes must leave, and the space that is set aside for removals.

use std::sync::Arc;

use crate::blob::Shortage;
use crate::meta::{Actor, WriteTx};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::service::Registry;

impl Registry {
    /// Fails if `incoming` more bytes would use up the disk reserve.
    pub(super) fn check_disk_space(&self, incoming: u64) -> Result<(), Error> {
        if !self.emergency_space.hold() {
            return self.disk_reserve.report(Shortage::Quota);
        }
        let reserve = self.settings.load().reserve;
        self.disk_reserve.check(&self.blobs, reserve, incoming)
    }

    /// Makes a change that will free disk space, as [`Registry::write`]; if there is none, with that which is set aside.
    pub(super) async fn write_freeing<T, F>(&self, actor: Actor, change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTx<'_>, &Actor) -> Result<T, Error> + Clone + Send + 'static,
    {
        match self.write(actor.clone(), change.clone()).await {
            Err(Error::StorageFull(_)) if self.give_up_space().await? => {
                self.write(actor, change).await
            }
            outcome => outcome,
        }
    }

    /// Frees the disk space that is set aside, for changes that will free more, if a quota is used up.
    pub(super) async fn free_for_removal(&self) -> Result<(), Error> {
        let blobs = Arc::clone(&self.blobs);
        if let Ok(Some(Shortage::Quota)) = blocking(move || blobs.find_shortage()).await? {
            self.give_up_space().await?;
        }
        Ok(())
    }

    async fn give_up_space(&self) -> Result<bool, Error> {
        let space = Arc::clone(&self.emergency_space);
        blocking(move || space.give_up()).await
    }
}
