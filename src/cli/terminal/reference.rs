//! References on the command line, the same for all commands: `[HOST[:PORT]/]REPOSITORY[:TAG|@DIGEST]`.
//!
//! A digest may be shortened to a unique prefix, with or without its algorithm. Where a command works on many, repository and
//! tag may be globs.

use tarkeep::oci::{Algorithm, Digest, Glob, RepositoryName, TagName};
use tarkeep::registry::{ManifestReference, Registry};

use crate::cli::error::Error;
use crate::cli::terminal::output;

/// Minimum length of a shortened digest without its algorithm.
const SHORTEST_PREFIX: usize = 4;

/// File with this machine's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// A name, or a glob that matches many.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Names<T> {
    One(T),
    Matching(Glob),
}

/// The named part of a repository.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Whole,
    Tags(Names<TagName>),
    /// A digest or a prefix of one.
    Digest(String),
}

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

/// A reference whose repository is known.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub text: String,
    pub repositories: Names<RepositoryName>,
    pub part: Part,
}

/// True if a text is a glob: names cannot contain these characters.
pub(crate) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

impl<T> Names<T> {
    fn parse(text: &str, one: impl FnOnce(&str) -> Result<T, String>) -> Result<Self, String> {
        if is_glob(text) {
            Glob::try_from(text.to_owned()).map(Self::Matching)
        } else {
            one(text).map(Self::One)
        }
    }

    /// Returns the glob, if it is one.
    pub(crate) fn glob(&self) -> Option<&Glob> {
        match self {
            Self::One(_) => None,
            Self::Matching(glob) => Some(glob),
        }
    }
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

impl Named {
    /// Returns the repository and the tag.
    ///
    /// # Errors
    /// The reference names something else.
    pub(crate) fn tag(self, command: &str) -> Result<(RepositoryName, TagName), Error> {
        match (self.repositories, self.part) {
            (Names::One(repository), Part::Tags(Names::One(tag))) => Ok((repository, tag)),
            (repositories, part) => Err(mismatch(
                command,
                "a tag, REPOSITORY:TAG",
                &self.text,
                &repositories,
                &part,
            )),
        }
    }

    /// Returns the repository and the tag, if the reference names one tag.
    pub(crate) fn one_tag(&self) -> Option<(RepositoryName, TagName)> {
        match (&self.repositories, &self.part) {
            (Names::One(repository), Part::Tags(Names::One(tag))) => {
                Some((repository.clone(), tag.clone()))
            }
            _ => None,
        }
    }

    /// Returns the glob of repositories that are meant as a whole; a name is a glob that matches itself.
    ///
    /// # Errors
    /// The reference names something in a repository.
    pub(crate) fn whole(self, command: &str) -> Result<Glob, Error> {
        match (self.repositories, self.part) {
            (Names::Matching(glob), Part::Whole) => Ok(glob),
            // no name contains a special character of globs
            (Names::One(name), Part::Whole) => {
                Glob::try_from(name.to_string()).map_err(Error::Other)
            }
            (repositories, part) => Err(mismatch(
                command,
                "REPOSITORY",
                &self.text,
                &repositories,
                &part,
            )),
        }
    }

    /// Returns the repository and the part of it, which may not be a glob.
    ///
    /// # Errors
    /// The reference is a glob.
    pub(crate) fn one_repository(self, command: &str) -> Result<(RepositoryName, Part), Error> {
        match (self.repositories, self.part) {
            (Names::One(repository), part) if !matches!(part, Part::Tags(Names::Matching(_))) => {
                Ok((repository, part))
            }
            (repositories, part) => Err(mismatch(
                command,
                "REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST",
                &self.text,
                &repositories,
                &part,
            )),
        }
    }

    /// Returns the repository and the manifest, by default that of the tag `latest`, as docker does.
    ///
    /// # Errors
    /// The reference names something else, or its digest is unknown or ambiguous.
    pub(crate) async fn manifest(
        self,
        registry: &Registry,
        command: &str,
    ) -> Result<(RepositoryName, ManifestReference), Error> {
        match (self.repositories, self.part) {
            (Names::One(repository), Part::Whole) => {
                let latest = ManifestReference::Tag(tag("latest")?);
                Ok((repository, latest))
            }
            (Names::One(repository), Part::Tags(Names::One(tag))) => {
                Ok((repository, ManifestReference::Tag(tag)))
            }
            (Names::One(repository), Part::Digest(prefix)) => {
                let digest = digest(registry, Some(&repository), &prefix).await?;
                Ok((repository, ManifestReference::Digest(digest)))
            }
            (repositories, part) => Err(mismatch(
                command,
                "one image, REPOSITORY:TAG or REPOSITORY@DIGEST",
                &self.text,
                &repositories,
                &part,
            )),
        }
    }

