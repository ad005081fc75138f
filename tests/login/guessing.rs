//! Guessing passwords gets slower, and harms nobody else.

use std::time::{Duration, Instant};

use super::{Guarded, as_user, line};

#[test]
fn an_address_that_guesses_has_to_wait() {
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
    // whoever was let in a moment ago is let in, from the same address
    assert_eq!(guarded.login("joe", "secret").status, 200);
    // others wait, and then get in
    let waited = Instant::now();
    while guarded.login("ann", "other").status != 200 {
        assert!(
            waited.elapsed() < Duration::from_secs(20),
            "nobody is let in any more"
        );
        std::thread::yield_now();
    }
}

/// Behind a closed door what others got right is as wrong as anything: else it would be a way to guess for nothing.
#[test]
fn the_door_is_closed_to_what_others_know() {
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
    // until it is closed for four seconds
    while number < 13 {
        number += usize::from(login(&format!("guess {number}"), "192.0.2.2") == 401);
    }
    assert_eq!(
        (login("secret", "192.0.2.2"), login("secret", "192.0.2.1")),
        (429, 200)
    );
}

/// podman and skopeo send these where nobody has logged in.
#[test]
fn no_user_and_no_password_are_no_login() {
    let guarded = Guarded::with(&line("joe", "secret"));
    for _ in 0..30 {
        guarded.login("", "").refused(401, "UNAUTHORIZED");
    }
    assert_eq!(guarded.login("joe", "secret").status, 200);
    let log = guarded.server.log();
    assert!(!log.contains("login failed"), "{log}");
}

/// A push with an old password is a dozen requests and one failure.
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

/// The log has a line for each password that was looked at, and for each time that the door is closed; nothing else.
#[test]
fn the_log_is_not_filled_by_guesses() {
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
fn malformed_logins_count_as_well() {
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
    // a password has to wait as well, and one that was right a moment ago need not
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

/// A client cannot name another one by itself, not even through a tunnel that ends on this machine.
#[test]
fn a_header_is_no_way_round_the_door() {
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

/// Many guesses at once are not cheaper, and pulls of others are not slowed to the pace of the guesses.
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
