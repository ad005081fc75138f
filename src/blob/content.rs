//! The content of a blob, as its readers see it.

use super::file::BlobFile;
use super::growth::GrowingBlob;

/// The content of a blob, by where its bytes come from.
#[derive(Debug)]
pub enum BlobContent {
    /// A file on this machine, which a connection may send without copies.
    File(BlobFile),
    /// A file that another registry's bytes are being written to.
    Growing(GrowingBlob),
}
