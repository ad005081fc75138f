//! References as they are typed.

use tarkeep::oci::{RepositoryName, TagName};
use tarkeep::registry::Registry;

use crate::cli::error::Error;
use crate::cli::terminal::output;
use crate::cli::terminal::reference::digests::{is_digest, is_short, prefix};
use crate::cli::terminal::reference::host::{is_host, is_no_name, is_this_machine};
use crate::cli::terminal::reference::named::Named;
use crate::cli::terminal::reference::names::{Names, Part};

/// A reference as typed.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    text: String,
    /// Possible repositories: as written, and without what may be a host; empty for a digest alone.
    candidates: Vec<Names<RepositoryName>>,
    /// Possible host of a registry.
    host: Option<String>,
    part: Part,
}

impl Reference {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text.trim())
            .map_err(|error| Error::Other(format!("cannot read '{text}': {error}")))
    }

    fn read(text: &str) -> Result<Self, String> {
        let reference = |candidates, host: Option<&str>, part| Self {
            text: text.to_owned(),
            candidates,
            host: host.map(str::to_owned),
            part,
        };
        if is_digest(text) {
            return Ok(reference(Vec::new(), None, Part::Digest(text.to_owned())));
        }
        let name = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (name, digest) = match name.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (name, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        let part = match (digest, tag) {
            // REPOSITORY:TAG@DIGEST, as docker prints it: the digest decides
            (Some(digest), _) => Part::Digest(prefix(digest)?),
            (None, Some(tag)) => Part::Tags(Names::parse(tag, |tag| {
                TagName::parse(tag).map_err(|error| error.to_string())
            })?),
            (None, None) => Part::Whole,
        };
        let candidates = candidates(name)?;
        let host = name.split_once('/').map(|(host, _)| host);
        Ok(reference(
            candidates,
            host.filter(|host| is_host(host)),
            part,
        ))
    }

    /// Returns the digest or its prefix, if the reference may be one without a repository.
    pub(crate) fn digest_alone(&self) -> Option<&str> {
        match (&self.candidates[..], &self.part) {
            ([], Part::Digest(digest)) => Some(digest),
            // twelve digits, as tables show a digest
            ([Names::One(name)], Part::Whole) if is_short(name.as_str()) => Some(name.as_str()),
            _ => None,
        }
    }

    /// Returns what is meant at a server, whose host may stand before the name.
    ///
    /// # Errors
    /// The reference is a digest alone.
    pub(crate) fn elsewhere(mut self, command: &str) -> Result<Named, Error> {
        let text = self.text;
        let repositories = self.candidates.pop().ok_or_else(|| {
            Error::Other(format!(
                "registry {command} needs a repository, as in REPOSITORY@DIGEST, and '{text}' is a digest"
            ))
        })?;
        Ok(Named {
            text,
            repositories,
            part: self.part,
        })
    }

    /// Finds out which repository is meant: a host name before it may be a part of its name.
    ///
    /// # Errors
    /// The reference is a digest alone.
    pub(crate) async fn resolve(self, registry: &Registry, command: &str) -> Result<Named, Error> {
        let Self {
            text,
            mut candidates,
            mut host,
            part,
        } = self;
        let Some(last) = candidates.pop() else {
            return Err(Error::Other(format!(
                "registry {command} needs a repository, as in REPOSITORY@DIGEST, and '{text}' is a digest: registry why {text} shows where it is used"
            )));
        };
        let mut repositories = last;
        for candidate in candidates {
            let known = match &candidate {
                Names::One(name) => name.as_str(),
                Names::Matching(glob) => glob.as_str().split('/').next().unwrap_or_default(),
            };
            if registry.repositories().is_known_below(known).await? {
                repositories = candidate;
                host = None;
            }
        }
        let host = host.filter(|host| host.contains(['.', ':']) && !is_this_machine(host));
        if let Some(host) = host {
            output::complain(&format!(
                "note: {host} is not asked: registry {command} works on the data directory of this machine"
            ));
        }
        Ok(Named {
            text,
            repositories,
            part,
        })
    }
}

/// Returns the repositories that a name may mean: as written, and without what may be a host.
fn candidates(name: &str) -> Result<Vec<Names<RepositoryName>>, String> {
    let parse = |name: &str| {
        Names::parse(name, |name| {
            RepositoryName::parse(name).map_err(|error| error.to_string())
        })
    };
    let Some((host, rest)) = name.split_once('/') else {
        return Ok(vec![parse(name)?]);
    };
    if !is_host(host) {
        return Ok(vec![parse(name)?]);
    }
    if is_no_name(host) {
        return Ok(vec![parse(rest)?]);
    }
    Ok(vec![parse(name)?, parse(rest)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::reference::names::tag;

    fn name(text: &str) -> Names<RepositoryName> {
        Names::One(RepositoryName::parse(text).unwrap())
    }

    fn tagged(text: &str) -> Part {
        Part::Tags(Names::One(tag(text).unwrap()))
    }

    #[test]
    fn tags_digests_and_both_are_read() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let is = |text: &str| {
            let reference = Reference::parse(text).unwrap();
            (reference.candidates, reference.part)
        };
        assert_eq!(is("a/b"), (vec![name("a/b")], Part::Whole));
        assert_eq!(is("a/b:c"), (vec![name("a/b")], tagged("c")));
        let by_digest = (vec![name("a/b")], Part::Digest(digest.clone()));
        assert_eq!(is(&format!("a/b@{digest}")), by_digest);
        assert_eq!(is(&format!("a/b:c@{digest}")), by_digest);
        assert_eq!(
            is("a/b@sha256:abcd"),
            (vec![name("a/b")], Part::Digest("sha256:abcd".to_owned()))
        );
        assert_eq!(
            is("a/b@abcdef012345"),
            (vec![name("a/b")], Part::Digest("abcdef012345".to_owned()))
        );
        assert_eq!(is(&digest), (Vec::new(), Part::Digest(digest.clone())));
        assert!(matches!(
            is("team/*:pr-[0-9]*"),
            (names, Part::Tags(Names::Matching(_))) if matches!(names[0], Names::Matching(_))
        ));
        for text in [
            "",
            "A",
            "a:",
            "a@sha256:1",
            "a:b:c",
            "a@xyz",
            "a//b",
            "a:b/",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_is_understood() {
        let is = |text: &str| {
            let reference = Reference::parse(text).unwrap();
            (reference.candidates, reference.part)
        };
        for text in [
            "localhost:5000/team/app:v1",
            "http://localhost:5000/team/app:v1",
            "docker://[::1]:5000/team/app:v1",
            "192.168.1.10:5000/team/app:v1",
            "Registry.Example.com/team/app:v1",
        ] {
            assert_eq!(is(text), (vec![name("team/app")], tagged("v1")), "{text}");
        }
        // the host may be a part of the name
        for host in ["localhost", "registry.example.com", "docker.io"] {
            let whole = format!("{host}/team/app");
            assert_eq!(
                is(&format!("{whole}:v1")),
                (vec![name(&whole), name("team/app")], tagged("v1"))
            );
        }
    }

    #[test]
    fn digits_alone_may_be_a_digest() {
        let alone = |text: &str| {
            Reference::parse(text)
                .unwrap()
                .digest_alone()
                .map(str::to_owned)
        };
        assert_eq!(alone("sha256:abcd").as_deref(), Some("sha256:abcd"));
        assert_eq!(alone("abcdef012345").as_deref(), Some("abcdef012345"));
        assert_eq!(alone("abcdef012345:v1"), None);
        assert_eq!(alone("app"), None);
    }
}
