//! Detection of changed files by their metadata, without the help of the kernel's notifications, which network file systems and
//! swapped links do not give.
//!
//! [`FileWatch`] tells when one of several files has changed. [`ParsedFile`] keeps the parsed content of one small file
//! current.

mod files;
mod parsed_file;
mod stamp;

pub use files::{Change, FileWatch};
pub use parsed_file::{Error, ParsedFile};
