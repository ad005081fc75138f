//! Collection beside a running server, and content it must never remove.

mod backup;
mod clock;
pub mod file_systems;
mod full_disk;
mod garbage_collect;
mod races;
mod row_ids;
mod rules;
mod termination;

use crate::support::{Server, sha256};

/// The files of all blobs, as digests.
fn stored(server: &Server) -> Vec<String> {
    let name = |path: &std::path::PathBuf| {
        format!(
            "sha256:{}",
            path.file_name().expect("a name").to_string_lossy()
        )
    };
    let mut digests: Vec<_> = server.blob_files().iter().map(name).collect();
    digests.sort();
    digests
}

fn digests(contents: &[&[u8]]) -> Vec<String> {
    let mut digests: Vec<_> = contents.iter().map(|content| sha256(content)).collect();
    digests.sort();
    digests
}
