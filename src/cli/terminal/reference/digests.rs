//! Digests and their unique prefixes, with or without an algorithm.

use tarkeep::oci::{Algorithm, Digest, RepositoryName};
use tarkeep::registry::Registry;

use crate::cli::error::Error;

/// Minimum length of a shortened digest without its algorithm.
const SHORTEST_PREFIX: usize = 4;

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
    only(&found, repository, prefix)
}

/// Returns the one digest that was found.
pub(super) fn only(
    found: &[Digest],
    repository: Option<&RepositoryName>,
    prefix: &str,
) -> Result<Digest, Error> {
    match (found, repository) {
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

/// Checks a digest or a prefix of one.
pub(super) fn prefix(text: &str) -> Result<String, String> {
    if is_digest(text) || is_short(text) {
        return Ok(text.to_owned());
    }
    match Digest::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// True for an algorithm with some digits, at most those of a whole digest.
pub(super) fn is_digest(text: &str) -> bool {
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
pub(super) fn is_short(text: &str) -> bool {
    is_hex(text) && (SHORTEST_PREFIX..=128).contains(&text.len())
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
