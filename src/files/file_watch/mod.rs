//! Detection of changed files by their metadata.
//!
//! The kernel's notifications would miss changes on network file systems and behind swapped links.
//!
//! [`FileWatch`] tells when one of several files has changed. [`ParsedFile`] keeps the parsed content of one small file
//! current.

mod files;
mod parsed_file;
mod stamp;

pub use files::{Change, FileWatch};
pub use parsed_file::{Error, ParsedFile};
