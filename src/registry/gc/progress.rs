//! Progress of a sweep.

use crate::meta::{DueCounts, Millis};
use crate::registry::gc::sweep_counts::SweepCounts;

/// Progress of a sweep.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Items processed: manifests, links, blobs and files.
    pub done: u64,
    /// Items to process in this sweep, including those done.
    ///
    /// An estimate, because removing one item makes others due; renewed before each kind of item.
    pub due: u64,
    pub swept: SweepCounts,
}

/// Callback after each transaction; without one, nothing is counted ahead.
pub type Watcher<'w> = Option<&'w mut (dyn FnMut(&Progress) + Send)>;

impl Progress {
    pub(in crate::registry) fn advance(&mut self, things: usize) {
        self.done += things as u64;
        self.due = self.due.max(self.done);
    }

    /// Sets the estimate from counts of due items.
    ///
    /// With a hold period, items that lose their last holder stay for now.
    pub(in crate::registry) fn expect(&mut self, ahead: &DueCounts, hold_period: Millis) {
        // a removed link may release its blob, and that its file
        let links = if hold_period > 0 {
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
            0,
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
            1,
        );
        assert_eq!((progress.done, progress.due), (2, 2 + 9 + 2 + 1));
        progress.advance(20);
        assert_eq!((progress.done, progress.due), (22, 22));
    }
}
