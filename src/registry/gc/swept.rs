//! The result of a sweep.

/// What was collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SweepCounts {
    pub tags: u64,
    pub manifests: u64,
    /// Blobs taken out of repositories in which nothing needs them.
    pub links: u64,
    pub blobs: u64,
    /// Files removed, and the disk that they took, in bytes.
    pub files: u64,
    pub bytes: u64,
    /// Upload sessions that were over, and files of uploads that nobody owned. Not of a sweep, but of who counts them in.
    pub uploads: u64,
    /// Deleted manifests that cannot be brought back any more.
    pub trash: u64,
    /// Ended states of tags that were forgotten.
    pub history: u64,
    /// Of the database, given back to the file system; of 4 KiB.
    pub pages: u64,
    /// Things that could not be collected; the log names them.
    pub failures: u64,
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
