//! Damaged content, which is not served.

use serde::{Deserialize, Serialize};

use crate::registry::Damaged;

/// A manifest or blob that is not served until it is pushed again.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DamageItem {
    pub digest: String,
    pub reason: String,
}

/// Converts damaged pieces.
pub fn damage(pieces: &[Damaged]) -> Vec<DamageItem> {
    let item = |piece: &Damaged| DamageItem {
        digest: piece.digest.to_string(),
        reason: piece.damage.clone(),
    };
    pieces.iter().map(item).collect()
}
