//! JSON Web Key Set in a file (RFC 7517).

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use serde::Deserialize;

use super::key::Key;

/// Trusted keys by their id.
pub(super) struct Jwks(HashMap<String, Key>);

/// Unlike the library's set, one whose keys need not all be understood.
#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

const MALFORMED: &str = "it is malformed";

impl Jwks {
    /// Parses the file. Keys that cannot verify tokens are ignored with a warning.
    pub(super) fn parse(content: &[u8]) -> Result<Self, String> {
        let set: Set = serde_json::from_slice(content)
            .map_err(|error| format!("it is not a JSON Web Key Set: {error}"))?;
        let mut keys = HashMap::new();
        for (value, number) in set.keys.into_iter().zip(1..) {
            match serde_json::from_value(value)
                .map_err(|_| MALFORMED)
                .and_then(key_of)
            {
                Ok((id, key)) => drop(keys.insert(id, key)),
                Err(cause) => {
                    tracing::warn!("key {number} of auth.token.jwks is ignored: {cause}");
                }
            }
        }
        if keys.is_empty() {
            Err("it holds no public key that could verify a token".to_owned())
        } else {
            Ok(Self(keys))
        }
    }

    pub(super) fn key(&self, id: &str) -> Option<&Key> {
        self.0.get(id)
    }
}

fn key_of(jwk: Jwk) -> Result<(String, Key), &'static str> {
    let Jwk { common, algorithm } = jwk;
    if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return Err("it is not for signatures");
    }
    let key = match algorithm {
        AlgorithmParameters::RSA(rsa) => Key::rsa(&decode(&rsa.n)?, &decode(&rsa.e)?),
        AlgorithmParameters::EllipticCurve(ec) => {
            let length = match ec.curve {
                EllipticCurve::P256 => 32,
                EllipticCurve::P384 => 48,
                _ => return Err("its curve is not supported: use P-256 or P-384"),
            };
            Key::ec(&point(length, &decode(&ec.x)?, &decode(&ec.y)?)?).ok_or(MALFORMED)?
        }
        AlgorithmParameters::OctetKeyPair(pair) => {
            Key::ed25519(&decode(&pair.x)?).ok_or(MALFORMED)?
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
    let id = common
        .key_id
        .ok_or("it has no kid, by which tokens could name it")?;
    Ok((id, key))
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
            ("kid", json!(null)),
        ] {
            let mut bad = good.clone();
            bad[change] = value;
            let alone = Jwks::parse(json!({ "keys": [bad] }).to_string().as_bytes());
            assert!(alone.is_err(), "{bad}");
            assert!(
                Jwks::parse(json!({ "keys": [bad, good] }).to_string().as_bytes())
                    .unwrap()
                    .key("good")
                    .is_some()
            );
        }
        for text in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[]}"#] {
            assert!(Jwks::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
