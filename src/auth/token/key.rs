//! Public keys that verify tokens, each with its algorithms.

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};

/// Every supported algorithm with public keys. The library does not have ES512.
pub(in crate::auth) const PUBLIC: [Algorithm; 9] = [
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
            // the list of distribution's documentation has it
            Err(_) if name == "ES512" => tracing::warn!(
                "auth.token.signingalgorithms: ES512 is ignored: it is not supported, use ES384 or EdDSA"
            ),
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
            "auth.token.signingalgorithms names no supported algorithm with public keys: add ES256, ES384 or RS256"
                .to_owned(),
        ),
        _ => Ok(found),
    }
}

/// Public key of a supported kind.
#[derive(Clone, Copy)]
pub(super) enum PublicKey<'k> {
    /// Both numbers are big-endian, without leading zeros.
    Rsa {
        modulus: &'k [u8],
        exponent: &'k [u8],
    },
    /// An uncompressed point (SEC 1).
    P256(&'k [u8]),
    /// An uncompressed point (SEC 1).
    P384(&'k [u8]),
    Ed25519(&'k [u8]),
}

impl<'k> PublicKey<'k> {
    /// Returns an RSA key of two big-endian numbers.
    pub(super) fn rsa(modulus: &'k [u8], exponent: &'k [u8]) -> Self {
        Self::Rsa {
            modulus: unpadded(modulus),
            exponent: unpadded(exponent),
        }
    }

    /// Recognises an uncompressed point by its length; `None` for an unsupported curve.
    pub(super) fn ec(point: &'k [u8]) -> Option<Self> {
        match (point.first(), point.len()) {
            (Some(4), 65) => Some(Self::P256(point)),
            (Some(4), 97) => Some(Self::P384(point)),
            _ => None,
        }
    }

    /// Returns an Ed25519 key; `None` if the length is wrong.
    pub(super) fn ed25519(bytes: &'k [u8]) -> Option<Self> {
        (bytes.len() == 32).then_some(Self::Ed25519(bytes))
    }
}

/// Strips a number's leading zeros.
pub(super) fn unpadded(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    &number[zeros..]
}

/// Public key with the algorithms it verifies.
#[derive(Clone)]
pub(in crate::auth) struct Key {
    decoding: DecodingKey,
    /// One for a key on a curve. Several for RSA, unless the key's owner names one.
    algorithms: Vec<Algorithm>,
}

impl Key {
    pub(super) fn new(key: &PublicKey<'_>) -> Self {
        let (decoding, algorithms) = match *key {
            PublicKey::Rsa { modulus, exponent } => (
                DecodingKey::from_rsa_raw_components(modulus, exponent),
                PUBLIC
                    .into_iter()
                    .filter(|algorithm| algorithm.family() == AlgorithmFamily::Rsa)
                    .collect(),
            ),
            PublicKey::P256(point) => (DecodingKey::from_ec_der(point), vec![Algorithm::ES256]),
            PublicKey::P384(point) => (DecodingKey::from_ec_der(point), vec![Algorithm::ES384]),
            PublicKey::Ed25519(bytes) => (DecodingKey::from_ed_der(bytes), vec![Algorithm::EdDSA]),
        };
        Self {
            decoding,
            algorithms,
        }
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
    pub(in crate::auth) fn validation(
        &self,
        allowed: &[Algorithm],
        used: Algorithm,
    ) -> Option<Validation> {
        (allowed.contains(&used) && self.algorithms.contains(&used)).then(|| Validation::new(used))
    }

    pub(in crate::auth) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}
