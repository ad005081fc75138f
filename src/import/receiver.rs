//! Receivers of what is read from a source: the take-over, an import, or the plan of one.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::import::damage::Damage;
use crate::import::error::Error;
use crate::import::remote::RemoteBlob;
use crate::oci::{Descriptor, Digest, ManifestError, RepositoryName, TagName};
use crate::registry::{ImportPiece, ImportedBlob, ImportedTag, Present, TagFate, Wanted};

/// Maximum number of tags in a piece.
const TAGS: usize = 1000;

/// Receiver of what is read from a source. Every call may block.
pub(super) trait Receiver: Sync {
    /// Learns how many repositories there are.
    fn expect(&self, repositories: usize);

    /// Returns what is here of a repository, which need not be read again.
    fn present(&self, repository: &RepositoryName) -> Result<Present, Error>;

    /// Returns what of a repository is to come, of these tags of another registry.
    fn wanted(
        &self,
        _repository: &RepositoryName,
        tags: BTreeSet<String>,
    ) -> Result<Wanted, Error> {
        let roots = HashSet::new();
        Ok(Wanted { tags, roots })
    }

    /// Reports whether a manifest may come that no index needs.
    fn is_wanted(&self, _repository: &RepositoryName, _digest: &Digest) -> Result<bool, Error> {
        Ok(true)
    }

    /// Returns the bytes of a sound manifest that the repository has, but for what it names.
    fn known_manifest(
        &self,
        _repository: &RepositoryName,
        _digest: &Digest,
    ) -> Result<Option<Bytes>, Error> {
        Ok(None)
    }

    /// Reports whether a child of an index is to come, of all these.
    fn wants_child(&self, _child: &Digest, _children: &[Descriptor]) -> bool {
        true
    }

    /// Returns further tags of another registry that are to come with these manifests.
    fn companions(&self, _manifests: &HashSet<Digest>) -> BTreeSet<String> {
        BTreeSet::new()
    }

    /// Learns of tags whose images did not come, with these digests.
    fn leave_out(
        &self,
        _repository: &RepositoryName,
        _tags: Vec<(TagName, Digest)>,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// Brings the files of blobs.
    fn bring(
        &self,
        repository: &RepositoryName,
        blobs: Vec<ImportedBlob>,
    ) -> Result<Arrived, Error>;

    /// Fetches blobs from another registry and stores them.
    fn fetch(
        &self,
        _repository: &RepositoryName,
        _blobs: Vec<RemoteBlob>,
    ) -> Result<Arrived, Error> {
        Ok(Arrived::default())
    }

    /// Returns the size of a blob that is stored here, whichever repository has it, and has it stay for now.
    fn stored_blob(&self, _digest: &Digest) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    /// Returns the bytes of a manifest that is stored here, whichever repository has it.
    fn stored_manifest(&self, _digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    /// Returns why the config of an image, stored here in whichever repository, is not accepted.
    fn refused_config(&self, _digest: &Digest) -> Result<Option<ManifestError>, Error> {
        Ok(None)
    }

    /// Counts a blob that came through a stream, or was here, and now belongs to a repository.
    fn count_stored(
        &self,
        _repository: &RepositoryName,
        _digest: &Digest,
        _size: u64,
        _is_new: bool,
    ) {
    }

    /// Counts a blob that came through a stream, if it was damaged here: the repositories that lacked it show it again already.
    fn count_returned(&self, _digest: &Digest, _size: u64) {}

    /// Decides about tags.
    fn judge(
        &self,
        repository: &RepositoryName,
        tags: Vec<ImportedTag>,
    ) -> Result<Vec<(ImportedTag, TagFate)>, Error>;

    /// Returns the pieces that set tags of another registry; reports those that stay as they are for a reason.
    fn settle(
        &self,
        repository: &RepositoryName,
        tags: Vec<ImportedTag>,
        path: &dyn Fn(&TagName) -> PathBuf,
    ) -> Result<Vec<ImportPiece>, Error> {
        let mut to_set = Vec::new();
        for (tag, fate) in self.judge(repository, tags)? {
            let damage = match fate {
                TagFate::Set | TagFate::Moved(_) => {
                    to_set.push(tag);
                    continue;
                }
                TagFate::Unchanged | TagFate::KeptHere => continue,
                TagFate::ChangedOnBothSides => Damage::ChangedOnBothSides,
                TagFate::Immutable(reason) => Damage::Immutable(reason),
            };
            self.report(&path(&tag.name), damage);
        }
        let pieces = to_set.chunks(TAGS);
        let pieces = pieces.map(|tags| ImportPiece::Tags(repository.clone(), tags.to_vec()));
        Ok(pieces.collect())
    }

    /// Takes pieces to record.
    fn take(&self, pieces: Vec<ImportPiece>) -> Result<(), Error>;

    /// Learns of damage in the source, or of a reason why something is left out.
    fn report(&self, path: &Path, damage: Damage);
}

/// Blobs whose files have come.
#[derive(Default)]
pub(super) struct Arrived {
    /// Pieces that make them visible.
    pub pieces: Vec<ImportPiece>,
    /// Blobs that did not come, with the reasons.
    pub failed: Vec<(Digest, Damage)>,
}
