//! bcrypt hashes.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};

/// Default cost of a new hash: 2^10 rounds, as in bcrypt and distribution.
///
/// Apache's 5 dates from slower machines; here the cost is paid once in minutes.
pub const DEFAULT_COST: u32 = 10;
/// Lowest cost that Apache's htpasswd supports.
pub const MIN_COST: u32 = 4;
/// Highest cost that Apache's htpasswd supports; each cost doubles the time of the one before.
pub const MAX_COST: u32 = 17;

/// Encoding of salt and digest. Unused bits of the last character may be set: some implementations leave them so.
const BASE64: GeneralPurpose = {
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true);
    let config = config.with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&BCRYPT, config)
};

/// bcrypt hash: `$2y$`, cost, salt and digest in 60 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct BcryptHash {
    /// In the form that the hashing library reads.
    text: String,
    cost: u32,
}

impl BcryptHash {
    /// Hashes a password, of which bcrypt uses the first 72 bytes.
    ///
    /// # Errors
    /// A cost out of bounds, or a system without random bytes.
    pub fn of(password: &[u8], cost: u32) -> Result<Self, String> {
        if !(MIN_COST..=MAX_COST).contains(&cost) {
            return Err(format!(
                "the cost of bcrypt is a number from {MIN_COST} to {MAX_COST}, not {cost}"
            ));
        }
        let parts = bcrypt::hash_with_result(password, cost).map_err(|error| error.to_string())?;
        Ok(Self {
            text: parts.format_for_version(bcrypt::Version::TwoY),
            cost,
        })
    }

    /// Creates a hash that matches no password and costs as much time as any other.
    pub(in crate::auth) fn dummy(cost: u32) -> Self {
        let (salt, digest) = (BASE64.encode([0x5a; 16]), BASE64.encode([0xa5; 23]));
        Self {
            text: format!("$2y${cost:02}${salt}{digest}"),
            cost,
        }
    }

    /// Returns what tells it from other hashes and reveals neither.
    pub(in crate::auth) fn fingerprint(&self) -> String {
        BASE64.encode(&Sha256::digest(&self.text)[..12])
    }

    pub fn cost(&self) -> u32 {
        self.cost
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reports whether this is the hash of `password`. Blocks for as long as the cost demands.
    pub fn matches(&self, password: &[u8]) -> bool {
        // the library reads every hash that parses
        bcrypt::verify(password, &self.text).unwrap_or(false)
    }
}

/// Parses `$2a$`, `$2b$` and `$2y$`, which are equivalent for passwords without zero bytes.
///
/// `$2x$` marks the hashes of a broken implementation, and is rejected.
impl FromStr for BcryptHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed =
            || "not a bcrypt hash ($2y$, $2a$ or $2b$ and 56 more characters)".to_owned();
        if text.len() != 60
            || !text.is_ascii()
            || !["$2a$", "$2b$", "$2y$"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
        {
            return Err(malformed());
        }
        let digits = &text[4..6];
        let cost: Option<u32> = digits.parse().ok().filter(|cost| {
            digits.bytes().all(|digit| digit.is_ascii_digit()) && (4..=31).contains(cost)
        });
        if let Some(cost) = cost.filter(|&cost| cost > MAX_COST) {
            // a single check at 31 takes a day
            return Err(format!(
                "its cost is {cost}, and every login would take too long: {MAX_COST} is the highest accepted"
            ));
        }
        let (cost, salt, digest) = (
            cost.ok_or_else(malformed)?,
            BASE64.decode(&text[7..29]),
            BASE64.decode(&text[29..]),
        );
        match (&text[6..7], salt, digest) {
            ("$", Ok(salt), Ok(digest)) => Ok(Self {
                text: format!(
                    "{}{cost:02}${}{}",
                    &text[..4],
                    BASE64.encode(salt),
                    BASE64.encode(digest)
                ),
                cost,
            }),
            _ => Err(malformed()),
        }
    }
}

impl fmt::Debug for BcryptHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hash)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hashes_of_other_implementations() {
        // Apache's htpasswd 2.4, with -C 5; the others are jBCrypt's, with known passwords
        for (hash, password) in [
            (
                "$2y$05$wEPT.PzhL0nkRag3myfE.erSvqPIbeZFihnVf9YXscnxJXVXw/ChO",
                "pw",
            ),
            (
                "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.",
                "",
            ),
            (
                "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
                "a",
            ),
        ] {
            let parsed: BcryptHash = hash.parse().unwrap();
            assert!(parsed.matches(password.as_bytes()), "{hash}");
            assert!(!parsed.matches(b"other"), "{hash}");
        }
    }

    #[test]
    fn unused_bits_may_be_set() {
        let hash = "$2a$06$m0CrhHm10qJ3lXRY.5zDGP3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";
        assert!(hash.parse::<BcryptHash>().unwrap().matches(b"a"));
    }

    #[test]
    fn the_dummy_parses() {
        for cost in [4, 10, 17] {
            let dummy = BcryptHash::dummy(cost);
            assert_eq!(dummy.as_str().parse::<BcryptHash>().unwrap(), dummy);
        }
        assert!(!BcryptHash::dummy(4).matches(b""));
    }

    #[test]
    fn a_cost_that_blocks_every_login_is_named() {
        let hash = |cost: &str| {
            format!("$2y${cost}$wEPT.PzhL0nkRag3myfE.erSvqPIbeZFihnVf9YXscnxJXVXw/ChO")
        };
        assert!(hash("17").parse::<BcryptHash>().is_ok());
        for cost in ["18", "31"] {
            let error = hash(cost).parse::<BcryptHash>().unwrap_err();
            assert!(error.contains(&format!("its cost is {cost}")), "{error}");
        }
    }

    #[test]
    fn malformed_hashes_are_rejected() {
        let good = "$2y$05$wEPT.PzhL0nkRag3myfE.erSvqPIbeZFihnVf9YXscnxJXVXw/ChO";
        let bad = [
            "",
            "secret",
            "$apr1$TVAkvpFM$TDu8Y1TeeHSc2Dp0O4EBm/",
            "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
            &good[..59],
        ];
        for text in bad.iter().map(|text| (*text).to_owned()).chain([
            good.replacen("2y", "2x", 1),
            good.replacen("05", "03", 1),
            good.replacen("05", "18", 1),
            good.replacen("05", "31", 1),
            good.replacen("05", "32", 1),
            good.replacen("05", "+5", 1),
            good.replacen('w', "!", 1),
            good.replacen("$w", "/w", 1),
            format!("{good} "),
            good.replacen("wE", "é", 1),
        ]) {
            assert!(text.parse::<BcryptHash>().is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn a_password_matches_its_own_hash(password in "[^\0]{0,20}", other in "[^\0]{0,20}") {
            let hash = BcryptHash::of(password.as_bytes(), 4).unwrap();
            prop_assert!(hash.as_str().starts_with("$2y$04$"));
            prop_assert!(hash.as_str().parse::<BcryptHash>().unwrap().matches(password.as_bytes()));
            prop_assert_eq!(hash.matches(other.as_bytes()), password == other);
        }
    }
}
