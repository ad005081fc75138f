//! Files that owners name or change: reading, replacing and watching them, and the directories of the store.

pub mod atomic_file;
pub mod base_directory;
pub mod dir_check;
pub mod file_watch;
pub mod regular_file;
pub mod resolved;
