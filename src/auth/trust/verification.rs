//! Verification of an issuer's token, whatever it is for.

use serde_json::{Map, Value};

use super::keys::{IssuerKeys, Missing};
use crate::auth::issued::{TokenSource, Void};
use crate::auth::token::ALGORITHMS;
use crate::auth::token::decode::{Fault, decode};

/// Verifies a token of an issuer for an audience, and returns its claims.
pub(in crate::auth) async fn verified_claims(
    token: &[u8],
    keys: &IssuerKeys,
    (issuer, audience): (&str, &str),
    store: &dyn TokenSource,
) -> Result<Map<String, Value>, Void> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| Void::Forged("malformed token"))?;
    let unfit = |reason: &str| Void::Ended(reason.to_owned());
    // extensions that must be understood are not (RFC 7515, section 4.1.11)
    if header.crit.is_some() {
        return Err(unfit("it has critical extensions"));
    }
    let id = header
        .kid
        .as_deref()
        .ok_or_else(|| unfit("it names no key"))?;
    let key = keys.key(id, store).await;
    let key = key.map_err(|missing| match missing {
        Missing::Unknown => unfit("its issuer has no such key"),
        Missing::Unreachable => Void::Unreadable,
    })?;
    let validation = key.validation(&ALGORITHMS, header.alg);
    let validation = validation.ok_or(Void::Forged("token signed with another algorithm"))?;
    let decoded = decode(token, key.decoding(), validation, audience);
    let claims: Map<String, Value> = decoded.map_err(|fault| match fault {
        Fault::Expired => unfit("it has expired"),
        Fault::Unfit(reason) => unfit(reason),
        Fault::Forged(reason) => Void::Forged(reason),
    })?;
    // the library would accept a list, which the specification does not allow
    match claims.get("iss").and_then(Value::as_str) == Some(issuer) {
        true => Ok(claims),
        false => Err(unfit("its issuer is not trusted")),
    }
}
