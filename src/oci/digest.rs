//! Content digests (OCI image-spec 1.1, "Digests").

use std::fmt;

use data_encoding::HEXLOWER;

/// Hash algorithm of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    /// All supported algorithms.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// Returns the name before the colon of a digest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Finds an algorithm by its registered name.
    pub fn parse(name: &str) -> Result<Self, DigestError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| DigestError::Algorithm(name.to_owned()))
    }

    fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// Digest such as `sha256:6c3c…`: a supported algorithm and its full length of lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Box<str>);

/// Reason why a text is not a digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DigestError {
    #[error("'{0}' is not a digest: it must read ALGORITHM:HEX, as in sha256:…")]
    Shape(String),
    #[error("the digest algorithm '{0}' is not supported: use sha256 or sha512")]
    Algorithm(String),
    #[error("a {algorithm} digest must have {expected} lower-case hexadecimal digits, '{text}' does not", algorithm = .algorithm.as_str(), expected = .algorithm.hex_length())]
    Hex { algorithm: Algorithm, text: String },
}

impl Digest {
    /// Parses a digest; unknown algorithms, upper-case digits and wrong lengths are rejected.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text
            .split_once(':')
            .ok_or_else(|| DigestError::Shape(text.to_owned()))?;
        let algorithm = Algorithm::parse(name)?;
        let is_hex = hex
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hex || hex.len() != algorithm.hex_length() {
            return Err(DigestError::Hex {
                algorithm,
                text: text.to_owned(),
            });
        }
        Ok(Self(text.into()))
    }

    /// Creates the digest of a finished hash, which must be the whole output of `algorithm`.
    pub fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        let mut text = String::with_capacity(algorithm.as_str().len() + 1 + hash.len() * 2);
        text.push_str(algorithm.as_str());
        text.push(':');
        HEXLOWER.encode_append(hash, &mut text);
        debug_assert_eq!(
            text.len(),
            algorithm.as_str().len() + 1 + algorithm.hex_length()
        );
        Self(text.into())
    }

    /// Returns the whole digest, including the algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the algorithm named before the colon.
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha256:") {
            Algorithm::Sha256
        } else {
            Algorithm::Sha512
        }
    }

    /// Returns the digits after the colon.
    pub fn hex(&self) -> &str {
        &self.0[self.algorithm().as_str().len() + 1..]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_parses_prints_as_it_was(text in "(sha256|sha512|md5)?:?[0-9a-fA-F]{0,130}") {
            if let Ok(digest) = Digest::parse(&text) {
                prop_assert_eq!(digest.as_str(), text.as_str());
                prop_assert_eq!(format!("{}:{}", digest.algorithm().as_str(), digest.hex()), text);
            }
        }

        #[test]
        fn a_hash_makes_a_digest_that_parses(hash in proptest::collection::vec(any::<u8>(), 32)) {
            let digest = Digest::from_hash(Algorithm::Sha256, &hash);
            prop_assert_eq!(Digest::parse(digest.as_str()), Ok(digest));
        }
    }

    #[test]
    fn near_misses_are_rejected() {
        let hex = "a".repeat(64);
        for text in [
            String::new(),
            hex.clone(),
            format!("sha256:{hex}a"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha1:{hex}"),
            format!("sha512:{hex}"),
            "sha256:".into(),
        ] {
            assert!(Digest::parse(&text).is_err(), "{text}");
        }
    }
}
