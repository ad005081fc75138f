//! Guessing passwords is throttled, without harm to other clients.

use std::time::{Duration, Instant};

use super::{Guarded, as_user, line};

#[test]
fn an_address_that_guesses_is_locked_out() {
    let guarded = Guarded::with(&format!(
        "{}{}",
        line("joe", "secret"),
        line("ann", "other")
    ));
    assert_eq!(guarded.login("joe", "secret").status, 200);
    let mut client = guarded.client();
    let mut refused = None;
    for number in 0..100 {
        let response = as_user(
            client.request("GET", "/v2/"),
            "joe",
            &format!("guess {number}"),
        )
        .send();
        if response.status != 401 {
            refused = Some((number, response));
            break;
        }
    }
    let (number, response) = refused.expect("guessing goes on for ever");
    response.refused(429, "TOOMANYREQUESTS");
    assert_eq!(number, 11);
    assert_eq!(response.header("retry-after"), Some("1"));
    // a cached password is accepted, even from the same address
    assert_eq!(guarded.login("joe", "secret").status, 200);
    // new logins wait, then succeed
    let waited = Instant::now();
    while guarded.login("ann", "other").status != 200 {
        assert!(
            waited.elapsed() < Duration::from_secs(20),
            "nobody is let in any more"
        );
        std::thread::yield_now();
    }
}

/// During a lockout, passwords that other addresses verified are rejected too; otherwise they would
/// make guesses free.
#[test]
fn a_lockout_applies_to_passwords_that_others_verified() {
    let guarded = Guarded::set_up(
        &line("joe", "secret"),
        &[("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]")],
    );
    let mut client = guarded.client();
    let mut login = |password: &str, address: &str| {
        as_user(client.request("GET", "/v2/"), "joe", password)
            .header("X-Forwarded-For", address)
            .send()
            .status
    };
    assert_eq!(login("secret", "192.0.2.1"), 200);
    let mut number = 0;
    // until the lockout lasts four seconds
    while number < 13 {
        number += usize::from(login(&format!("guess {number}"), "192.0.2.2") == 401);
    }
    assert_eq!(
        (login("secret", "192.0.2.2"), login("secret", "192.0.2.1")),
        (429, 200)
    );
}

/// podman and skopeo send this without a login.
#[test]
fn an_empty_user_and_password_is_no_login() {
    let guarded = Guarded::with(&line("joe", "secret"));
    for _ in 0..30 {
        guarded.login("", "").refused(401, "UNAUTHORIZED");
    }
    assert_eq!(guarded.login("joe", "secret").status, 200);
    let log = guarded.server.log();
    assert!(!log.contains("login failed"), "{log}");
}

/// A push with an outdated password makes a dozen requests and counts as one failure.
#[test]
fn the_same_wrong_password_counts_once() {
    let guarded = Guarded::with(&line("joe", "secret"));
    for _ in 0..20 {
        guarded.login("joe", "old").refused(401, "UNAUTHORIZED");
    }
    let log = guarded.server.log();
    assert!(
        (1..=3).contains(&log.matches("login failed").count()),
        "{log}"
    );
}

/// The log has one line per verified failure and one per lockout.
#[test]
fn guesses_do_not_flood_the_log() {
    let guarded = Guarded::with(&line("joe", "secret"));
    let mut client = guarded.client();
    let guesses: Vec<_> = (0..200)
        .map(|number| {
            as_user(
                client.request("GET", "/v2/"),
                "joe",
                &format!("guess {number}"),
            )
            .send()
        })
        .collect();
    let looked_at = guesses.iter().filter(|guess| guess.status == 401).count();
    assert!((11..30).contains(&looked_at), "{looked_at} guesses");
    let log = guarded.server.log();
    assert_eq!(
        (
            log.matches("login failed").count(),
            log.matches("too many failed logins").count()
        ),
        (looked_at, looked_at - 10),
        "{log}"
    );
    assert!(
        log.contains("wait=1s") && log.contains("address=127.0.0.1"),
        "{log}"
    );
}

/// Malformed credentials count as a wrong password: they cost work and a log line as well.
#[test]
fn malformed_logins_count_as_failures() {
    let guarded = Guarded::with(&line("joe", "secret"));
    assert_eq!(guarded.login("joe", "secret").status, 200);
    let mut client = guarded.client();
    let mut show = |what: &str| {
        client
            .request("GET", "/v2/")
            .header("Authorization", what)
            .send()
            .status
    };
    let odd = ["Basic", "Basic !!!", "Bearer x", "whatever"];
    let statuses: Vec<_> = (0..200)
        .map(|number| show(odd[number % odd.len()]))
        .collect();
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    assert!(
        statuses[..11].iter().all(|status| *status == 401) && statuses[11] == 429 && looked_at < 30,
        "{statuses:?}"
    );
    // a new password waits as well, a cached one does not
    assert_eq!(
        (
            guarded.login("joe", "wrong").status,
            guarded.login("joe", "secret").status
        ),
        (429, 200)
    );
    let log = guarded.server.log();
    assert_eq!(log.matches("login failed").count(), looked_at, "{log}");
    assert!(log.contains(r#"reason="no user and password""#), "{log}");
}

/// A client cannot claim another address, not even through a tunnel that ends on this machine.
#[test]
fn a_forwarded_header_does_not_evade_the_lockout() {
    let guarded = Guarded::with(&line("joe", "secret"));
    let mut client = guarded.client();
    let mut guess = |number: usize| {
        let request = as_user(
            client.request("GET", "/v2/"),
            "joe",
            &format!("guess {number}"),
        );
        request
            .header("X-Forwarded-For", &format!("192.0.2.{number}"))
            .header("Forwarded", &format!("for=192.0.2.{number}"))
            .send()
    };
    assert!(
        (0..100).any(|number| guess(number).status == 429),
        "guessing goes on for ever"
    );
    let log = guarded.server.log();
    assert!(
        !log.contains("192.0.2.") && log.contains("address=127.0.0.1"),
        "{log}"
    );
}

/// Parallel guesses are no cheaper, and other clients' pulls are not slowed by them.
#[test]
fn guesses_at_once_are_bounded() {
    let guarded = Guarded::with(&format!(
        "joe:{}\n",
        bcrypt::hash("secret", 10).expect("a hash")
    ));
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
        guessers
            .into_iter()
            .map(|guesser| guesser.join().expect("an answer"))
            .collect()
    });
    let hashed = statuses.iter().filter(|status| **status == 401).count();
    assert!(
        (11..30).contains(&hashed),
        "{hashed} guesses were looked at: {statuses:?}"
    );
    assert!(
        statuses.iter().all(|status| matches!(status, 401 | 429)),
        "{statuses:?}"
    );
}
