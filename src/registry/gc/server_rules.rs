//! The server's rules, recorded for other processes.

use crate::meta;
use crate::registry::content::push::validation::ManifestRules;
use crate::registry::error::Error;
use crate::registry::facades::Gc;
use crate::registry::policy::retention::Retention;

/// Rules as the last server recorded them; `None` before the first start.
#[derive(PartialEq, Eq)]
struct Recorded {
    retention: Option<String>,
    manifest_rules: Option<String>,
    sparse: Option<bool>,
    reserve: Option<u64>,
}

impl Gc<'_> {
    /// Returns the retention rules that the last server recorded.
    pub async fn recorded_retention(self) -> Result<Option<Retention>, Error> {
        let text = self.recorded().await?.retention;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Returns the rules about pushed manifests that the last server recorded.
    pub async fn recorded_manifest_rules(self) -> Result<Option<ManifestRules>, Error> {
        let text = self.recorded().await?.manifest_rules;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Reports whether images may lack content, as the last server recorded it.
    pub async fn recorded_sparse(self) -> Result<Option<bool>, Error> {
        Ok(self.recorded().await?.sparse)
    }

    /// Returns the disk reserve that the last server recorded, in bytes.
    pub async fn recorded_reserve(self) -> Result<Option<u64>, Error> {
        Ok(self.recorded().await?.reserve)
    }

    /// Records this process's rules as those of the server.
    pub async fn record_rules(self) -> Result<(), Error> {
        let settings = self.registry.settings();
        let unwritten = |error: serde_json::Error| Error::Internal(error.to_string());
        let retention = serde_json::to_string(&settings.retention).map_err(unwritten)?;
        let rules = serde_json::to_string(&settings.manifest_rules).map_err(unwritten)?;
        let sparse = settings.sparse;
        let reserve = settings.reserve;
        let present = Recorded {
            retention: Some(retention.clone()),
            manifest_rules: Some(rules.clone()),
            sparse: Some(sparse),
            reserve: Some(reserve),
        };
        if self.recorded().await? == present {
            return Ok(());
        }
        self.registry
            .meta
            .write(move |tx| {
                tx.set_manifest_rules(&rules)?;
                tx.set_sparse(sparse)?;
                tx.set_reserve(reserve)?;
                Ok(tx.set_retention(&retention)?)
            })
            .await
    }

    async fn recorded(self) -> Result<Recorded, Error> {
        let read = |reader: &meta::PointReader<'_>| {
            Ok(Recorded {
                retention: reader.retention()?,
                manifest_rules: reader.manifest_rules()?,
                sparse: reader.sparse()?,
                reserve: reader.reserve()?,
            })
        };
        Ok(self.registry.meta.read(meta::point(read)).await?)
    }
}
