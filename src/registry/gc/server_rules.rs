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
    gap_rules: Option<String>,
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

    /// Returns the rules about images that lack content, as the last server recorded them.
    pub async fn recorded_gap_rules(self) -> Result<Option<(bool, Vec<String>)>, Error> {
        let text = self.recorded().await?.gap_rules;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
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
        let gaps = (settings.sparse, &settings.mirrors);
        let gaps = serde_json::to_string(&gaps).map_err(unwritten)?;
        let reserve = settings.reserve;
        let present = Recorded {
            retention: Some(retention.clone()),
            manifest_rules: Some(rules.clone()),
            gap_rules: Some(gaps.clone()),
            reserve: Some(reserve),
        };
        if self.recorded().await? == present {
            return Ok(());
        }
        self.registry
            .meta
            .write(move |tx| {
                tx.set_manifest_rules(&rules)?;
                tx.set_gap_rules(&gaps)?;
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
                gap_rules: reader.gap_rules()?,
                reserve: reader.reserve()?,
            })
        };
        Ok(self.registry.meta.read(meta::point(read)).await?)
    }
}
