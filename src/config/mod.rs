//! Configuration: distribution's `config.yml` with our own sections beside its own.
//!
//! A file, then `REGISTRY_…` variables over it; flags are the command line's and go over both. Nothing is passed over in
//! silence: [`keys`] says of every key whether it is honoured, accepted with a word, or refused, and a key that is not known
//! is an error that names its line. `tree.rs` reads, `variables.rs` overrides, `check.rs` judges, `show.rs` shows.

mod auth;
mod check;
mod draft;
mod gc;
mod health;
mod http;
mod interval;
pub mod keys;
mod live;
mod log;
mod problem;
mod show;
mod storage;
mod tree;
mod validation;
mod variables;
mod wrong;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

pub use auth::{Auth, Htpasswd, Silly, Token};
pub use draft::Draft;
pub use gc::{Gc, Policy, TagRule, Untagged};
pub use health::{FileCheck, Health, HttpCheck, StorageDriver, TcpCheck};
pub use http::{
    ClientAuth, DebugServer, H2c, Http, Http2, LetsEncrypt, Limits, MinimumTls, Net, Prometheus,
    Tls,
};
pub use interval::Interval;
pub use live::is_live;
pub use log::{AccessLog, Formatter, Level, Log};
pub use problem::{Error, Problem};
pub use storage::{Delete, Filesystem, Maintenance, ReadOnly, Storage, UploadPurging};
pub use tree::Origin;
pub use validation::{
    Catalog, Class, ContentPolicy, Indexes, Platform, Platforms, RepositoryPolicy, Tags, Urls,
    ValidatedManifests, Validation,
};
pub use variables::FILE_VARIABLE;
pub use wrong::{Wrongs, both, each};

use problem::Report;
use tree::{Content, Node};

/// Everything that can be set; every default is the one used without a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Of the shape of this file: 0.1 is the only one there is.
    pub version: Option<String>,
    pub log: Log,
    /// The older place of `log.level`.
    pub loglevel: Option<Level>,
    pub http: Http,
    pub storage: Storage,
    pub auth: Option<Auth>,
    pub health: Health,
    pub validation: Validation,
    pub policy: ContentPolicy,
    pub catalog: Catalog,
    pub tags: Tags,
    pub manifests: Manifests,
    pub gc: Gc,
    /// Rules of some repositories; of several that match one, the first counts.
    pub policies: Vec<Policy>,
}

/// Ours: what manifests are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifests {
    /// Accept manifests that name content which is not stored, as mirrors need.
    pub sparse: bool,
    /// The largest manifest, in bytes.
    pub limit: Option<usize>,
}

/// A configuration as it was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Sentences for the log about what was accepted and has no effect.
    pub notes: Vec<String>,
    /// What was given, by the file or by variables, and is honoured.
    values: Value,
    /// Where each of those values comes from.
    origins: BTreeMap<String, Origin>,
}

impl Config {
    /// Reads `file`, if there is one, and lays the `REGISTRY_…` variables of `environment` over it. What is found wrong comes
    /// with the draft, for the parts of the server to add what they find.
    ///
    /// # Errors
    /// A file that cannot be read, or is not YAML.
    pub fn draft(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Draft, Error> {
        let mut report = Report::default();
        let mut tree = match file {
            Some(path) => read(path)?,
            None => Node {
                origin: Origin::Default,
                content: Content::Null,
            },
        };
        if file.is_some() {
            check::version(&tree, &mut report);
        }
        spell_out(&mut tree);
        variables::overlay(&mut tree, environment, &mut report);
        let checked = check::check(&tree, &mut report);
        Ok(Draft::new(checked, report, &tree.origin))
    }

    /// As [`Self::draft`], for those who ask no other part of the server.
    ///
    /// # Errors
    /// A file that cannot be read, or all that is wrong with what it and the variables say.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded, Error> {
        Self::draft(file, environment)?.finish()
    }

    /// The least severe messages that are logged.
    pub fn level(&self) -> Level {
        self.log.level.or(self.loglevel).unwrap_or_default()
    }
}

fn read(path: &Path) -> Result<Node, Error> {
    let text = std::fs::read_to_string(path).map_err(|cause| Error::Read {
        path: path.to_owned(),
        cause,
    })?;
    let path = Arc::from(path);
    tree::read_file(&text, &path).map_err(|error| {
        let origin = Origin::File {
            path,
            line: error.line.unwrap_or(1),
        };
        Error::Problems(vec![Problem {
            origin,
            about: String::new(),
            sentence: error.cause,
        }])
    })
}

/// `auth: none` is `auth: {none: {}}`.
fn spell_out(tree: &mut Node) {
    let Content::Map(members) = &mut tree.content else {
        return;
    };
    for (name, member) in members {
        if let Content::Scalar(word) = &member.content
            && !keys::alternatives(name).is_empty()
        {
            let chosen = Node {
                origin: member.origin.clone(),
                content: Content::Null,
            };
            member.content = Content::Map(vec![(word.text.clone(), chosen)]);
        }
    }
}

#[cfg(test)]
mod tests;
