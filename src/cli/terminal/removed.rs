//! Names that are unknown because what they named was removed: when, by whom, and how it comes back.

use tarkeep::oci::{Digest, Glob, RepositoryName, TagName};
use tarkeep::registry::{self, ManifestReference, Registry, Removal, Undo};
use tarkeep::report::{RestorableItem, Who};

use crate::cli::error::Error;
use crate::cli::terminal::listing;
use crate::cli::terminal::values;

/// Replaces the error about an unknown name by the removal of what it named, if that is recorded.
pub(crate) async fn explained<T>(
    registry: &Registry,
    outcome: Result<T, Error>,
) -> Result<T, Error> {
    let Err(Error::Registry(failure)) = outcome else {
        return outcome;
    };
    match sentence(registry, &failure).await {
        Some(sentence) => Err(Error::Other(sentence)),
        None => Err(unknown_repository(registry, failure).await),
    }
}

/// Explains that the repository of something unknown is unknown itself, and that there are some below its name.
async fn unknown_repository(registry: &Registry, failure: registry::Error) -> Error {
    let name = match &failure {
        registry::Error::NameUnknown(name) => name,
        registry::Error::ManifestUnknown { repository, .. } => repository,
        _ => return failure.into(),
    };
    if listing::check_listed(registry, name).await.is_ok() {
        return failure.into();
    }
    let below = format!("{name}/**");
    let glob = Glob::try_from(below.clone()).ok();
    match listing::repositories(registry, glob.as_ref()).await {
        Ok(found) if glob.is_some() && !found.is_empty() => Error::Other(format!(
            "there is no repository {name}, but some below it: registry ls '{below}' lists them"
        )),
        _ => registry::Error::NameUnknown(name.clone()).into(),
    }
}

async fn sentence(registry: &Registry, failure: &registry::Error) -> Option<String> {
    let (repository, reference) = match failure {
        registry::Error::NameUnknown(repository) => (repository, None),
        registry::Error::ManifestUnknown {
            repository,
            reference,
            ..
        } => {
            let reference = match (Digest::parse(reference), TagName::parse(reference)) {
                (Ok(digest), _) => ManifestReference::Digest(digest),
                (Err(_), Ok(tag)) => ManifestReference::Tag(tag),
                (Err(_), Err(_)) => return None,
            };
            (repository, Some(reference))
        }
        _ => return None,
    };
    let removal = registry
        .trash()
        .removal_of(repository, reference.as_ref())
        .await
        .ok()??;
    let (what, name) = match &reference {
        None => (format!("repository {repository}"), repository.to_string()),
        Some(ManifestReference::Tag(tag)) => (
            format!("tag {tag} of {repository}"),
            format!("{repository}:{tag}"),
        ),
        Some(ManifestReference::Digest(digest)) => (
            format!("manifest {digest} of {repository}"),
            format!("{repository}@{digest}"),
        ),
    };
    Some(format!("{what} {}", of(&removal, &name)))
}

/// Says that a tag was removed, if it was and that is recorded.
pub(crate) async fn tag(
    registry: &Registry,
    repository: &RepositoryName,
    tag: &TagName,
) -> Result<Option<String>, Error> {
    let reference = ManifestReference::Tag(tag.clone());
    let removal = registry
        .trash()
        .removal_of(repository, Some(&reference))
        .await?;
    let name = format!("{repository}:{tag}");
    Ok(removal.map(|removal| format!("tag {tag} {}", of(&removal, &name))))
}

/// Says that a tag was removed, as a server's trash tells of it.
pub(crate) fn said(repository: &RepositoryName, tag: &TagName, item: &RestorableItem) -> String {
    let (at, Who { name, address }) = (values::time(item.deleted.0), &item.who);
    let by = values::plain(&values::named(name.as_deref(), address.as_deref()));
    let command = format!("registry restore {repository}:{tag}");
    let undo = values::brings_back(&command, item.until.0);
    format!("tag {tag} was removed on {at} by {by}: {undo}")
}

/// Describes a removal: `was removed on … by …: registry restore … brings it back until …`.
fn of(removal: &Removal, name: &str) -> String {
    let removed = match &removal.removed {
        Some((at, by)) => format!(
            "was removed on {} by {}",
            values::time(*at),
            values::plain(&values::actor(by))
        ),
        None => "was removed".to_owned(),
    };
    let undo = match &removal.undo {
        Undo::Until(until) => format!(
            ": {}",
            values::brings_back(&format!("registry restore {name}"), *until)
        ),
        Undo::Possible => format!(": registry restore {name} brings it back"),
        Undo::Ended(Some(end)) => format!(", and its undo ended on {end}"),
        Undo::Ended(None) => ", and cannot be brought back".to_owned(),
    };
    removed + &undo
}
