//! What is known of a blob's files in earlier copies.

/// What the databases of earlier copies say of a blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vouched {
    /// The file in the copy is the blob's present one, or a copy of it.
    pub in_copy: bool,
    /// That in the earlier copy is.
    pub in_earlier: bool,
}
