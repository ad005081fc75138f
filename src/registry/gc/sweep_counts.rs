//! Result of a sweep.

/// Number of items that were collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SweepCounts {
    pub tags: u64,
    pub manifests: u64,
    /// Blobs removed from repositories that do not reference them.
    pub links: u64,
    pub blobs: u64,
    /// Removed files, and their size in bytes.
    pub files: u64,
    pub bytes: u64,
    /// Expired upload sessions and orphaned upload files. Not counted by the sweep itself, but by
    /// its caller.
    pub uploads: u64,
    /// Deleted manifests that cannot be restored any more.
    pub trash: u64,
    /// Former states of tags that were forgotten.
    pub history: u64,
    /// Database pages (4 KiB) released to the file system.
    pub pages: u64,
    /// Items that could not be collected; the log names them.
    pub failures: u64,
}

/// Tags of a repository that one rule has removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedByRule {
    pub repository: String,
    /// Glob of the policy.
    pub policy: String,
    /// Globs of the rule.
    pub rule: String,
    pub tags: u64,
    /// Names of the first tags.
    pub names: Vec<String>,
}

/// Result of a sweep, with the tags that rules removed.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    pub counts: SweepCounts,
    pub by_rules: Vec<RemovedByRule>,
}

impl std::ops::AddAssign for SweepCounts {
    fn add_assign(&mut self, other: Self) {
        self.tags += other.tags;
        self.manifests += other.manifests;
        self.links += other.links;
        self.blobs += other.blobs;
        self.files += other.files;
        self.bytes += other.bytes;
        self.uploads += other.uploads;
        self.trash += other.trash;
        self.history += other.history;
        self.pages += other.pages;
        self.failures += other.failures;
    }
}
