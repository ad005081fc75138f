//! Guessing passwords gets slower, and harms nobody else.

use std::time::{Duration, Instant};

use super::{Guarded, as_user, line};

#[test]
fn an_address_that_guesses_has_to_wait() {
    let guarded = Guarded::with(&format!("{}{}", line("joe", "secret"), line("ann", "other")));
    assert_eq!(guarded.login("joe", "secret").status, 200);
    let mut client = guarded.client();
    let mut refused = None;
    for number in 0..100 {
        let response = as_user(client.request("GET", "/v2/"), "joe", &format!("guess {number}")).send();
        if response.status != 401 {
            refused = Some((number, response));
            break;
        }
    }
    let (number, response) = refused.expect("guessing goes on for ever");
    response.refused(429, "TOOMANYREQUESTS");
    assert_eq!(number, 11);
    assert_eq!(response.header("retry-after"), Some("1"));
    // whoever was let in a moment ago is let in, from the same address
    assert_eq!(guarded.login("joe", "secret").status, 200);
    // others wait, and then get in
    let waited = Instant::now();
    while guarded.login("ann", "other").status != 200 {
        assert!(waited.elapsed() < Duration::from_secs(20), "nobody is let in any more");
        std::thread::yield_now();
    }
}

/// Many guesses at once are not cheaper, and pulls of others are not slowed to the pace of the guesses.
#[test]
fn guesses_at_once_are_bounded() {
    let guarded = Guarded::with(&format!("joe:{}\n", bcrypt::hash("secret", 10).expect("a hash")));
    assert_eq!(guarded.login("joe", "secret").status, 200);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let guessers: Vec<_> = (0..60)
            .map(|number| {
                scope.spawn({
                    let guarded = &guarded;
                    move || guarded.login("joe", &format!("guess {number}")).status
                })
            })
            .collect();
        for _ in 0..50 {
            assert_eq!(guarded.login("joe", "secret").status, 200);
        }
        guessers.into_iter().map(|guesser| guesser.join().expect("an answer")).collect()
    });
    let hashed = statuses.iter().filter(|status| **status == 401).count();
    assert!((11..30).contains(&hashed), "{hashed} guesses were looked at: {statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)), "{statuses:?}");
}
