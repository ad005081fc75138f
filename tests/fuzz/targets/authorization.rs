//! `Authorization` headers, Basic and Bearer: none is admitted but those with the right password, and the right tokens.
//!
//! An input is a byte, which selects the method of authentication, and a header's value.

#![no_main]

#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/scratch.rs"]
mod scratch;

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::{CREDENTIALS, Gates, SECRET, SIGNED};
use libfuzzer_sys::fuzz_target;
use tarkeep::auth::Refusal;

static GATES: LazyLock<Gates> = LazyLock::new(|| Gates::new(scratch::directory()));

fuzz_target!(|data: &[u8]| {
    let Some((method, header)) = data.split_first() else {
        return;
    };
    let (access, is_right) = match method % 2 {
        0 => (&GATES.passwords, with(header, b"basic ", CREDENTIALS)),
        _ => (&GATES.tokens, with(header, b"bearer ", SIGNED)),
    };
    match GATES.admit(access, header) {
        Ok(requester) => {
            // the registry's own tokens are passwords beside every method
            assert!(is_right || has_secret(header));
            assert!(requester.identity().name().is_some());
        }
        Err(Refusal::Challenge { challenge, .. }) => {
            assert!(!is_right);
            // a header with a line feed cannot be sent
            assert!(
                challenge.bytes().all(|byte| byte >= b' ' && byte != 0x7f),
                "{challenge}"
            );
        }
        Err(refusal) => panic!("{refusal:?}"),
    }
});

/// True if a header is a scheme in any case, and the credentials with nothing but spaces around them.
fn with(header: &[u8], scheme: &[u8], credentials: &str) -> bool {
    header
        .split_at_checked(scheme.len())
        .is_some_and(|(sent, rest)| {
            sent.eq_ignore_ascii_case(scheme) && rest.trim_ascii() == credentials.as_bytes()
        })
}

/// True if the password is the secret of the token, whoever the user is.
fn has_secret(header: &[u8]) -> bool {
    let password = header.split_at_checked(6).and_then(|(_, text)| {
        let decoded = STANDARD.decode(text.trim_ascii()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        Some(decoded[colon + 1..].to_vec())
    });
    password.is_some_and(|password| password == SECRET.as_bytes())
}
