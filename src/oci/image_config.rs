//! The config of an image: how it is run, and when it was built.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::unambiguous::check_config;

/// Parts of an image's config that people ask for; all but `created` are of its member `config`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// Build time, as written.
    pub created: Option<String>,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    /// Variables, `NAME=value`.
    pub environment: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub user: Option<String>,
    pub working_directory: Option<String>,
    /// Steps of the build, first to last.
    pub history: Vec<BuildStep>,
}

/// Step of an image's build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct BuildStep {
    /// Instruction, as the builder recorded it.
    pub created_by: String,
    /// True if it made no layer.
    #[serde(rename = "empty_layer")]
    pub is_empty_layer: bool,
}

#[derive(Deserialize)]
struct Written {
    created: Option<String>,
    #[serde(default)]
    config: Option<Run>,
    #[serde(default, deserialize_with = "list")]
    history: Vec<BuildStep>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Run {
    #[serde(rename = "Entrypoint", deserialize_with = "list")]
    entrypoint: Vec<String>,
    #[serde(rename = "Cmd", deserialize_with = "list")]
    command: Vec<String>,
    #[serde(rename = "Env", deserialize_with = "list")]
    environment: Vec<String>,
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(rename = "User")]
    user: Option<String>,
    #[serde(rename = "WorkingDir")]
    working_directory: Option<String>,
}

/// Reads a list that Go may have written as null.
fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl ImageConfig {
    /// Reads a config; `None` if it is none, or readers could see another one in it.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        check_config(bytes).ok()?;
        let Written {
            created,
            config,
            history,
        } = serde_json::from_slice(bytes).ok()?;
        let run = config.unwrap_or_default();
        let written = |text: Option<String>| text.filter(|text| !text.is_empty());
        Some(Self {
            created: written(created),
            entrypoint: run.entrypoint,
            command: run.command,
            environment: run.environment,
            labels: run.labels.unwrap_or_default(),
            user: written(run.user),
            working_directory: written(run.working_directory),
            history,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_of_images_are_read() {
        let config = br#"{"created":"2026-11-21T10:29:00.5Z","architecture":"amd64","os":"linux","config":{
            "Cmd":["sh","-c","x"],"Entrypoint":null,"Env":["PATH=/bin"],"Labels":{"a":"b"},"User":"","WorkingDir":"/srv"}}"#;
        let config = ImageConfig::parse(config).unwrap();
        assert_eq!(config.created.as_deref(), Some("2026-11-21T10:29:00.5Z"));
        assert_eq!(config.command, ["sh", "-c", "x"]);
        assert_eq!(config.environment, ["PATH=/bin"]);
        assert_eq!(config.labels["a"], "b");
        assert_eq!(
            (config.user, config.working_directory.as_deref()),
            (None, Some("/srv"))
        );
        assert_eq!(ImageConfig::parse(b"{}"), Some(ImageConfig::default()));
        assert_eq!(ImageConfig::parse(b"text"), None);
        assert_eq!(ImageConfig::parse(br#"{"config":7}"#), None);
    }
}
