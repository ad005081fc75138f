//! Changes of several files that belong together.

use std::path::PathBuf;

use super::stamp::Stamp;

/// Watch over files whose state was accepted at some time.
#[derive(Debug)]
pub struct FileWatch {
    paths: Vec<PathBuf>,
    /// State that [`Self::accept`] has last accepted.
    accepted: Vec<Option<Stamp>>,
    /// State at the last poll.
    seen: Vec<Option<Stamp>>,
}

/// Difference between the files as they are and as they were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    /// The files have changed since the last poll too, and may still be written.
    Unsettled,
    /// The files are as they were at the last poll.
    Settled,
}

impl FileWatch {
    /// Accepts the files as they are now; a file may be missing.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<_> = paths.into_iter().collect();
        let now: Vec<_> = paths.iter().map(|path| Stamp::of(path)).collect();
        Self {
            paths,
            accepted: now.clone(),
            seen: now,
        }
    }

    /// Compares the files with their accepted state. Blocks for the file system.
    pub fn poll(&mut self) -> Change {
        let now: Vec<_> = self.paths.iter().map(|path| Stamp::of(path)).collect();
        let is_settled = now == self.seen;
        self.seen = now;
        match () {
            () if self.seen == self.accepted => Change::None,
            () if is_settled => Change::Settled,
            () => Change::Unsettled,
        }
    }

    /// Accepts the state that the last poll has found. The next poll finds later changes.
    pub fn accept(&mut self) {
        self.accepted.clone_from(&self.seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_settled_once_two_polls_agree_and_until_accepted() {
        let directory = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
        std::fs::write(&one, "1").unwrap();
        let mut watch = FileWatch::new([one.clone(), other.clone()]);
        assert_eq!(watch.poll(), Change::None);
        for (path, content) in [(&one, "10"), (&other, "2")] {
            std::fs::write(path, content).unwrap();
            assert_eq!(watch.poll(), Change::Unsettled);
            assert_eq!(watch.poll(), Change::Settled);
        }
        // a change between poll and acceptance is not lost
        std::fs::remove_file(&other).unwrap();
        watch.accept();
        assert_eq!(watch.poll(), Change::Unsettled);
        watch.accept();
        assert_eq!(watch.poll(), Change::None);
    }
}
