//! Selection of a source's repositories, and the names that they get here.

use std::collections::BTreeSet;
use std::fmt;

use crate::import::damage::Damage;
use crate::oci::{Glob, RepositoryName};

/// Selection of a source's repositories, and the names that they get here.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Globs for names in the source; empty for all.
    pub only: Vec<Glob>,
    /// Renamings, of which the first that fits applies.
    pub maps: Vec<NameMap>,
}

/// A renaming: `OLD=NEW` of one repository, or `OLD/**=NEW/**` of all below a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameMap {
    old: String,
    new: String,
    /// True if both are prefixes.
    is_prefix: bool,
}

impl NameMap {
    /// Parses a renaming.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let usage = "write OLD=NEW, or OLD/**=NEW/** for everything below a prefix";
        let (old, new) = text.split_once('=').ok_or(usage)?;
        let map = match (old.strip_suffix("**"), new.strip_suffix("**")) {
            (Some(old), Some(new)) => Self {
                old: old.to_owned(),
                new: new.to_owned(),
                is_prefix: true,
            },
            (None, None) => Self {
                old: old.to_owned(),
                new: new.to_owned(),
                is_prefix: false,
            },
            _ => return Err(usage.to_owned()),
        };
        for name in [&map.old, &map.new] {
            let is_whole = name.is_empty() || name.ends_with('/');
            match RepositoryName::parse(name.trim_end_matches('/')) {
                _ if map.is_prefix && name.is_empty() => {}
                Ok(_) if map.is_prefix == is_whole => {}
                Ok(_) => return Err(usage.to_owned()),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(map)
    }

    fn apply(&self, name: &str) -> Option<String> {
        let rest = name.strip_prefix(&self.old)?;
        if rest.is_empty() == self.is_prefix {
            return None;
        }
        Some(format!("{}{rest}", self.new))
    }
}

impl fmt::Display for NameMap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.is_prefix { "**" } else { "" };
        write!(formatter, "{}{below}={}{below}", self.old, self.new)
    }
}

impl Selection {
    /// Returns the globs and renamings that fit none of these names of the source, as they are typed.
    pub(super) fn unmatched(&self, names: &BTreeSet<RepositoryName>) -> Vec<String> {
        let has_name = |fits: &dyn Fn(&str) -> bool| names.iter().any(|name| fits(name.as_str()));
        let globs = self
            .only
            .iter()
            .filter(|glob| !has_name(&|name| glob.matches(name)))
            .map(|glob| format!("--only {}", glob.as_str()));
        let maps = self
            .maps
            .iter()
            .filter(|map| !has_name(&|name| map.apply(name).is_some()))
            .map(|map| format!("--map {map}"));
        globs.chain(maps).collect()
    }

    /// Returns the name that a repository gets here; `None` if it is not selected.
    ///
    /// # Errors
    /// [`Damage::Name`] if it is too long.
    pub(super) fn name(&self, source: &RepositoryName) -> Result<Option<RepositoryName>, Damage> {
        let is_selected =
            self.only.is_empty() || self.only.iter().any(|glob| glob.matches(source.as_str()));
        if !is_selected {
            return Ok(None);
        }
        let mapped = self.maps.iter().find_map(|map| map.apply(source.as_str()));
        match mapped {
            None => Ok(Some(source.clone())),
            Some(mapped) => RepositoryName::parse(&mapped)
                .map(Some)
                .map_err(|error| Damage::Name(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(maps: &[&str], only: &[&str], source: &str) -> Option<String> {
        let parse = |text: &&str| NameMap::parse(text).unwrap();
        let selection = Selection {
            only: only
                .iter()
                .map(|text| Glob::for_repositories(text).unwrap())
                .collect(),
            maps: maps.iter().map(parse).collect(),
        };
        let name = selection.name(&RepositoryName::parse(source).unwrap());
        name.unwrap().map(|name| name.to_string())
    }

    #[test]
    fn the_first_renaming_that_fits_applies() {
        let maps = ["app=team/app", "old/**=new/**", "**=rest/**"];
        for (source, result) in [
            ("app", "team/app"),
            ("app/web", "rest/app/web"),
            ("old/a/b", "new/a/b"),
            ("old", "rest/old"),
        ] {
            assert_eq!(name(&maps, &[], source).as_deref(), Some(result));
        }
        assert_eq!(name(&["a/**=**"], &[], "a/b").as_deref(), Some("b"));
        assert_eq!(name(&[], &["a/*", "b"], "a/b").as_deref(), Some("a/b"));
        assert_eq!(name(&[], &["a/*", "b"], "a"), None);
    }

    #[test]
    fn what_is_no_renaming_is_rejected() {
        for text in [
            "app", "a=", "=b", "a/**=b", "a=b/**", "A=b", "a**=b**", "a/=b/", "a/*=b/*", "a=b=c",
        ] {
            assert!(NameMap::parse(text).is_err(), "{text}");
        }
    }
}
