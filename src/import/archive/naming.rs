//! The repository and tag that an image gets, by the names in its layout and what the user asks for.

use crate::import::damage::Damage;
use crate::import::selection::Selection;
use crate::oci::layout::{IMAGE_NAME, OWN_NAME, REF_NAME};
use crate::oci::{Descriptor, RepositoryName, TagName};

/// Hosts whose official images have no path of their own.
const DOCKER_HUB: [&str; 2] = ["docker.io", "index.docker.io"];

/// Place that a user names for the images of a layout: `REPOSITORY[:TAG]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub repository: RepositoryName,
    pub tag: Option<TagName>,
}

/// A name as a layout has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StatedName {
    pub repository: Option<String>,
    pub tag: Option<String>,
    /// True for a signature or referrer, which goes where its image goes.
    pub is_companion: bool,
}

impl Place {
    /// Parses `REPOSITORY[:TAG]`.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let stated = StatedName::parse(text);
        let repository = stated.repository.unwrap_or_default();
        let tag = stated.tag.map(|tag| TagName::parse(&tag)).transpose();
        Ok(Self {
            repository: RepositoryName::parse(&repository).map_err(|error| error.to_string())?,
            tag: tag.map_err(|error| error.to_string())?,
        })
    }
}

impl StatedName {
    /// Reads the annotations of an entry of an index.
    pub fn of(entry: &Descriptor) -> Self {
        let annotation = |key: &str| entry.annotations.as_ref()?.get(key).map(String::as_str);
        if let Some(name) = annotation(OWN_NAME) {
            let (repository, tag) = match name.split_once(':') {
                Some((repository, tag)) => (repository, Some(tag.to_owned())),
                None => (name, None),
            };
            return Self {
                repository: Some(repository.to_owned()),
                tag,
                is_companion: annotation(IMAGE_NAME).is_none(),
            };
        }
        match (annotation(IMAGE_NAME), annotation(REF_NAME)) {
            (Some(name), _) => Self::parse(name),
            (None, Some(name)) if name.contains(['/', ':']) => Self::parse(name),
            (None, name) => Self {
                tag: name.map(str::to_owned),
                ..Self::default()
            },
        }
    }

    /// Reads `[HOST[:PORT]/]REPOSITORY[:TAG|@DIGEST]`; what cannot be a host stays a part of the repository.
    pub fn parse(text: &str) -> Self {
        let name = text.split_once('@').map_or(text, |(name, _)| name);
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (name, None),
        };
        let repository = match name.split_once('/') {
            Some((host, rest)) if DOCKER_HUB.contains(&host) => {
                rest.strip_prefix("library/").unwrap_or(rest)
            }
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
            _ => name,
        };
        Self {
            repository: Some(repository.to_owned()),
            tag,
            is_companion: false,
        }
    }

    /// Returns the name of its repository, if it has a valid one.
    pub fn repository(&self) -> Option<RepositoryName> {
        let name = self.repository.as_deref()?;
        RepositoryName::parse(name).ok()
    }

    /// Decides about the place; `None` if the image is not selected, or goes where its subject goes.
    ///
    /// # Errors
    /// [`Damage::Unnamed`] and [`Damage::Name`].
    pub fn place(
        &self,
        asked: Option<&Place>,
        selection: &Selection,
    ) -> Result<Option<Place>, Damage> {
        let invalid = |error: crate::oci::NameError| Damage::Name(error.to_string());
        let own_tag = || self.tag.as_deref().map(TagName::parse).transpose();
        if let Some(asked) = asked {
            let tag = match (&asked.tag, self.is_companion) {
                (Some(tag), false) => Some(tag.clone()),
                _ => own_tag().map_err(invalid)?,
            };
            let repository = asked.repository.clone();
            return Ok(Some(Place { repository, tag }));
        }
        let Some(repository) = &self.repository else {
            return Err(Damage::Unnamed);
        };
        let repository = RepositoryName::parse(repository).map_err(invalid)?;
        let Some(repository) = selection.name(&repository)? else {
            return Ok(None);
        };
        let tag = own_tag().map_err(invalid)?;
        Ok(Some(Place { repository, tag }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_no_part_of_a_repository() {
        for (text, repository, tag) in [
            ("docker.io/library/alpine:3", "alpine", Some("3")),
            ("docker.io/team/app", "team/app", None),
            ("alpine:latest", "alpine", Some("latest")),
            ("old.lan:5000/team/app:v1", "team/app", Some("v1")),
            ("localhost/app:v1", "app", Some("v1")),
            ("team/app:v1@sha256:ab", "team/app", Some("v1")),
            ("old.lan:5000/app", "app", None),
        ] {
            let stated = StatedName::parse(text);
            assert_eq!(stated.repository.as_deref(), Some(repository), "{text}");
            assert_eq!(stated.tag.as_deref(), tag, "{text}");
        }
    }

    #[test]
    fn a_named_place_wins_and_an_unnamed_image_needs_one() {
        let all = Selection::default();
        let asked = Place::parse("mine/app:v2").unwrap();
        let bare = StatedName {
            tag: Some("v1".to_owned()),
            ..StatedName::default()
        };
        assert_eq!(bare.place(None, &all), Err(Damage::Unnamed));
        assert_eq!(bare.place(Some(&asked), &all), Ok(Some(asked.clone())));
        let only = Place::parse("mine/app").unwrap();
        let placed = bare.place(Some(&only), &all).unwrap().unwrap();
        assert_eq!(placed, Place::parse("mine/app:v1").unwrap());
        let upper = StatedName::parse("App:v1");
        assert!(matches!(upper.place(None, &all), Err(Damage::Name(_))));
        for text in ["App", "a:b:c/", "", "a:-"] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }
}
