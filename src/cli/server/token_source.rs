//! The registry as the store of the tokens that logins are compared with.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tarkeep::auth::{Answer, RefusedLogin, SigningKey, TokenRecord, TokenSource};
use tarkeep::registry::{self, Actor, Registry, SecretRow, SigningKeyRow, TokenRow};

use crate::cli::token_record::token_record;

/// Maximum number of records kept in memory.
const RECORDS: usize = 1000;

/// Tokens of a registry.
pub(super) struct RegistryTokens {
    registry: Registry,
    /// By id of the secret. What the registry finds is asked for at each use, and converted once.
    records: Mutex<HashMap<String, Converted>>,
}

/// Record, with the rows that it was made from.
type Converted = (Arc<(TokenRow, SecretRow)>, Arc<TokenRecord>);

impl RegistryTokens {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            records: Mutex::default(),
        }
    }

    /// Returns the record of rows; the same one for as long as the rows are the same in memory.
    fn record(&self, id: &str, rows: Arc<(TokenRow, SecretRow)>) -> Arc<TokenRecord> {
        let mut records = self.records.lock();
        if let Some((known, record)) = records.get(id)
            && Arc::ptr_eq(known, &rows)
        {
            return Arc::clone(record);
        }
        let record = Arc::new(token_record(&rows.0, &rows.1));
        if records.len() >= RECORDS {
            records.clear();
        }
        records.insert(id.to_owned(), (rows, Arc::clone(&record)));
        record
    }
}

impl TokenSource for RegistryTokens {
    fn token<'s>(&'s self, id: &'s str) -> Answer<'s, Option<Arc<TokenRecord>>> {
        Box::pin(async move {
            let found = self.registry.tokens().of_secret(id).await;
            let found = found.map_err(|error| error.to_string())?;
            Ok(found.map(|rows| self.record(id, rows)))
        })
    }

    fn has_tokens(&self) -> Answer<'_, bool> {
        Box::pin(async move {
            let found = self.registry.tokens().is_any_there().await;
            found.map_err(|error| error.to_string())
        })
    }

    fn verifying_keys(&self) -> Answer<'_, Vec<SigningKey>> {
        Box::pin(async move {
            let keys = self.registry.tokens().signing_keys().await;
            let keys = keys.map_err(|error| error.to_string())?;
            Ok(keys.iter().map(key).collect())
        })
    }

    fn signing_key(&self, new: SigningKey) -> Answer<'_, SigningKey> {
        Box::pin(async move {
            let SigningKey { id, secret } = new;
            let found = self.registry.tokens().signing_key_or(id, secret).await;
            found
                .map(|found| key(&found))
                .map_err(|error| error.to_string())
        })
    }

    fn issuer_keys<'s>(&'s self, issuer: &'s str) -> Answer<'s, Option<String>> {
        Box::pin(async move {
            let found = self.registry.tokens().issuer_keys(issuer).await;
            found.map_err(|error| error.to_string())
        })
    }

    fn keep_issuer_keys<'s>(&'s self, issuer: &'s str, keys: String) -> Answer<'s, ()> {
        Box::pin(async move {
            let kept = self.registry.tokens().keep_issuer_keys(issuer, keys).await;
            kept.map_err(|error| error.to_string())
        })
    }

    fn note_use(&self, id: &str, address: Option<IpAddr>) {
        self.registry.tokens().note_use(id, address);
    }

    fn note_refused(&self, refused: RefusedLogin<'_>) {
        let address = refused.address.map(|address| address.to_canonical());
        let actor = Actor {
            name: Some(refused.user.to_owned()).filter(|user| !user.is_empty()),
            address: address.map(|address| address.to_string()),
            user_agent: refused.user_agent.map(str::to_owned),
            ..Actor::default()
        };
        let reason = refused.reason.map(str::to_owned);
        self.registry.audit().note_refused(actor, reason);
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
