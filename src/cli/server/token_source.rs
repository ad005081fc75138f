//! The registry as the store of the tokens that logins are compared with.

use std::net::IpAddr;
use std::sync::Arc;

use tarkeep::auth::{Answer, SigningKey, TokenRecord, TokenSource};
use tarkeep::registry::{self, Registry, SigningKeyRow};

use crate::cli::token_record::token_record;

/// Tokens of a registry.
pub(super) struct RegistryTokens(pub(super) Registry);

impl TokenSource for RegistryTokens {
    fn token<'s>(&'s self, id: &'s str) -> Answer<'s, Option<Arc<TokenRecord>>> {
        Box::pin(async move {
            let found = self.0.tokens().of_secret(id).await;
            let found = found.map_err(|error| error.to_string())?;
            Ok(found.map(|row| {
                let (token, secret) = &*row;
                Arc::new(token_record(token, secret))
            }))
        })
    }

    fn has_tokens(&self) -> Answer<'_, bool> {
        Box::pin(async move {
            let found = self.0.tokens().is_any_there().await;
            found.map_err(|error| error.to_string())
        })
    }

    fn verifying_keys(&self) -> Answer<'_, Vec<SigningKey>> {
        Box::pin(async move {
            let keys = self.0.tokens().signing_keys().await;
            let keys = keys.map_err(|error| error.to_string())?;
            Ok(keys.iter().map(key).collect())
        })
    }

    fn signing_key(&self, new: SigningKey) -> Answer<'_, SigningKey> {
        Box::pin(async move {
            let SigningKey { id, secret } = new;
            let found = self.0.tokens().signing_key_or(id, secret).await;
            found
                .map(|found| key(&found))
                .map_err(|error| error.to_string())
        })
    }

    fn issuer_keys<'s>(&'s self, issuer: &'s str) -> Answer<'s, Option<String>> {
        Box::pin(async move {
            let found = self.0.tokens().issuer_keys(issuer).await;
            found.map_err(|error| error.to_string())
        })
    }

    fn keep_issuer_keys<'s>(&'s self, issuer: &'s str, keys: String) -> Answer<'s, ()> {
        Box::pin(async move {
            let kept = self.0.tokens().keep_issuer_keys(issuer, keys).await;
            kept.map_err(|error| error.to_string())
        })
    }

    fn note_use(&self, id: &str, address: Option<IpAddr>) {
        let address = address.map(|address| address.to_canonical().to_string());
        self.0.tokens().note_use(id, address);
    }

    fn note_refused(&self, user: &str, address: Option<IpAddr>) {
        let address = address.map(|address| address.to_canonical().to_string());
        self.0.audit().note_refused(user, address);
    }

    fn now(&self) -> i64 {
        registry::now()
    }
}

fn key(row: &SigningKeyRow) -> SigningKey {
    SigningKey {
        id: row.id.clone(),
        secret: row.secret.clone(),
    }
}
