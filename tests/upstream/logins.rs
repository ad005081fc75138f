//! Logins: whose password goes where, and what happens when a token ends.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tarkeep::oci::Glob;
use tarkeep::upstream::{Credentials, Error, Helper, Login};

use super::{fetch, login, name, run, settings, upstream};
use crate::support::hub::{Hub, Part, Seen};
use crate::support::{Image, sha256};

/// Another port of the same host is another server.
#[test]
fn a_foreign_token_service_gets_no_password_unless_it_is_named() {
    for host in ["localhost", "127.0.0.1"] {
        let hub = Hub::start();
        hub.behave(|behaviour| behaviour.realm_host = host);
        hub.add("a/b", "v1", &Image::small(1));
        hub.reserve("a/b", "ci", "hidden");
        let place = format!("{host}:{}", hub.ports.tokens);
        let mut settings = settings(&hub);
        settings.logins = vec![login("ci", "hidden")];
        for realms in [vec![], vec![host.to_owned()], vec![format!("{place}0")]] {
            settings.realms = realms;
            let asked = run(upstream(&settings).manifest(&name("a/b"), "v1"));
            assert_eq!(asked.map(|_| ()), Err(Error::NotFound), "{host}");
        }
        let tokens = hub.seen_by(Part::Tokens);
        assert!(!tokens.is_empty());
        let is_bare = |seen: &Seen| seen.header("authorization").is_none();
        assert!(tokens.iter().all(is_bare), "{host}");
        settings.realms = vec![place];
        let asked = run(upstream(&settings).manifest(&name("a/b"), "v1"));
        assert!(asked.is_ok(), "{asked:?}");
    }
}

#[test]
fn the_own_token_service_gets_the_password() {
    let hub = Hub::start();
    hub.behave(|behaviour| behaviour.has_own_tokens = true);
    hub.add("a/b", "v1", &Image::small(2));
    hub.reserve("a/b", "ci", "hidden");
    let mut settings = settings(&hub);
    settings.logins = vec![login("ci", "hidden")];
    let asked = run(upstream(&settings).manifest(&name("a/b"), "v1"));
    assert!(asked.is_ok(), "{asked:?}");
    settings.logins = vec![login("ci", "wrong")];
    let asked = run(upstream(&settings).manifest(&name("a/b"), "v1"));
    let refused = asked.map(|_| ());
    assert!(
        matches!(&refused, Err(Error::Unauthorized(_))),
        "{refused:?}"
    );
    assert!(
        !refused
            .expect_err("a refusal")
            .to_string()
            .contains("wrong")
    );
}

#[test]
fn organisations_have_logins_of_their_own_from_files() {
    let hub = Hub::start();
    hub.behave(|behaviour| behaviour.wants_basic = true);
    let files = tempfile::TempDir::new().expect("a directory");
    let mut settings = settings(&hub);
    for user in ["one", "two"] {
        hub.add(&format!("{user}/app"), "v1", &Image::small(3));
        hub.reserve(&format!("{user}/app"), user, &format!("password of {user}"));
        let path = files.path().join(user);
        std::fs::write(&path, format!("password of {user}\n")).expect("a file");
        settings.logins.push(Login {
            repositories: Some(Glob::for_repositories(&format!("{user}/**")).expect("a glob")),
            credentials: Credentials::PasswordFile {
                username: user.to_owned(),
                path,
            },
        });
    }
    let client = upstream(&settings);
    for user in ["one", "two"] {
        let asked = run(client.manifest(&name(&format!("{user}/app")), "v1"));
        assert!(asked.is_ok(), "{user}: {asked:?}");
    }
    std::fs::remove_file(files.path().join("one")).expect("a file");
    let asked = run(upstream(&settings).manifest(&name("one/app"), "v1"));
    let failed = asked.map(|_| ());
    assert!(matches!(failed, Err(Error::Credentials(_))), "{failed:?}");
}

/// A credential helper that counts its runs in a file beside it, and tells the password in another.
fn helper(directory: &std::path::Path, body: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join("docker-credential-test");
    let script = format!("#!/bin/sh\ncd {}\n{body}\n", directory.display());
    std::fs::write(&path, script).expect("a file");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("a mode");
    path.display().to_string()
}

