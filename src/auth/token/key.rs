//! Public keys that verify tokens, each with its algorithms.

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};

/// Every supported algorithm with public keys. The library does not have ES512.
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

/// Problem with the key or certificates that a token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Parses `auth.token.signingalgorithms`; an empty list means all.
///
/// # Errors
/// An unknown or unsupported name, with the alternatives.
pub(super) fn algorithms(names: &[String]) -> Result<Vec<Algorithm>, String> {
    let mut found = Vec::new();
    for name in names {
        match name.parse::<Algorithm>() {
            // distribution lists them too, without any key for them
            Ok(algorithm) if algorithm.family() == AlgorithmFamily::Hmac => {
                tracing::warn!(
                    "auth.token.signingalgorithms: {name} is ignored: it requires a shared secret, and only public keys are supported"
                );
            }
            Ok(algorithm) => found.push(algorithm),
            Err(_) if name == "ES512" => {
                return Err(
                    "auth.token.signingalgorithms: ES512 is not supported, use ES384 or EdDSA"
                        .to_owned(),
                );
            }
            Err(_) => {
                let known: Vec<_> = PUBLIC
                    .iter()
                    .map(|algorithm| format!("{algorithm:?}"))
                    .collect();
                return Err(format!(
                    "auth.token.signingalgorithms: {name:?} is not supported, only {}",
                    known.join(", ")
                ));
            }
        }
    }
    match (names, &*found) {
        ([], _) => Ok(PUBLIC.to_vec()),
        (_, []) => Err(
            "auth.token.signingalgorithms names no algorithm with public keys: add ES256 or RS256"
                .to_owned(),
        ),
        _ => Ok(found),
    }
}

/// Public key.
#[derive(Clone)]
pub(super) struct Key {
    decoding: DecodingKey,
    /// One for a key on a curve. Several for RSA, unless the key's owner names one.
    algorithms: Vec<Algorithm>,
}

impl Key {
    /// Creates an RSA key from modulus and exponent, both big-endian.
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

    /// Creates a key from an uncompressed point (SEC 1); `None` for an unsupported curve.
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

    /// Creates an Ed25519 key; `None` if the length is wrong.
    pub(super) fn ed25519(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == 32).then(|| Self {
            decoding: DecodingKey::from_ed_der(bytes),
            algorithms: vec![Algorithm::EdDSA],
        })
    }

    /// Restricts the key to one algorithm; `None` if the key does not support it.
    pub(super) fn only_for(self, algorithm: Algorithm) -> Option<Self> {
        self.algorithms.contains(&algorithm).then(|| Self {
            algorithms: vec![algorithm],
            ..self
        })
    }

    /// Returns the validation of a token signed with `used`: by that algorithm alone.
    ///
    /// `None` unless both the key and this registry's owner allow it.
    pub(super) fn validation(&self, allowed: &[Algorithm], used: Algorithm) -> Option<Validation> {
        (allowed.contains(&used) && self.algorithms.contains(&used)).then(|| Validation::new(used))
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}
