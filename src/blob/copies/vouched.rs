//! Knowledge of a blob's files in earlier copies.

/// Statements of the databases of earlier copies about a blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vouched {
    /// The file in the copy is the blob's present one, or a copy of it.
    pub in_copy: bool,
    /// The file in the earlier copy is.
    pub in_earlier: bool,
}
