//! The server's rules, recorded for other processes.

use crate::meta;
use crate::registry::content::push::validation::ManifestRules;
use crate::registry::error::Error;
use crate::registry::facades::Gc;
use crate::registry::policy::retention::Retention;

impl Gc<'_> {
    /// Returns the retention rules that the last server recorded.
    pub async fn recorded_retention(self) -> Result<Option<Retention>, Error> {
        let (retention, _) = self.recorded().await?;
        Ok(retention.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Returns the rules about pushed manifests that the last server recorded.
    pub async fn recorded_manifest_rules(self) -> Result<Option<ManifestRules>, Error> {
        let (_, rules) = self.recorded().await?;
        Ok(rules.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Records this process's rules as those of the server.
    pub async fn record_rules(self) -> Result<(), Error> {
        let settings = self.registry.settings();
        let unwritten = |error: serde_json::Error| Error::Internal(error.to_string());
        let retention = serde_json::to_string(&settings.retention).map_err(unwritten)?;
        let rules = serde_json::to_string(&settings.manifest_rules).map_err(unwritten)?;
        let (old_retention, old_rules) = self.recorded().await?;
        if old_retention.as_ref() == Some(&retention) && old_rules.as_ref() == Some(&rules) {
            return Ok(());
        }
        self.registry
            .meta
            .write(move |tx| {
                tx.set_manifest_rules(&rules)?;
                Ok(tx.set_retention(&retention)?)
            })
            .await
    }

    /// Returns the texts of the retention rules and of the rules about manifests.
    async fn recorded(self) -> Result<(Option<String>, Option<String>), Error> {
        let read =
            |reader: &meta::PointReader<'_>| Ok((reader.retention()?, reader.manifest_rules()?));
        Ok(self.registry.meta.read(meta::point(read)).await?)
    }
}
