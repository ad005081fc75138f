//! Tokens of the token service whose signature was found right: most come a dozen times, once with each request of a pull.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::bearer::Claims;

/// Maximum number of tokens kept.
const CAPACITY: usize = 1000;

/// Verified tokens, until they expire. What they prove is looked up with each use all the same.
#[derive(Default)]
pub(super) struct VerifiedTokens(Mutex<HashMap<Box<[u8]>, Arc<Claims>>>);

impl VerifiedTokens {
    /// Returns the claims of a token that has not expired at `now`, in seconds since 1970.
    pub(super) fn get(&self, token: &[u8], now: i64) -> Option<Arc<Claims>> {
        let tokens = self.0.lock();
        let claims = tokens.get(token).filter(|claims| claims.exp > now);
        claims.cloned()
    }

    pub(super) fn insert(&self, token: &[u8], claims: &Arc<Claims>, now: i64) {
        let mut tokens = self.0.lock();
        if tokens.len() >= CAPACITY {
            tokens.retain(|_, claims| claims.exp > now);
        }
        if tokens.len() >= CAPACITY {
            tokens.clear();
        }
        tokens.insert(token.into(), Arc::clone(claims));
    }
}
