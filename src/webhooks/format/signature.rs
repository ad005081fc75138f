//! Signatures of requests, as receivers check them.

use hmac::{Hmac, KeyInit, Mac};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use crate::webhooks::settings::{Format, Secret};

/// Spelling of Flux (`generic-hmac`) and most others.
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
/// Spelling of GitHub.
const HUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");

/// Signs a body. Harbor does not sign: its receivers compare `Authorization` with the key itself.
///
/// # Errors
/// Key that cannot be sent in a header.
pub(super) fn sign(
    headers: &mut HeaderMap,
    format: Format,
    key: &Secret,
    body: &[u8],
) -> Result<(), String> {
    let signature = value(signature(key.bytes(), body).as_bytes())?;
    match format {
        Format::Harbor => {
            headers.insert(AUTHORIZATION, value(key.bytes())?);
        }
        Format::CloudEvents | Format::DockerHub => {
            headers.insert(HUB_SIGNATURE, signature.clone());
        }
        Format::Distribution | Format::Slack | Format::Discord | Format::Teams | Format::Text => {}
    }
    headers.insert(SIGNATURE, signature);
    Ok(())
}

fn signature(key: &[u8], body: &[u8]) -> String {
    // HMAC takes keys of any length
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    mac.update(body);
    let code = mac.finalize().into_bytes();
    code.iter().fold("sha256=".to_owned(), |text, byte| {
        text + &format!("{byte:02x}")
    })
}

fn value(bytes: &[u8]) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_bytes(bytes)
        .map_err(|_| "the key of the signature cannot be sent in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
