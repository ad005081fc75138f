//! The report of an import, counted while it runs.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::import::collisions::Collision;
use crate::import::damage::Damage;
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::{ImportPiece, Way};

/// Result of an import, or the plan of one: what is new here, and what is left out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Repositories that get something new, by the name that they have here.
    pub repositories: BTreeMap<RepositoryName, NewContent>,
    /// New blobs, each counted once.
    pub blobs: u64,
    /// Bytes of the new blobs.
    pub size: u64,
    /// New blobs whose files were linked.
    pub linked: u64,
    /// Bytes that were copied.
    pub copied: u64,
    /// New blobs that a plan has not compared with their digests, which the import does.
    pub uncompared: u64,
    /// Pieces that were damaged here, and come sound.
    pub healed: Vec<Healed>,
    /// Tags that move from another target, those that follow a store included.
    pub moved: Vec<MovedTag>,
    /// Damage, and what was left out for another reason.
    pub problems: Vec<Problem>,
    pub unmatched: Option<Unmatched>,
    /// Tags that would overwrite each other, so that nothing is imported.
    pub collisions: Vec<Collision>,
}

/// Flags that fit nothing in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// As they are typed.
    pub flags: Vec<String>,
    /// Names that the source has.
    pub names: BTreeSet<RepositoryName>,
}

/// New content of a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewContent {
    pub tags: u64,
    pub manifests: u64,
    pub blobs: u64,
}

/// A piece that was damaged here, and comes sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Healed {
    Blob(Digest),
    Manifest(RepositoryName, Digest),
}

/// A tag that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTag {
    pub repository: RepositoryName,
    pub tag: TagName,
    /// Target before.
    pub was: Digest,
    pub digest: Digest,
}

/// A piece of the source that does not come here as it is.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Place in the source.
    pub path: PathBuf,
    pub damage: Damage,
}

/// Progress of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportState {
    pub repositories: u64,
    pub repositories_done: u64,
    pub manifests: u64,
    /// Bytes of new blobs.
    pub size: u64,
}

impl Report {
    /// True if nothing was left out.
    pub fn is_complete(&self) -> bool {
        let mut problems = self.problems.iter();
        self.unmatched.is_none() && problems.all(|problem| problem.damage == Damage::MendedLink)
    }
}

/// A report that several threads write.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    report: Report,
    state: ImportState,
    /// New blobs, which several repositories may bring.
    blobs: HashSet<Digest>,
    /// Blobs that are damaged here.
    damaged_blobs: HashSet<Digest>,
    /// Manifests that are damaged here.
    damaged_manifests: HashSet<(RepositoryName, Digest)>,
}

impl Ledger {
    pub fn expect(&self, repositories: usize) {
        self.0.lock().state.repositories += repositories as u64;
    }

    pub fn state(&self) -> ImportState {
        self.0.lock().state
    }

    /// Records what is damaged here: whatever of it comes is healed.
    pub fn expect_blobs(&self, damaged: HashSet<Digest>) {
        self.0.lock().damaged_blobs = damaged;
    }

    /// Like [`Self::expect_blobs`], for manifests of a repository.
    pub fn expect_manifests(&self, repository: &RepositoryName, damaged: &HashSet<Digest>) {
        let damaged = damaged.iter().cloned();
        let damaged = damaged.map(|digest| (repository.clone(), digest));
        self.0.lock().damaged_manifests.extend(damaged);
    }

    pub fn add_problem(&self, path: &Path, damage: Damage) {
        self.0.lock().report.problems.push(Problem {
            path: path.to_owned(),
            damage,
        });
    }

    /// Records which flags fit none of the source's names.
    pub fn set_unmatched(&self, flags: Vec<String>, names: BTreeSet<RepositoryName>) {
        if !flags.is_empty() {
            self.0.lock().report.unmatched = Some(Unmatched { flags, names });
        }
    }

    pub fn set_collisions(&self, collisions: Vec<Collision>) {
        self.0.lock().report.collisions = collisions;
    }

    pub fn add_moved(&self, tag: MovedTag) {
        self.0.lock().report.moved.push(tag);
    }

    /// Counts blobs that a repository did not show before.
    pub fn add_shown(&self, repository: &RepositoryName, blobs: usize) {
        if blobs == 0 {
            return;
        }
        let report = &mut self.0.lock().report;
        let content = report.repositories.entry(repository.clone()).or_default();
        content.blobs += blobs as u64;
    }

    /// Counts a blob that was not here at all; reports whether it was not counted before.
    pub fn add_new(&self, digest: &Digest, size: u64, way: Way) -> bool {
        let mut counted = self.0.lock();
        if !counted.blobs.insert(digest.clone()) {
            return false;
        }
        let Counted {
            report,
            state,
            damaged_blobs,
            ..
        } = &mut *counted;
        if damaged_blobs.remove(digest) {
            report.healed.push(Healed::Blob(digest.clone()));
        }
        report.blobs += 1;
        report.size += size;
        state.size += size;
        match way {
            Way::Link => report.linked += 1,
            Way::Copy => report.copied += size,
        }
        true
    }

    /// Counts a blob that was damaged here, and came through a stream; others are counted with their images.
    pub fn add_returned(&self, digest: &Digest, size: u64) {
        let is_damaged = self.0.lock().damaged_blobs.contains(digest);
        if is_damaged {
            self.add_new(digest, size, Way::Copy);
        }
    }

    /// Counts a new blob that a plan has not read.
    pub fn add_planned(&self, digest: &Digest, size: u64, way: Way) {
        if self.add_new(digest, size, way) {
            self.0.lock().report.uncompared += 1;
        }
    }

    /// Counts what pieces bring.
    pub fn add_pieces(&self, pieces: &[ImportPiece]) {
        let mut counted = self.0.lock();
        let Counted {
            report,
            state,
            damaged_manifests,
            ..
        } = &mut *counted;
        let mut healed = Vec::new();
        let mut content = |name: &RepositoryName, tags: usize, manifests: usize| {
            if tags + manifests > 0 {
                let content = report.repositories.entry(name.clone()).or_default();
                content.tags += tags as u64;
                content.manifests += manifests as u64;
            }
        };
        for piece in pieces {
            match piece {
                ImportPiece::Manifests(name, manifests) => {
                    state.manifests += manifests.len() as u64;
                    content(name, 0, manifests.len());
                    for manifest in manifests {
                        let piece = (name.clone(), manifest.digest().clone());
                        if damaged_manifests.remove(&piece) {
                            healed.push(Healed::Manifest(piece.0, piece.1));
                        }
                    }
                }
                ImportPiece::Tags(name, tags) => content(name, tags.len(), 0),
                ImportPiece::End => state.repositories_done += 1,
                ImportPiece::Blobs(..) | ImportPiece::Stored(..) | ImportPiece::Damaged(_) => {}
            }
        }
        report.healed.append(&mut healed);
    }

    pub fn report(&self) -> Report {
        self.0.lock().report.clone()
    }
}
