//! Directories for what an input needs on disk.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Returns a new directory below that of temporary files, which `tests/fuzz/run` removes.
pub fn directory() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("tarkeep-fuzz-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a directory");
    path
}
