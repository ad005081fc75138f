//! The rule about tags that another registry has: whoever changed a tag here keeps it.

use crate::meta::{TagMemory, TagSource};
use crate::oci::{Digest, RepositoryName};
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::import::piece::{ImportedTag, TagClaim};
use crate::registry::policy::retention::Retention;

/// Outcome for a tag of another registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagFate {
    /// It is not here, and gets the other registry's target.
    Set,
    /// It moves from this target to the other registry's, by way of the targets between.
    Moved(Digest),
    /// It has that target.
    Unchanged,
    /// It was changed or removed here, and not there since.
    KeptHere,
    /// It was changed or removed here, and has another target there.
    ChangedOnBothSides,
    /// It may not move here, for the reason given.
    Immutable(String),
}

impl TagFate {
    /// Decides by what is remembered of the tag here.
    pub(super) fn of(memory: &TagMemory, target: &Digest) -> Self {
        match &memory.current {
            Some((current, _)) if current == target => Self::Unchanged,
            Some((current, TagSource::Store)) => Self::Moved(current.clone()),
            None if !memory.has_past => Self::Set,
            _ if memory.had_target => Self::KeptHere,
            _ => Self::ChangedOnBothSides,
        }
    }

    /// Like [`Self::of`], under the rules about immutable tags.
    pub(super) fn under_rules(
        memory: &TagMemory,
        tag: &ImportedTag,
        repository: &RepositoryName,
        retention: &Retention,
    ) -> Self {
        let fate = match (Self::of(memory, &tag.target), &memory.current) {
            (Self::Moved(_), _) if tag.claim == TagClaim::New => Self::KeptHere,
            (Self::KeptHere | Self::ChangedOnBothSides, None) if tag.takes(None) => Self::Set,
            (Self::KeptHere | Self::ChangedOnBothSides, Some((current, source)))
                if tag.takes(Some(*source)) =>
            {
                Self::Moved(current.clone())
            }
            (fate, _) => fate,
        };
        if matches!(fate, Self::Moved(_))
            && let Err(immutable) = retention.check_mutable(repository, tag.name.as_str())
        {
            return Self::Immutable(immutable.to_string());
        }
        fate
    }
}

impl ImportedTag {
    /// Reports whether it takes the place of a tag that was changed here, or removed.
    ///
    /// Nothing is lost by setting a removed tag that an archive names.
    fn takes(&self, here: Option<TagSource>) -> bool {
        self.claim == TagClaim::Move
            || (self.source == TagSource::Archive && here != Some(TagSource::Here))
    }
}

impl Import<'_> {
    /// Decides about tags of another registry, as far as can be told before they are recorded.
    pub async fn tag_fates(
        self,
        repository: &RepositoryName,
        tags: Vec<ImportedTag>,
    ) -> Result<Vec<(ImportedTag, TagFate)>, Error> {
        let (repository, settings) = (repository.clone(), self.registry.settings());
        self.registry
            .scan(move |reader| {
                tags.into_iter()
                    .map(|tag| {
                        let memory = reader.tag_memory(&repository, &tag.name, &tag.target)?;
                        let fate =
                            TagFate::under_rules(&memory, &tag, &repository, &settings.retention);
                        Ok((tag, fate))
                    })
                    .collect()
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_import_s_own_tags_move_and_what_was_removed_here_stays_removed() {
        let digest = |hex: &str| Digest::parse(&format!("sha256:{}", hex.repeat(64))).unwrap();
        let (theirs, ours) = (digest("a"), digest("b"));
        let fate = |current: Option<(&Digest, TagSource)>, has_past, had_target| {
            let current = current.map(|(digest, source)| (digest.clone(), source));
            let memory = TagMemory {
                current,
                has_past,
                had_target,
            };
            TagFate::of(&memory, &theirs)
        };
        assert_eq!(fate(None, false, false), TagFate::Set);
        assert_eq!(
            fate(Some((&ours, TagSource::Store)), true, true),
            TagFate::Moved(ours.clone())
        );
        let theirs_here = Some((&theirs, TagSource::Here));
        assert_eq!(fate(theirs_here, true, true), TagFate::Unchanged);
        for current in [None, Some((&ours, TagSource::Here))] {
            assert_eq!(fate(current, true, true), TagFate::KeptHere);
            assert_eq!(fate(current, true, false), TagFate::ChangedOnBothSides);
        }
    }
}
