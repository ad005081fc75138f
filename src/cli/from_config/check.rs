//! Validation of a whole configuration, as at a start, without a change to anything.

use std::path::PathBuf;

use tarkeep::config::Draft;

use crate::cli::from_config::{auth, debug, defaults, health, http, registry};

/// What is said at a start, and goes over the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    pub addr: Option<String>,
    pub data_dir: Option<PathBuf>,
}

/// Looks at what a server takes from a configuration at its start only.
pub(crate) fn restart_only(draft: &mut Draft, flags: &Flags) {
    let config = draft.config().clone();
    draft.judge(health::checks(&config.health));
    draft.judge(http::address(flags.addr.as_deref(), &config.http));
    draft.judge(debug::check(&config.http.debug));
    debug::notes(&config.http.debug)
        .into_iter()
        .for_each(|note| draft.note(note.to_owned()));
}

/// Looks at everything that a server takes from a configuration: whether it fits, what is in the files that it names, and
/// whether a server could begin in the data directory. Nothing is changed. The warnings are those of a start.
pub(crate) fn everything(draft: &mut Draft, flags: &Flags) {
    let config = draft.config().clone();
    draft.judge(registry::settings(&config));
    draft.judge(auth::check(&config));
    draft.judge(http::check(&config.http));
    restart_only(draft, flags);
    let found = defaults::check_data_directory(flags.data_dir.as_deref(), draft.config());
    draft.judge(found);
}

#[cfg(test)]
mod tests {
    use tarkeep::config::Config;

    use super::*;

    /// The defaults that people are shown are those in force.
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
                http::settings(&config.http, usize::MAX, None)
                    .unwrap()
                    .limits
            )
        };
        assert_eq!(limits(&shown.config), limits(&nothing.config));
        let address = |config: &Config| format!("{:?}", http::address(None, &config.http).unwrap());
        assert_eq!(address(&shown.config), address(&nothing.config));
    }
}
