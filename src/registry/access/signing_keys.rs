//! Keys of the token service: made when one is needed, replaced every week.

use std::sync::Arc;
use std::time::Duration;

use crate::meta::{SigningKeyRow, WriteTx, millis, now};
use crate::registry::error::Error;
use crate::registry::facades::Tokens;

/// Time for which a key signs.
const SIGNS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Time for which a key verifies: that of signing, and more than any token lasts.
const VERIFIES: Duration = Duration::from_secs(8 * 24 * 3600);

impl Tokens<'_> {
    /// Returns the keys, the newest first, as of the last commit of any process.
    pub async fn signing_keys(self) -> Result<Arc<Vec<SigningKeyRow>>, Error> {
        Ok(self.registry.meta.signing_keys().await?)
    }

    /// Returns the key that signs; a new one, of this id and secret, if another is needed.
    pub async fn signing_key_or(self, id: String, secret: Vec<u8>) -> Result<SigningKeyRow, Error> {
        if let Some(key) = signing(&self.signing_keys().await?) {
            return Ok(key);
        }
        let change = move |tx: &WriteTx<'_>| {
            // another request or server may have made one
            if let Some(key) = signing(&tx.signing_keys()?) {
                return Ok(key);
            }
            let created_at = now();
            let key = SigningKeyRow {
                id,
                secret,
                created_at,
            };
            tx.replace_signing_keys(&key, created_at - millis(VERIFIES))?;
            Ok::<_, Error>(key)
        };
        self.registry.meta.write(change).await
    }
}

/// Returns the newest of these keys if it may sign; one from the future, left by a clock that was wrong, may not.
fn signing(keys: &[SigningKeyRow]) -> Option<SigningKeyRow> {
    let newest = keys.first()?;
    let may_sign = (0..millis(SIGNS)).contains(&(now() - newest.created_at));
    may_sign.then(|| newest.clone())
}
