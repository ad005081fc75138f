//! Tokens as they are stored, for authentication.

use tarkeep::auth::TokenRecord;
use tarkeep::registry::{SecretRow, TokenRow};

/// Converts a secret with its token.
pub(crate) fn token_record(token: &TokenRow, secret: &SecretRow) -> TokenRecord {
    TokenRecord {
        name: token.name.clone(),
        repositories: token.repositories.clone(),
        may: token.may.clone(),
        owner: token.owner.clone(),
        hash: secret.hash.clone(),
        expires_at: secret.expires_at,
        replaced_at: secret.replaced_at,
        revoked_at: token.revoked_at,
    }
}
