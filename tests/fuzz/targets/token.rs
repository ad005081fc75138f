//! Tokens: the secret of a token, a token of the token service, and one of another server. Whatever is changed in one, it is
//! refused, and unchanged it is admitted.
//!
//! An input is a byte, which selects the token, a place in two bytes, the number of bytes to take out there, and those to put
//! there.

#![no_main]

#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/scratch.rs"]
mod scratch;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::{CREDENTIALS, Gates, SECRET, SIGNED, login};
use libfuzzer_sys::fuzz_target;
use parking_lot::Mutex;
use tarkeep::auth::TokenRequest;

/// Time for which a token of the service is used; it lasts longer.
const FRESH: Duration = Duration::from_secs(300);

static GATES: LazyLock<Gates> = LazyLock::new(|| Gates::new(scratch::directory()));
static ISSUED: Mutex<Option<(Instant, String)>> = Mutex::new(None);

fuzz_target!(|data: &[u8]| {
    let &[kind, high, low, removed, ref inserted @ ..] = data else {
        return;
    };
    let edited = |text: &str| {
        let place = usize::from(u16::from_be_bytes([high, low])) % (text.len() + 1);
        let end = text.len().min(place + usize::from(removed));
        [&text.as_bytes()[..place], inserted, &text.as_bytes()[end..]].concat()
    };
    let bearer = |token: &[u8]| [b"Bearer ", token].concat();
    let (access, header, is_right) = match kind % 3 {
        0 => {
            let secret = edited(SECRET);
            let text = STANDARD.encode([b"any:", &*secret].concat());
            (
                &GATES.passwords,
                format!("Basic {text}").into_bytes(),
                secret == SECRET.as_bytes(),
            )
        }
        1 => {
            let issued = issued();
            let token = edited(&issued);
            let is_right = token.trim_ascii() == issued.as_bytes();
            (&GATES.passwords, bearer(&token), is_right)
        }
        _ => {
            let token = edited(SIGNED);
            let is_right = token.trim_ascii() == SIGNED.as_bytes();
            (&GATES.tokens, bearer(&token), is_right)
        }
    };
    let admitted = GATES.admit(access, &header);
    assert_eq!(admitted.is_ok(), is_right, "{admitted:?}");
});

/// Returns a token of the service.
fn issued() -> String {
    let mut issued = ISSUED.lock();
    if let Some((at, token)) = &*issued
        && at.elapsed() < FRESH
    {
        return token.clone();
    }
    let header = format!("Basic {CREDENTIALS}");
    let scopes = ["repository:team/app:pull".to_owned()];
    let request = TokenRequest {
        login: login(header.as_bytes()),
        credentials: None,
        scopes: &scopes,
    };
    let token = GATES
        .runtime
        .block_on(GATES.passwords.issue(request))
        .expect("a token")
        .text;
    *issued = Some((Instant::now(), token.clone()));
    token
}
