//! One attempt to log in: a secret of the browser, from which everything is derived that the issuer is told.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::auth::error::Error;

/// Length of the secret's text.
const LENGTH: usize = 43;

/// An attempt to log in. Nobody keeps it but the browser, in a cookie.
#[derive(Clone)]
pub struct Attempt(String);

impl Attempt {
    /// Makes one of 256 random bits.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate() -> Result<Self, Error> {
        let mut secret = [0; 32];
        rand::fill(&mut secret).map_err(|_| Error::Random)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(secret)))
    }

    /// Reads one from a cookie.
    pub fn parse(text: &str) -> Option<Self> {
        let is_whole = text.len() == LENGTH && URL_SAFE_NO_PAD.decode(text).is_ok();
        is_whole.then(|| Self(text.to_owned()))
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    /// Value that comes back with the browser: the login is its own, and no other's.
    pub(super) fn state(&self) -> String {
        self.derived("state")
    }

    /// Value that the issuer writes into the token: it is of this login, and of no other.
    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// Proof to the issuer that the code is asked for by whoever began (RFC 7636).
    pub(super) fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// Hash of the verifier, which the issuer is told at the beginning.
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    fn derived(&self, purpose: &str) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{purpose} {}", self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_says_nothing_about_the_rest() {
        let attempt = Attempt::generate().unwrap();
        let told = [
            attempt.state(),
            attempt.nonce(),
            attempt.verifier(),
            attempt.challenge(),
            attempt.text().to_owned(),
        ];
        for (number, text) in told.iter().enumerate() {
            assert_eq!(text.len(), LENGTH);
            assert!(!told[..number].contains(text));
        }
        assert_eq!(
            Attempt::parse(attempt.text()).unwrap().state(),
            attempt.state()
        );
        for text in ["", "short", &"?".repeat(LENGTH)] {
            assert!(Attempt::parse(text).is_none(), "{text}");
        }
    }
}
