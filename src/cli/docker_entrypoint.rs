//! Compatibility with the container of `registry:2`, whose `/entrypoint.sh` accepts more than `registry` does.

use std::ffi::OsString;
use std::path::Path;

/// Normalises the arguments: inserts `serve` before a lone configuration, and removes a repeated `registry` or the path of
/// the entrypoint before a command.
pub(crate) fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = given.collect();
    let named = |argument: &OsString, name: &str| {
        Path::new(argument)
            .file_name()
            .is_some_and(|last| last == name)
    };
    if arguments
        .get(1)
        .is_some_and(|first| named(first, "entrypoint.sh"))
    {
        arguments.remove(1);
    }
    if arguments
        .get(1)
        .is_some_and(|first| named(first, "registry"))
    {
        arguments.remove(1);
    }
    if arguments.get(1).is_some_and(|first| {
        Path::new(first)
            .extension()
            .is_some_and(|kind| kind == "yml" || kind == "yaml")
    }) {
        arguments.insert(1, "serve".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_entrypoint_of_registry_2_takes() {
        for (given, meant) in [
            ("registry", "registry"),
            ("registry serve config.yml", "registry serve config.yml"),
            (
                "/bin/registry /etc/docker/registry/config.yml",
                "/bin/registry serve /etc/docker/registry/config.yml",
            ),
            (
                "registry config.yaml --addr :1",
                "registry serve config.yaml --addr :1",
            ),
            (
                "registry registry garbage-collect config.yml",
                "registry garbage-collect config.yml",
            ),
            (
                "/bin/registry /bin/registry config.yml",
                "/bin/registry serve config.yml",
            ),
            (
                "registry /entrypoint.sh /etc/docker/registry/config.yml",
                "registry serve /etc/docker/registry/config.yml",
            ),
            (
                "registry /entrypoint.sh registry serve config.yml",
                "registry serve config.yml",
            ),
            ("registry --version", "registry --version"),
            ("registry ls registry", "registry ls registry"),
        ] {
            let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert_eq!(arguments(words(given).into_iter()), words(meant), "{given}");
        }
    }
}
