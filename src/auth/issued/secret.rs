//! Secrets of tokens: `tk_<id>_<random><checksum>`.
//!
//! Both parts are bytes in base 32: 5 of the id, 32 random ones, and 3 of a checksum, by which scanners of source code
//! tell a token from other text without asking.

use aws_lc_rs::constant_time;
use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use crate::auth::error::Error;

const PREFIX: &str = "tk_";
/// Lengths of the parts, in bytes.
const ID: usize = 5;
const RANDOM: usize = 32;
const CHECKSUM: usize = 3;
/// Lengths of the parts, in characters.
const ID_TEXT: usize = ID * 8 / 5;
const REST_TEXT: usize = (RANDOM + CHECKSUM) * 8 / 5;

/// New secret of a token. It is shown once; the registry keeps a hash of it.
pub struct TokenSecret(String);

/// Secret that a client has sent, with a valid checksum.
pub(super) struct SentSecret<'p> {
    text: &'p str,
}

impl TokenSecret {
    /// Makes a secret of 256 random bits.
    ///
    /// # Errors
    /// A system without random bytes.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = [0; ID + RANDOM + CHECKSUM];
        aws_lc_rs::rand::fill(&mut bytes[..ID + RANDOM]).map_err(|_| Error::Random)?;
        let checksum = checksum(&bytes[..ID + RANDOM]);
        bytes[ID + RANDOM..].copy_from_slice(&checksum);
        Ok(Self(format!(
            "{PREFIX}{}_{}",
            encoded(&bytes[..ID]),
            encoded(&bytes[ID..])
        )))
    }

    /// Returns the part that is not secret, by which the token is found.
    pub fn id(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + ID_TEXT]
    }

    /// Returns what is kept of the secret.
    ///
    /// A fast hash: nobody guesses 256 random bits, however fast.
    pub fn hash(&self) -> Vec<u8> {
        hash_of(&self.0).to_vec()
    }

    /// Returns what clients send.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl<'p> SentSecret<'p> {
    /// Recognises a secret; `None` for any other password.
    pub(super) fn parse(password: &'p [u8]) -> Option<Self> {
        let text = std::str::from_utf8(password).ok()?;
        let (id, rest) = text.strip_prefix(PREFIX)?.split_once('_')?;
        if (id.len(), rest.len()) != (ID_TEXT, REST_TEXT) {
            return None;
        }
        let mut bytes = [0; ID + RANDOM + CHECKSUM];
        decode(id, &mut bytes[..ID])?;
        decode(rest, &mut bytes[ID..])?;
        let (secret, sent) = bytes.split_at(ID + RANDOM);
        (checksum(secret).as_slice() == sent).then_some(Self { text })
    }

    pub(super) fn id(&self) -> &'p str {
        &self.text[PREFIX.len()..PREFIX.len() + ID_TEXT]
    }

    /// Reports whether it is the secret that was hashed, in constant time.
    pub(super) fn has_hash(&self, hash: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&hash_of(self.text), hash).is_ok()
    }
}

fn hash_of(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let hash = Sha256::digest(bytes);
    [hash[0], hash[1], hash[2]]
}

/// Encodes bytes in base 32 (RFC 4648), in lower case.
fn encoded(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

/// Decodes text of exactly the length of `bytes`. Other than lower case is no digit: one secret has one text.
fn decode(text: &str, bytes: &mut [u8]) -> Option<()> {
    for (characters, group) in text.as_bytes().chunks(8).zip(bytes.chunks_mut(5)) {
        let mut number: u64 = 0;
        for character in characters {
            let digit = match character {
                b'a'..=b'z' => character - b'a',
                b'2'..=b'7' => character - b'2' + 26,
                _ => return None,
            };
            number = number << 5 | u64::from(digit);
        }
        group.copy_from_slice(&number.to_be_bytes()[3..]);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_recognised_by_its_checksum() {
        let secret = TokenSecret::generate().unwrap();
        assert_ne!(secret.text(), TokenSecret::generate().unwrap().text());
        let sent = SentSecret::parse(secret.text().as_bytes()).unwrap();
        assert_eq!(sent.id(), secret.id());
        assert!(sent.has_hash(&secret.hash()) && !sent.has_hash(b""));
        for position in 0..secret.text().len() {
            let mut other = secret.text().as_bytes().to_vec();
            other[position] = if other[position] == b'a' { b'b' } else { b'a' };
            assert!(SentSecret::parse(&other).is_none(), "{position}");
        }
        for other in [
            secret.text().to_uppercase(),
            format!("{} ", secret.text()),
            String::new(),
        ] {
            assert!(SentSecret::parse(other.as_bytes()).is_none(), "{other}");
        }
    }
}
