//! htpasswd files: a file is accepted if each of its lines is, and what was read, written down, is read as the same.

#![no_main]

#[path = "../support/scratch.rs"]
mod scratch;

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tarkeep::auth::{
    Access, BcryptHash, Challenge, Entry, HtpasswdSettings, MAX_COST, MIN_COST, Method, Settings,
    entries,
};

static FILE: LazyLock<PathBuf> = LazyLock::new(|| scratch::directory().join("htpasswd"));

fuzz_target!(|data: &[u8]| {
    let read: Vec<_> = entries(data).collect();
    let is_valid = read.iter().all(|entry| entry.as_ref().is_ok_and(is_sound));
    let sound: Vec<_> = read.into_iter().flatten().collect();
    // the first line is where a byte order mark could be
    let line = |entry: &Entry| format!("{}:{}\n", entry.user, entry.hash);
    let written = format!("# users\n{}", sound.iter().map(line).collect::<String>());
    let again: Vec<_> = entries(written.as_bytes())
        .map(|entry| entry.expect("a line"))
        .collect();
    let parts = |entries: &[Entry]| {
        entries
            .iter()
            .map(|entry| (entry.user.clone(), entry.hash.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(parts(&sound), parts(&again));
    std::fs::write(&*FILE, data).expect("a file");
    let settings = Settings {
        method: Method::Htpasswd(HtpasswdSettings {
            realm: "realm".to_owned(),
            path: FILE.clone(),
            cache: HtpasswdSettings::DEFAULT_CACHE,
        }),
        challenge: Challenge::Auto,
        rules: None,
        trust: Vec::new(),
        oidc: None,
    };
    let checked = Access::check(&settings);
    assert_eq!(checked.is_ok(), is_valid, "{checked:?}");
});

/// True if a line's hash is one of bcrypt, which stays the same when it is written down.
fn is_sound(entry: &Entry) -> bool {
    let Ok(hash) = entry.hash.parse::<BcryptHash>() else {
        return false;
    };
    assert!((MIN_COST..=MAX_COST).contains(&hash.cost()));
    assert!(
        hash.as_str()
            .parse::<BcryptHash>()
            .is_ok_and(|again| again == hash)
    );
    true
}
