//! Judgement of tokens by the section `trust`.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::claims;
use super::keys::{IssuerKeys, Issuers};
use super::settings::TrustSettings;
use super::verification::verified_claims;
use crate::auth::authorization::{Claims, TrustGrant};
use crate::auth::issued::{TokenSource, Void};

/// Maximum size of a token, in bytes.
const LONGEST: usize = 16 << 10;

/// The section `trust` in force.
pub(in crate::auth) struct Trust(Vec<Entry>);

struct Entry {
    settings: TrustSettings,
    fingerprint: String,
    keys: Arc<IssuerKeys>,
}

/// Store and access rules by which a token is judged.
#[derive(Clone, Copy)]
pub(in crate::auth) struct Judge<'j> {
    pub(in crate::auth) store: &'j dyn TokenSource,
    /// Claims that access rules refer to.
    pub(in crate::auth) claims: &'j BTreeSet<&'j str>,
}

impl Trust {
    /// Makes the section's entries; their keys are fetched later.
    pub(in crate::auth) fn new(settings: &[TrustSettings], issuers: &Issuers) -> Self {
        let entry = |settings: &TrustSettings| Entry {
            fingerprint: settings.fingerprint(),
            keys: issuers.of(settings.issuer()),
            settings: settings.clone(),
        };
        Self(settings.iter().map(entry).collect())
    }

    pub(in crate::auth) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reports whether a password has the form of a token of another server, and there is a section.
    pub(in crate::auth) fn is_token(&self, password: &[u8]) -> bool {
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let mut parts = password.split(|byte| *byte == b'.');
        // a JSON object in base64
        !self.is_empty()
            && password.starts_with(b"eyJ")
            && parts.clone().count() == 3
            && parts.all(|part| part.iter().all(is_digit))
    }

    /// Judges a token by the entries of its issuer; the first that accepts it counts.
    pub(in crate::auth) async fn verify(
        &self,
        token: &[u8],
        judge: Judge<'_>,
    ) -> Result<Arc<TrustGrant>, Void> {
        if token.len() > LONGEST {
            return Err(Void::Forged("token that is too large"));
        }
        let issuer = issuer_of(token).ok_or(Void::Forged("malformed token"))?;
        let mut refused = None;
        for entry in self
            .0
            .iter()
            .filter(|entry| entry.settings.issuer == issuer)
        {
            match entry.verify(token, judge).await {
                Ok(grant) => return Ok(Arc::new(grant)),
                Err(void) => refused = refused.or(Some(void)),
            }
        }
        Err(refused.unwrap_or_else(|| unfit("its issuer is not trusted")))
    }

    /// Reports whether the settings that accepted a token are still in force.
    pub(in crate::auth) fn has_accepted(&self, grant: &TrustGrant) -> bool {
        self.0.iter().any(|entry| {
            entry.settings.name == grant.name() && entry.fingerprint == grant.settings()
        })
    }

    /// Fetches keys that are old.
    pub(in crate::auth) async fn refresh(&self, store: &dyn TokenSource) {
        let entries = self.0.iter().map(|entry| entry.keys.refresh(store));
        futures_util::future::join_all(entries).await;
    }
}

impl Entry {
    async fn verify(&self, token: &[u8], judge: Judge<'_>) -> Result<TrustGrant, Void> {
        let TrustSettings {
            name,
            issuer,
            audience,
            require,
            ..
        } = &self.settings;
        let claims = verified_claims(token, &self.keys, (issuer, audience), judge.store).await;
        let claims = claims.map_err(|void| match void {
            Void::Ended(reason) => unfit(&reason),
            other => other,
        })?;
        if let Some(fault) = require.iter().find_map(|required| required.fault(&claims)) {
            return Err(unfit(&format!(
                "{fault}, which trust:{name} does not accept"
            )));
        }
        let text = |claim: &str| claims::find(&claims, claim).and_then(claims::text);
        let named = judge
            .claims
            .iter()
            .map(|claim| Some(((*claim).to_owned(), text(claim)?)));
        let subject = text("sub").unwrap_or_default();
        let named = Claims::new(named.flatten());
        Ok(TrustGrant::new(
            name,
            self.fingerprint.clone(),
            &subject,
            named,
        ))
    }
}

/// Refuses a token that may be an honest one.
fn unfit(reason: &str) -> Void {
    Void::Ended(format!(
        "the token of another server is not accepted: {reason}"
    ))
}

/// Returns the issuer that a token names, unverified: it only chooses the keys.
fn issuer_of(token: &[u8]) -> Option<String> {
    let payload = token.split(|byte| *byte == b'.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&claims).ok()?;
    Some(claims.get("iss")?.as_str()?.to_owned())
}
