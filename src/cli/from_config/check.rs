//! Validation of a whole configuration, as at a start, without a change to anything.

use std::path::PathBuf;

use tarkeep::config::{Draft, Net};

use crate::cli::from_config::{
    access, auth, debug, defaults, health, http, known_users, registry, upstreams, webhooks,
};

/// Flags of `registry serve`, which override the configuration.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Flags {
    /// Listen address; :PORT opens the registry to the network [default: 127.0.0.1:5000]
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: Option<String>,
    /// Data directory [default: /var/lib/registry if it is writable, else ~/.local/share/registry]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl Flags {
    /// True if one is set.
    pub(crate) fn are_given(&self) -> bool {
        self.addr.is_some() || self.data_dir.is_some()
    }

    /// Writes the flags over the configuration, as a server takes them.
    pub(crate) fn override_in(&self, draft: &mut Draft) {
        if let Some(address) = &self.addr {
            draft.override_by_flag("http.addr", address, "--addr");
            if draft.config().http.net == Net::Unix {
                draft.override_by_flag("http.net", "tcp", "--addr");
            }
        }
        if let Some(directory) = &self.data_dir {
            draft.override_by_flag(
                "storage.filesystem.rootdirectory",
                &directory.to_string_lossy(),
                "--data-dir",
            );
        }
    }
}

/// Validates the keys that a server reads only at its start.
pub(crate) fn restart_only(draft: &mut Draft, flags: &Flags) {
    let config = draft.config().clone();
    draft.validated(health::checks(&config.health));
    draft.validated(http::address(flags.addr.as_deref(), &config.http));
    draft.validated(debug::check(&config.http.debug));
    draft.validated(upstreams::mirrors(&config));
    draft.validated(upstreams::listeners(&config));
    debug::notes(&config.http.debug)
        .into_iter()
        .map(str::to_owned)
        .chain(http::notes(&config.http))
        .for_each(|note| draft.note(note));
}

/// Adds notes about access rules that may not do what their owner means.
pub(crate) fn notes(draft: &mut Draft) {
    let config = draft.config().clone();
    let notes = known_users::note(&config).into_iter();
    notes
        .chain(access::notes(&config))
        .chain(upstreams::note(&config))
        .for_each(|note| draft.note(note));
}

/// Validates the whole configuration, the files that it names and the data directory; logs the warnings of a start.
pub(crate) fn everything(draft: &mut Draft, flags: &Flags) {
    let config = draft.config().clone();
    draft.validated(registry::settings(&config));
    draft.validated(webhooks::senders(&config));
    draft.validated(auth::check(&config));
    draft.validated(http::check(&config.http));
    restart_only(draft, flags);
    notes(draft);
    let found = defaults::check_data_directory(flags.data_dir.as_deref(), draft.config());
    draft.validated(found);
}

#[cfg(test)]
mod tests {
    use tarkeep::config::Config;

    use super::*;

    /// The defaults shown by `config show` are those in force.
    #[test]
    fn what_is_shown_as_default_changes_nothing() {
        let nothing = Config::load(None, std::iter::empty()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yml");
        std::fs::write(&path, nothing.to_yaml()).unwrap();
        let shown = Config::load(Some(&path), std::iter::empty()).unwrap();
        assert!(shown.notes.is_empty() && nothing.to_yaml().contains("grace: 24h  # default"));
        assert_eq!(
            format!("{:?}", registry::settings(&shown.config).unwrap()),
            format!("{:?}", registry::settings(&nothing.config).unwrap())
        );
        let limits = |config: &Config| {
            format!(
                "{:?}",
                http::settings(config, usize::MAX, None).unwrap().limits
            )
        };
        assert_eq!(limits(&shown.config), limits(&nothing.config));
        let address = |config: &Config| format!("{:?}", http::address(None, &config.http).unwrap());
        assert_eq!(address(&shown.config), address(&nothing.config));
    }
}
