//! Keys of issuers whose tokens are trusted, stored for the time in which an issuer is down.

use crate::meta::{WriteTx, point};
use crate::registry::error::Error;
use crate::registry::facades::Tokens;

impl Tokens<'_> {
    /// Returns the keys of an issuer that were stored last.
    pub async fn issuer_keys(self, issuer: &str) -> Result<Option<String>, Error> {
        let issuer = issuer.to_owned();
        let read = point(move |reader| reader.issuer_keys(&issuer));
        Ok(self.registry.meta.read(read).await?)
    }

    /// Stores the keys of an issuer.
    pub async fn keep_issuer_keys(self, issuer: &str, keys: String) -> Result<(), Error> {
        let issuer = issuer.to_owned();
        let change = move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.set_issuer_keys(&issuer, &keys)?);
        self.registry.meta.write_lazily(change).await
    }
}
