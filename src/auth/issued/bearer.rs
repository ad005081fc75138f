//! Tokens of the token service (JWT): who sent what credentials, and the access that was asked for and may be had.
//!
//! One proves its credential only. What that may do is asked at each use, so that nothing has to be revoked.

use std::sync::Arc;

use aws_lc_rs::rand;
use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::record::SigningKey;
use crate::auth::authorization::identity::Grant;
use crate::auth::authorization::{MemberGrant, TrustGrant};
use crate::auth::error::Error;
use crate::auth::token::decode::{Fault, decode};

/// Lifetime of a token, in seconds: longer than clients assume without asking, shorter than a build.
pub(super) const LIFETIME: i64 = 900;
/// Issuer and audience, which tell a token from those of other servers; the key tells it from those of other registries.
const NAME: &str = "tarkeep";
/// Only servers on the same database verify, so they share a secret.
const ALGORITHM: Algorithm = Algorithm::HS256;

/// Credential that a token proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Credential {
    Anonymous,
    /// A user's password: the fingerprint of its hash in the file, which changes with it.
    User {
        name: String,
        fingerprint: String,
    },
    /// The secret of a token, by its id.
    Secret {
        id: String,
    },
    /// A token of another server, which need not outlive what it is exchanged for.
    Trust(TrustGrant),
    /// A login at the issuer of the page.
    Member(MemberGrant),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    nbf: i64,
    pub(super) exp: i64,
    #[serde(serialize_with = "listed", deserialize_with = "shared")]
    pub(super) access: Arc<[Grant]>,
    pub(super) credential: Credential,
}

fn listed<S: Serializer>(access: &Arc<[Grant]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(access.iter())
}

fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[Grant]>, D::Error> {
    Vec::deserialize(deserializer).map(Into::into)
}

impl SigningKey {
    /// Makes a key of 256 random bits.
    pub(super) fn generate() -> Result<Self, Error> {
        let (mut id, mut secret) = ([0; 10], [0; 32]);
        rand::fill(&mut id).map_err(|_| Error::Random)?;
        rand::fill(&mut secret).map_err(|_| Error::Random)?;
        Ok(Self {
            id: BASE32_NOPAD.encode(&id).to_ascii_lowercase(),
            secret: secret.to_vec(),
        })
    }
}

/// Signs a token for `subject`, which is shown to nobody but its bearer.
pub(super) fn sign(
    key: &SigningKey,
    subject: &str,
    credential: Credential,
    access: Vec<Grant>,
) -> Result<(String, Timestamp), jsonwebtoken::errors::Error> {
    let at = Timestamp::now();
    let now = at.as_second();
    let claims = Claims {
        iss: NAME.to_owned(),
        aud: NAME.to_owned(),
        sub: subject.to_owned(),
        iat: now,
        nbf: now,
        exp: now + LIFETIME,
        access: access.into(),
        credential,
    };
    let header = Header {
        kid: Some(key.id.clone()),
        ..Header::new(ALGORITHM)
    };
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&key.secret))?;
    Ok((token, at))
}

/// Verifies a token by the key that it names.
pub(super) fn verify(token: &[u8], keys: &[SigningKey]) -> Result<Claims, Fault> {
    let header =
        jsonwebtoken::decode_header(token).map_err(|_| Fault::Forged("malformed token"))?;
    // extensions that must be understood are not (RFC 7515, section 4.1.11)
    if header.alg != ALGORITHM || header.crit.is_some() {
        return Err(Fault::Unfit("token of another server"));
    }
    let id = header.kid.as_deref();
    let key = keys.iter().find(|key| Some(&*key.id) == id);
    let key = key.ok_or(Fault::Unfit("token of an unknown key"))?;
    let decoding = DecodingKey::from_secret(&key.secret);
    let claims: Claims = decode(token, &decoding, Validation::new(ALGORITHM), NAME)?;
    if claims.iss != NAME {
        return Err(Fault::Unfit("token of another issuer"));
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn signed() -> (SigningKey, String) {
        let key = SigningKey::generate().unwrap();
        let credential = Credential::Secret {
            id: "abc".to_owned(),
        };
        let (token, _) = sign(&key, "token:ci", credential, Vec::new()).unwrap();
        (key, token)
    }

    fn encoded(key: &SigningKey, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(&key.secret)).unwrap()
    }

    #[test]
    fn only_what_was_signed_here_is_accepted() {
        let (key, token) = signed();
        let keys = [SigningKey::generate().unwrap(), key.clone()];
        let claims = verify(token.as_bytes(), &keys).unwrap();
        assert_eq!(claims.credential, Credential::Secret { id: "abc".into() });
        let stranger = SigningKey {
            id: key.id.clone(),
            secret: vec![0; 32],
        };
        assert!(matches!(
            verify(token.as_bytes(), &[stranger]),
            Err(Fault::Forged(_))
        ));
        assert!(matches!(
            verify(token.as_bytes(), &keys[..1]),
            Err(Fault::Unfit(_))
        ));
        // each character counts, but for the unused bits of the last
        for position in 0..token.len() - 1 {
            let mut other = token.clone().into_bytes();
            other[position] = if other[position] == b'A' { b'B' } else { b'A' };
            assert!(verify(&other, &keys).is_err(), "{position}");
        }
        for end in 0..token.len() {
            assert!(verify(&token.as_bytes()[..end], &keys).is_err(), "{end}");
        }
    }

    #[test]
    fn another_algorithm_time_or_name_is_rejected() {
        let (key, _) = signed();
        let now = Timestamp::now().as_second();
        let good = json!({
            "iss": NAME, "aud": NAME, "sub": "", "iat": now, "nbf": now, "exp": now + 60,
            "access": [], "credential": "anonymous",
        });
        let mut header = Header::new(ALGORITHM);
        header.kid = Some(key.id.clone());
        let judged = |header: &Header, claims: &Value| {
            let token = encoded(&key, header, claims);
            verify(token.as_bytes(), std::slice::from_ref(&key)).is_ok()
        };
        assert!(judged(&header, &good));
        for (name, value) in [
            ("iss", json!("other")),
            ("aud", json!("other")),
            ("exp", json!(now - 120)),
            ("nbf", json!(now + 120)),
            ("exp", Value::Null),
            ("credential", json!("admin")),
        ] {
            let mut claims = good.clone();
            claims[name] = value.clone();
            assert!(!judged(&header, &claims), "{name} {value}");
        }
        let other = Header {
            alg: Algorithm::HS512,
            ..header.clone()
        };
        assert!(!judged(&other, &good));
        // by hand, because the library signs nothing without an algorithm
        let token = encoded(&key, &header, &good);
        let (_, rest) = token.split_once('.').unwrap();
        let (body, _) = rest.split_once('.').unwrap();
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        for alg in ["none", "None", ""] {
            let header = json!({ "alg": alg, "kid": key.id, "typ": "JWT" }).to_string();
            let forged = format!("{}.{body}.", URL_SAFE_NO_PAD.encode(header));
            assert!(verify(forged.as_bytes(), std::slice::from_ref(&key)).is_err());
        }
    }
}
