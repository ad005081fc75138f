//! `registry-credential-provider`: hands a pod's token to the kubelet, as its password for the registry.
//!
//! The kubelet runs it with a request on standard input and reads the response from standard output
//! (`credentialprovider.kubelet.k8s.io/v1`).

use std::io::{self, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

const VERSION: &str = "credentialprovider.kubelet.k8s.io/v1";
/// Maximum size of a request, in bytes.
const LARGEST: u64 = 256 << 10;
/// User name that is sent; the registry does not look at it.
const USER: &str = "kubelet";
/// Time before the token's end at which it is no longer used, in seconds.
const SPARE: i64 = 60;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    api_version: String,
    kind: String,
    image: String,
    /// Empty unless the kubelet's configuration has `tokenAttributes`.
    #[serde(default)]
    service_account_token: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: i64,
}

/// Answers the request on standard input.
///
/// # Errors
/// A sentence, for the kubelet's log.
pub(crate) fn run() -> Result<(), String> {
    let mut text = Vec::new();
    let read = io::stdin().take(LARGEST).read_to_end(&mut text);
    read.map_err(|error| format!("cannot read the request: {error}"))?;
    let response = respond(&text, Timestamp::now().as_second())?;
    let mut out = io::stdout();
    let written = writeln!(out, "{response}").and_then(|()| out.flush());
    written.map_err(|error| format!("cannot write the response: {error}"))
}

fn respond(text: &[u8], now: i64) -> Result<Value, String> {
    let request: Request = serde_json::from_slice(text).map_err(|error| {
        format!(
            "standard input is no CredentialProviderRequest: {error}; the kubelet runs this program"
        )
    })?;
    if (&*request.api_version, &*request.kind) != (VERSION, "CredentialProviderRequest") {
        return Err(format!(
            "the request is {} of {}, and only CredentialProviderRequest of {VERSION} is supported",
            request.kind, request.api_version
        ));
    }
    if request.service_account_token.is_empty() {
        return Err(
            "the kubelet sends no token: set tokenAttributes.serviceAccountTokenAudience in its CredentialProviderConfig"
                .to_owned(),
        );
    }
    let seconds = (end_of(&request.service_account_token).unwrap_or(now) - now - SPARE).max(0);
    let host = request.image.split('/').next().unwrap_or_default();
    Ok(json!({
        "apiVersion": VERSION,
        "kind": "CredentialProviderResponse",
        "cacheKeyType": "Registry",
        "cacheDuration": format!("{seconds}s"),
        "auth": {
            host: { "username": USER, "password": request.service_account_token },
        },
    }))
}

/// Returns the time at which a token ends, in seconds since 1970; the registry verifies it.
fn end_of(token: &str) -> Option<i64> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Claims>(&payload).ok()?.exp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_keep_it_follows_from_the_token() {
        let token = format!("a.{}.b", URL_SAFE_NO_PAD.encode(r#"{"exp":1600}"#));
        let request = |token: &str| {
            let request = json!({
                "apiVersion": VERSION, "kind": "CredentialProviderRequest",
                "image": "r.example:5000/a/b:v1", "serviceAccountToken": token,
            });
            respond(request.to_string().as_bytes(), 1000).unwrap()
        };
        let response = request(&token);
        assert_eq!(response["cacheDuration"], "540s");
        assert_eq!(response["auth"]["r.example:5000"]["password"], *token);
        assert_eq!(request("odd")["cacheDuration"], "0s");
    }
}