    /// Returns the repositories and the tags, all by default.
    ///
    /// # Errors
    /// The reference has a digest.
    pub(crate) fn tags(
        self,
        command: &str,
    ) -> Result<(Names<RepositoryName>, Option<Names<TagName>>), Error> {
        match self.part {
            Part::Whole => Ok((self.repositories, None)),
            Part::Tags(tags) => Ok((self.repositories, Some(tags))),
            part => Err(mismatch(
                command,
                "repositories or tags, REPOSITORY[:TAG]",
                &self.text,
                &self.repositories,
                &part,
            )),
        }
    }
}

/// Explains that a command takes another kind of reference, and names the command that takes this one.
fn mismatch(
    command: &str,
    wanted: &str,
    text: &str,
    repositories: &Names<RepositoryName>,
    part: &Part,
) -> Error {
    let (kind, remedy) = match (repositories, part) {
        (Names::Matching(_), _) | (_, Part::Tags(Names::Matching(_))) => (
            "a glob",
            format!("registry ls '{text}' lists what it matches"),
        ),
        (_, Part::Whole) => ("a repository", format!("registry ls {text} lists its tags")),
        (_, Part::Tags(Names::One(_))) => {
            ("a tag", format!("registry inspect {text} describes it"))
        }
        (_, Part::Digest(_)) => (
            "a manifest",
            format!("registry inspect {text} describes it and lists its tags"),
        ),
    };
    Error::Other(format!(
        "registry {command} takes {wanted}, and '{text}' is {kind}: {remedy}"
    ))
}

/// Finds the only digest that begins with a prefix: in a repository, or anywhere.
///
/// # Errors
/// No digest does, or several do.
pub(crate) async fn digest(
    registry: &Registry,
    repository: Option<&RepositoryName>,
    prefix: &str,
) -> Result<Digest, Error> {
    if let Ok(digest) = Digest::parse(prefix) {
        return Ok(digest);
    }
    let found = registry
        .manifests()
        .find_digests(repository, prefix)
        .await?;
    match (&found[..], repository) {
        ([digest], _) => Ok(digest.clone()),
        ([], Some(name)) => Err(Error::Other(format!(
            "no manifest of {name} has a digest that begins with {prefix}: registry ls {name} lists digests of tags"
        ))),
        ([], None) => Err(Error::Other(format!(
            "no digest begins with {prefix}: it was never pushed, or is permanently removed"
        ))),
        (several, _) => {
            let several: Vec<_> = several.iter().map(Digest::as_str).collect();
            Err(Error::Other(format!(
                "several digests begin with {prefix}: add digits, as in {}",
                several.join(" or ")
            )))
        }
    }
}

/// Parses a tag.
pub(crate) fn tag(text: &str) -> Result<TagName, Error> {
    TagName::parse(text).map_err(|error| Error::Other(error.to_string()))
}

/// Parses the name of a repository.
pub(crate) fn repository(text: &str) -> Result<RepositoryName, Error> {
    RepositoryName::parse(text).map_err(|error| Error::Other(error.to_string()))
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

/// True if the first component of a name may be the host of a registry.
fn is_host(first: &str) -> bool {
    is_no_name(first) || first == "localhost" || (first.contains('.') && !is_glob(first))
}

/// True for text that no repository's name begins with: a colon, capital letters.
fn is_no_name(first: &str) -> bool {
    first.contains(':') || first.chars().any(char::is_uppercase)
}

/// True for the names that a machine has for itself.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let own = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    let is_loopback = name.starts_with("127.") || name == "[::1]";
    is_loopback || name.eq_ignore_ascii_case("localhost") || name.eq_ignore_ascii_case(own.trim())
}

/// Checks a digest or a prefix of one.
fn prefix(text: &str) -> Result<String, String> {
    if is_digest(text) || is_short(text) {
        return Ok(text.to_owned());
    }
    match Digest::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// True for an algorithm with some digits, at most those of a whole digest.
fn is_digest(text: &str) -> bool {
    let Some((name, hex)) = text.split_once(':') else {
        return false;
    };
    Algorithm::parse(name).is_ok_and(|algorithm| {
        let whole = if algorithm == Algorithm::Sha256 {
            64
        } else {
            128
        };
        is_hex(hex) && hex.len() <= whole && hex.len() >= SHORTEST_PREFIX
    })
}

/// True for the first digits of a digest, without its algorithm.
fn is_short(text: &str) -> bool {
    is_hex(text) && (SHORTEST_PREFIX..=128).contains(&text.len())
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

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
