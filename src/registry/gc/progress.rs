//! How far a sweep has come, for whoever watches it.

use crate::meta::DueCounts;
use crate::registry::gc::swept::SweepCounts;

/// How far a sweep has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Things that were dealt with: manifests, blobs in repositories, blobs, and files.
    pub done: u64,
    /// All there are to deal with in this sweep, those included. An estimate, for one thing makes others due; it is made
    /// again before each kind of thing.
    pub due: u64,
    pub swept: SweepCounts,
}

/// Told after each change. None where nobody watches: then nothing is counted ahead.
pub type Watcher<'w> = Option<&'w mut (dyn FnMut(&Progress) + Send)>;

impl Progress {
    pub(in crate::registry) fn advance(&mut self, things: usize) {
        self.done += things as u64;
        self.due = self.due.max(self.done);
    }

    /// Sets what is due by what is found ahead. `is_held` says that what loses its last holder now stays for a while.
    pub(in crate::registry) fn expect(&mut self, ahead: &DueCounts, is_held: bool) {
        // with a link may go its blob, and with that its file
        let links = if is_held {
            ahead.links
        } else {
            ahead.links + ahead.references
        };
        self.due = self.done + ahead.manifests + 3 * links + 2 * ahead.blobs + ahead.removals;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_never_less_than_what_is_done_and_an_estimate_can_shrink() {
        let mut progress = Progress::default();
        progress.expect(
            &DueCounts {
                manifests: 2,
                references: 4,
                links: 1,
                blobs: 1,
                removals: 1,
            },
            false,
        );
        assert_eq!((progress.done, progress.due), (0, 2 + 3 * 5 + 2 + 1));
        progress.advance(2);
        progress.expect(
            &DueCounts {
                links: 3,
                blobs: 1,
                removals: 1,
                ..DueCounts::default()
            },
            true,
        );
        assert_eq!((progress.done, progress.due), (2, 2 + 9 + 2 + 1));
        progress.advance(20);
        assert_eq!((progress.done, progress.due), (22, 22));
    }
}