#[test]
fn a_credential_helper_tells_the_login() {
    let hub = Hub::start();
    let image = Image::small(6);
    hub.add("a/b", "v1", &image);
    hub.reserve("a/b", "ann", "secret");
    let directory = tempfile::TempDir::new().expect("a directory");
    let say = r#"read url; echo "$1 $url" >>asked; printf '{"ServerURL":"%s","Username":"ann","Secret":"%s"}' "$url" "$(cat password)""#;
    let command = helper(directory.path(), say);
    std::fs::write(directory.path().join("password"), "secret").expect("a file");
    let asked = || std::fs::read_to_string(directory.path().join("asked")).unwrap_or_default();
    for (lifetime, runs) in [
        (None, 1),
        (Some(Duration::from_secs(3600)), 1),
        (Some(Duration::ZERO), 2),
    ] {
        for wants_basic in [false, true] {
            hub.behave(|behaviour| {
                behaviour.has_own_tokens = true;
                behaviour.wants_basic = wants_basic;
            });
            let mut settings = settings(&hub);
            let told = Helper::new(command.clone(), hub.url(), lifetime);
            settings.logins = vec![Login {
                repositories: None,
                credentials: Credentials::Helper(Arc::new(told)),
            }];
            let client = upstream(&settings);
            run(async {
                for _ in 0..2 {
                    let fetched = fetch(&client, "a/b", &sha256(&image.layers[0])).await;
                    assert_eq!(fetched.as_ref(), Ok(&image.layers[0]), "{lifetime:?}");
                    hub.end_tokens();
                }
            });
            let line = format!("get {}\n", hub.url());
            assert_eq!(asked(), line.repeat(runs), "{lifetime:?} {wants_basic}");
            std::fs::remove_file(directory.path().join("asked")).expect("a file");
        }
    }
    // a password that is refused is asked for again
    let mut settings = settings(&hub);
    let told = Helper::new(command, hub.url(), None);
    settings.logins = vec![Login {
        repositories: None,
        credentials: Credentials::Helper(Arc::new(told)),
    }];
    let client = upstream(&settings);
    std::fs::write(directory.path().join("password"), "old").expect("a file");
    let blob = sha256(&image.layers[0]);
    run(async {
        let refused = fetch(&client, "a/b", &blob).await;
        assert!(refused.is_err(), "{refused:?}");
        std::fs::write(directory.path().join("password"), "secret").expect("a file");
        assert!(fetch(&client, "a/b", &blob).await.is_ok());
    });
}

/// A failure is said, and nothing that the helper prints.
#[test]
fn a_credential_helper_that_fails_is_named() {
    let hub = Hub::start();
    hub.add("a/b", "v1", &Image::small(6));
    hub.behave(|behaviour| behaviour.wants_basic = true);
    hub.reserve("a/b", "ann", "secret");
    let directory = tempfile::TempDir::new().expect("a directory");
    for (body, said) in [
        ("echo hidden; exit 3", "failed (exit status: 3)"),
        ("echo hidden", "tells no Username and Secret"),
        ("head -c 100000 /dev/zero | tr '\\0' h", "says too much"),
        (
            r#"echo '{"Username":"<token>","Secret":"hidden"}'"#,
            "identity token",
        ),
    ] {
        let mut settings = settings(&hub);
        let told = Helper::new(helper(directory.path(), body), hub.url(), None);
        settings.logins = vec![Login {
            repositories: None,
            credentials: Credentials::Helper(Arc::new(told)),
        }];
        let failed = run(upstream(&settings).manifest(&name("a/b"), "v1")).map(|_| ());
        let Err(Error::Credentials(sentence)) = failed else {
            panic!("{body}: {failed:?}");
        };
        assert!(
            sentence.contains(said) && !sentence.contains("hidden"),
            "{sentence}"
        );
    }
}

#[test]
fn a_token_that_ends_is_fetched_again() {
    let hub = Hub::start();
    let image = Image::small(4);
    hub.add("a/b", "v1", &image);
    let client = upstream(&settings(&hub));
    run(async {
        for tokens in [1, 0, 1] {
            let fetched = fetch(&client, "a/b", &sha256(&image.layers[0])).await;
            assert_eq!(fetched.as_ref(), Ok(&image.layers[0]));
            assert_eq!(hub.seen_by(Part::Tokens).len(), tokens);
            if tokens == 0 {
                hub.end_tokens();
            }
        }
    });
}

#[test]
fn many_requests_share_one_token() {
    let hub = Hub::start();
    let image = Image::small(5);
    hub.add("a/b", "v1", &image);
    let mut settings = settings(&hub);
    settings.rate = NonZeroU32::new(1000);
    let client = upstream(&settings);
    run(async {
        let blob = sha256(&image.layers[0]);
        let all = (0..8).map(|_| fetch(&client, "a/b", &blob));
        for fetched in futures_util::future::join_all(all).await {
            assert!(fetched.is_ok(), "{fetched:?}");
        }
    });
    assert_eq!(hub.seen_by(Part::Tokens).len(), 1);
}
