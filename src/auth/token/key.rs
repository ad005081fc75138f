//! Keys that sign tokens, each with the algorithms it is for.

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};

/// Every algorithm that a public key can check here. There is no ES512 among them: the library has none.
const PUBLIC: [Algorithm; 9] = [
    Algorithm::EdDSA,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// What is wrong with what a token brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub &'static str);

/// Reads `auth.token.signingalgorithms`; none means all.
///
/// # Errors
/// A name that is none, or one that cannot be served, with the alternative.
pub(super) fn algorithms(names: &[String]) -> Result<Vec<Algorithm>, String> {
    let mut found = Vec::new();
    for name in names {
        match name.parse::<Algorithm>() {
            // distribution lists them, and has no key for them either
            Ok(algorithm) if algorithm.family() == AlgorithmFamily::Hmac => {
                tracing::warn!(
                    "auth.token.signingalgorithms: {name} is passed over, for it takes a shared secret and there are only public keys"
                );
            }
            Ok(algorithm) => found.push(algorithm),
            Err(_) if name == "ES512" => {
                return Err(
                    "auth.token.signingalgorithms: ES512 is not served, use ES384 or EdDSA"
                        .to_owned(),
                );
            }
            Err(_) => {
                let known: Vec<_> = PUBLIC
                    .iter()
                    .map(|algorithm| format!("{algorithm:?}"))
                    .collect();
                return Err(format!(
                    "auth.token.signingalgorithms: there is no {name:?}, only {}",
                    known.join(", ")
                ));
            }
        }
    }
    match (names, &*found) {
        ([], _) => Ok(PUBLIC.to_vec()),
        (_, []) => Err("auth.token.signingalgorithms names none that goes with public keys: add ES256 or RS256".to_owned()),
        _ => Ok(found),
    }
}

/// A public key.
#[derive(Clone)]
pub(super) struct Key {
    decoding: DecodingKey,
    /// A curve has one; the others as the key's owner says.
    algorithms: Vec<Algorithm>,
}

impl Key {
    /// Modulus and exponent, big-endian.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let decoding = DecodingKey::from_rsa_raw_components(modulus, exponent);
        let algorithms = PUBLIC
            .into_iter()
            .filter(|algorithm| algorithm.family() == AlgorithmFamily::Rsa)
            .collect();
        Self {
            decoding,
            algorithms,
        }
    }

    /// A point as SEC 1 writes it without compression; none where its length is that of no curve there is an algorithm for.
    pub(super) fn ec(point: &[u8]) -> Option<Self> {
        let algorithm = match (point.first(), point.len()) {
            (Some(4), 65) => Algorithm::ES256,
            (Some(4), 97) => Algorithm::ES384,
            _ => return None,
        };
        Some(Self {
            decoding: DecodingKey::from_ec_der(point),
            algorithms: vec![algorithm],
        })
    }

    /// An Ed25519 key.
    pub(super) fn ed25519(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == 32).then(|| Self {
            decoding: DecodingKey::from_ed_der(bytes),
            algorithms: vec![Algorithm::EdDSA],
        })
    }

    /// The same key for one algorithm only; none where it is not of its kind.
    pub(super) fn only_for(self, algorithm: Algorithm) -> Option<Self> {
        self.algorithms.contains(&algorithm).then(|| Self {
            algorithms: vec![algorithm],
            ..self
        })
    }

    /// How a token is to be checked that says it was signed with `used`: by that alone, if the key and the owner of this
    /// registry allow it.
    pub(super) fn validation(&self, allowed: &[Algorithm], used: Algorithm) -> Option<Validation> {
        (allowed.contains(&used) && self.algorithms.contains(&used)).then(|| Validation::new(used))
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}
