//! Decoding of JSON Web Tokens, whoever has signed them.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Validation};
use serde::de::DeserializeOwned;

use super::key::Malformed;

/// Tolerated difference between the clocks of two servers, as in distribution.
const LEEWAY_SECONDS: u64 = 60;

/// The challenge's `error` for a token that is not accepted (RFC 6750, section 3.1).
pub(in crate::auth) const INVALID_TOKEN: &str = "invalid_token";

/// Reason why a token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Fault {
    /// Too old, as every token is in the end: clients fetch another.
    Expired,
    /// Possibly an honest token of some server, but not one for this registry as configured.
    Unfit(&'static str),
    /// Not made by any server.
    Forged(&'static str),
}

impl From<Malformed> for Fault {
    fn from(Malformed(cause): Malformed) -> Self {
        Self::Unfit(cause)
    }
}

/// Verifies a token's signature, times and audience, and returns its claims.
pub(in crate::auth) fn decode<C: DeserializeOwned>(
    token: &[u8],
    key: &DecodingKey,
    mut validation: Validation,
    audience: &str,
) -> Result<C, Fault> {
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.set_audience(&[audience]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY_SECONDS;
    let decoded = jsonwebtoken::decode::<C>(token, key, &validation);
    Ok(decoded.map_err(|error| fault(error.kind()))?.claims)
}

/// Returns the token in a header (RFC 6750, section 2.1).
pub(in crate::auth) fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

fn fault(error: &ErrorKind) -> Fault {
    match error {
        ErrorKind::ExpiredSignature => Fault::Expired,
        ErrorKind::ImmatureSignature => Fault::Unfit("token that is not yet valid"),
        ErrorKind::InvalidAudience => Fault::Unfit("token for another service"),
        ErrorKind::InvalidSignature => Fault::Forged("token with a wrong signature"),
        ErrorKind::MissingRequiredClaim(_) => {
            Fault::Unfit("token without issuer, audience or expiry")
        }
        // claims are read only after the signature has been verified
        ErrorKind::Json(_) => Fault::Unfit("token with malformed claims"),
        _ => Fault::Forged("malformed token"),
    }
}
