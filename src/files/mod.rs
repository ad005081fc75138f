//! Files that owners name or change: reading, replacing and watching them.

pub mod atomic_file;
pub mod dir_check;
pub mod file_watch;
pub mod regular_file;
