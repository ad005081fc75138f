//! The server's retention rules, recorded for other processes.

use crate::meta;
use crate::registry::error::Error;
use crate::registry::facades::Gc;
use crate::registry::policy::retention::Retention;

impl Gc<'_> {
    /// Returns the retention rules that the last server recorded.
    pub async fn recorded_retention(self) -> Result<Option<Retention>, Error> {
        let text = self.retention_text().await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Records this process's retention rules as those of the server.
    pub async fn record_retention(self) -> Result<(), Error> {
        let text = serde_json::to_string(&self.registry.settings().retention)
            .map_err(|error| Error::Internal(error.to_string()))?;
        if self.retention_text().await?.as_ref() == Some(&text) {
            return Ok(());
        }
        self.registry
            .meta
            .write(move |tx| Ok(tx.set_retention(&text)?))
            .await
    }

    async fn retention_text(self) -> Result<Option<String>, Error> {
        Ok(self
            .registry
            .meta
            .read(meta::point(|reader| reader.retention()))
            .await?)
    }
}
