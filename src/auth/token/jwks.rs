//! A file with a JSON Web Key Set (RFC 7517).

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::key::Key;

/// Keys by their id.
pub(super) struct Jwks(HashMap<String, Key>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// What counts of a key. Its private half, if somebody left it in, is not read.
#[derive(Deserialize)]
struct Jwk {
    kid: Option<String>,
    kty: String,
    crv: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwks {
    /// Reads the file. Keys that cannot check tokens are passed over, and said so in the log.
    pub(super) fn parse(content: &[u8]) -> Result<Self, String> {
        let set: Set = serde_json::from_slice(content)
            .map_err(|error| format!("it is no JSON Web Key Set: {error}"))?;
        let mut keys = HashMap::new();
        for (place, value) in set.keys.into_iter().enumerate() {
            match serde_json::from_value(value)
                .map_err(|_| "it is no key")
                .and_then(Jwk::key)
            {
                Ok((id, key)) => drop(keys.insert(id, key)),
                Err(why) => {
                    tracing::warn!("key {} of auth.token.jwks is passed over: {why}", place + 1)
                }
            }
        }
        if keys.is_empty() {
            Err("it holds no public key that could check a token".to_owned())
        } else {
            Ok(Self(keys))
        }
    }

    pub(super) fn key(&self, id: &str) -> Option<&Key> {
        self.0.get(id)
    }
}

impl Jwk {
    fn key(self) -> Result<(String, Key), &'static str> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err("it is not for signatures");
        }
        let part = |text: &Option<String>| -> Result<Vec<u8>, &'static str> {
            let text = text.as_deref().ok_or("a part of it is missing")?;
            URL_SAFE_NO_PAD
                .decode(text.trim_end_matches('='))
                .map_err(|_| "it is malformed")
        };
        let key = match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => Ok(Key::rsa(&part(&self.n)?, &part(&self.e)?)),
            ("EC", Some("P-256")) => {
                Key::ec(&point(32, &part(&self.x)?, &part(&self.y)?)?).ok_or("it is malformed")
            }
            ("EC", Some("P-384")) => {
                Key::ec(&point(48, &part(&self.x)?, &part(&self.y)?)?).ok_or("it is malformed")
            }
            ("OKP", Some("Ed25519")) => Key::ed25519(&part(&self.x)?).ok_or("it is malformed"),
            ("oct", _) => Err("it is a secret, and only public keys are taken"),
            _ => Err("its kind is not known: use RSA, EC with P-256 or P-384, or OKP with Ed25519"),
        }?;
        let key = match &self.alg {
            Some(name) => {
                let algorithm = name.parse().map_err(|_| "its algorithm is not known")?;
                key.only_for(algorithm)
                    .ok_or("its algorithm does not go with its kind")?
            }
            None => key,
        };
        Ok((
            self.kid
                .ok_or("it has no kid, by which tokens could name it")?,
            key,
        ))
    }
}

/// A point as SEC 1 has it. Some writers leave out zeros at the beginning.
fn point(length: usize, x: &[u8], y: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut point = vec![4];
    for part in [x, y] {
        let missing = length.checked_sub(part.len()).ok_or("it is malformed")?;
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
    fn keys_that_check_nothing_are_passed_over() {
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
