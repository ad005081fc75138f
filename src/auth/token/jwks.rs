//! JSON Web Key Sets (RFC 7517).

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use serde::Deserialize;

use super::key::{Key, PublicKey};
use super::key_id::ids_of;

/// Trusted keys by their ids: the one that the set gives, and those that follow from the key.
pub(in crate::auth) struct Jwks(HashMap<String, Key>);

/// Unlike the library's set, one whose keys need not all be understood.
#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

const MALFORMED: &str = "it is malformed";

impl Jwks {
    /// Parses a set. Keys that cannot verify tokens are ignored with one warning, which names their `owner`.
    ///
    /// # Errors
    /// A set without a key that can, in a sentence.
    pub(in crate::auth) fn parse(owner: &str, content: &[u8]) -> Result<Self, String> {
        let set: Set = serde_json::from_slice(content)
            .map_err(|error| format!("it is not a JSON Web Key Set: {error}"))?;
        let (mut keys, mut named) = (HashMap::new(), HashMap::new());
        let mut ignored: Vec<String> = Vec::new();
        for (value, number) in set.keys.into_iter().zip(1..) {
            match serde_json::from_value(value)
                .map_err(|_| MALFORMED)
                .and_then(key_of)
            {
                Ok(trusted) => {
                    for id in trusted.derived_ids {
                        keys.entry(id).or_insert_with(|| trusted.key.clone());
                    }
                    named.extend(trusted.id.map(|id| (id, trusted.key)));
                }
                Err(cause) => ignored.push(format!("key {number}: {cause}")),
            }
        }
        // an id that is given has precedence
        keys.extend(named);
        // whoever owns the set decides how long it is
        let first = ignored.first().map(|text| format!(" ({text})"));
        match (keys.is_empty(), first) {
            (true, first) => Err(format!(
                "it holds no public key that could verify a token{}",
                first.unwrap_or_default()
            )),
            (false, Some(first)) => {
                let number = ignored.len();
                tracing::warn!("keys of {owner} that verify nothing are ignored: {number}{first}");
                Ok(Self(keys))
            }
            (false, None) => Ok(Self(keys)),
        }
    }

    pub(in crate::auth) fn key(&self, id: &str) -> Option<&Key> {
        self.0.get(id)
    }
}

/// Key of the set.
struct Trusted {
    key: Key,
    /// The key's `kid`.
    id: Option<String>,
    derived_ids: Vec<String>,
}

fn key_of(jwk: Jwk) -> Result<Trusted, &'static str> {
    let Jwk { common, algorithm } = jwk;
    if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return Err("it is not for signatures");
    }
    let (key, derived_ids) = match algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let (modulus, exponent) = (decode(&rsa.n)?, decode(&rsa.e)?);
            with_ids(&PublicKey::rsa(&modulus, &exponent))
        }
        AlgorithmParameters::EllipticCurve(ec) => {
            let length = match ec.curve {
                EllipticCurve::P256 => 32,
                EllipticCurve::P384 => 48,
                _ => return Err("its curve is not supported: use P-256 or P-384"),
            };
            let point = point(length, &decode(&ec.x)?, &decode(&ec.y)?)?;
            with_ids(&PublicKey::ec(&point).ok_or(MALFORMED)?)
        }
        AlgorithmParameters::OctetKeyPair(pair) => {
            with_ids(&PublicKey::ed25519(&decode(&pair.x)?).ok_or(MALFORMED)?)
        }
        AlgorithmParameters::OctetKey(_) => {
            return Err("it is a secret, and only public keys are accepted");
        }
        _ => {
            return Err(
                "its kind is not supported: use RSA, EC with P-256 or P-384, or OKP with Ed25519",
            );
        }
    };
    let key = match common.key_algorithm {
        Some(algorithm) => {
            let algorithm =
                Algorithm::try_from(algorithm).map_err(|_| "its algorithm is not supported")?;
            key.only_for(algorithm)
                .ok_or("its algorithm does not match its kind")?
        }
        None => key,
    };
    Ok(Trusted {
        key,
        id: common.key_id,
        derived_ids,
    })
}

fn with_ids(key: &PublicKey<'_>) -> (Key, Vec<String>) {
    (Key::new(key), ids_of(key))
}

fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_| MALFORMED)
}

/// Encodes a point as SEC 1 does. Some implementations leave out leading zeros.
fn point(length: usize, x: &[u8], y: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut point = vec![4];
    for part in [x, y] {
        let missing = length.checked_sub(part.len()).ok_or(MALFORMED)?;
        point.extend(std::iter::repeat_n(0, missing));
        point.extend(part);
    }
    Ok(point)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_verify_nothing_are_ignored() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let good = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": x, "kid": "good", "use": "sig", "alg": "ES256" });
        for (change, value) in [
            ("kty", json!("oct")),
            ("kty", json!("DSA")),
            ("kty", json!(7)),
            ("crv", json!("P-521")),
            ("crv", json!("P-384x")),
            ("use", json!("enc")),
            ("alg", json!("HS256")),
            ("alg", json!("RS256")),
            ("x", json!("!")),
            ("x", json!(null)),
            ("x", json!(URL_SAFE_NO_PAD.encode([7; 33]))),
            ("kid", json!(7)),
        ] {
            let mut bad = good.clone();
            bad[change] = value;
            let alone = Jwks::parse("x", json!({ "keys": [bad] }).to_string().as_bytes());
            let refused = alone.err().unwrap();
            assert!(refused.contains("(key 1: it"), "{refused}");
            assert!(
                Jwks::parse("x", json!({ "keys": [bad, good] }).to_string().as_bytes())
                    .unwrap()
                    .key("good")
                    .is_some()
            );
        }
        for text in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[]}"#] {
            assert!(Jwks::parse("x", text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_have_the_ids_that_follow_from_them() {
        // RFC 7638, section 3.1
        let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        let set = |keys: serde_json::Value| {
            Jwks::parse("x", json!({ "keys": keys }).to_string().as_bytes()).unwrap()
        };
        let key = json!({ "kty": "RSA", "n": modulus, "e": "AQAB" });
        let mut named = key.clone();
        named["kid"] = json!("named");
        for (alone, has_name) in [(key, false), (named, true)] {
            let keys = set(json!([alone]));
            assert!(keys.key(thumbprint).is_some() && keys.key("named").is_some() == has_name);
            assert_eq!(keys.0.len(), 2 + usize::from(has_name));
        }
        // an id that is given has precedence over one that follows
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let other = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": thumbprint });
        for keys in [
            json!([other, { "kty": "RSA", "n": modulus, "e": "AQAB" }]),
            json!([{ "kty": "RSA", "n": modulus, "e": "AQAB" }, other]),
        ] {
            let keys = set(keys);
            let found = keys.key(thumbprint).unwrap();
            assert!(
                found
                    .validation(&[Algorithm::EdDSA], Algorithm::EdDSA)
                    .is_some()
            );
        }
    }
}
