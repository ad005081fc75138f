//! Each kind of login, by each way to send it, against each kind of request: what it gets, and what it cannot find out.

use std::fs;

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::access::{EMPTY, MANIFEST, manifest, names};
use super::machine_tokens::{run, token};
use super::trust::issuer::{Issuer, Signer};
use super::trust::{claims, now};
use super::{Guarded, as_user, line};
use crate::support::client::{Client, Request, Response};
use crate::support::{eventually, eventually_some, sha256};

/// Repository that logins see by their rights.
const TEAM: &str = "team/app";
/// Repository that everybody sees.
const OPEN: &str = "open/app";
/// Repository that the admin alone sees.
const HIDDEN: &str = "dark/app";
/// Repository that does not exist; its name is as long, so that answers have the same length.
const ABSENT: &str = "dark/apx";
/// Hidden repository for which nobody asks.
const UNASKED: &str = "dark/zebra";
/// Layer of the hidden image.
const LAYER: &[u8] = b"for nobody's eyes";

/// A login, and its rights in `team/app` as letters: p(ull), c(reate), u(pdate), d(elete); `None` if it is void.
struct Kind {
    name: &'static str,
    /// User and password.
    login: Option<(&'static str, String)>,
    /// Token of the token service; `None` if there is none to be had.
    bearer: Option<String>,
    rights: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Basic,
    Bearer,
}

/// A request with the rights of which one is needed.
struct Asked {
    what: &'static str,
    needed: &'static str,
    method: &'static str,
    path: String,
    body: Vec<u8>,
}

impl Kind {
    fn user(name: &'static str, rights: &'static str) -> Self {
        Self {
            name,
            login: Some((name, "secret".to_owned())),
            bearer: None,
            rights: Some(rights),
        }
    }

    fn by(name: &'static str, password: String, rights: Option<&'static str>) -> Self {
        Self {
            name,
            login: Some(("x", password)),
            bearer: None,
            rights,
        }
    }

    fn rights(&self, repository: &str) -> &'static str {
        match repository {
            _ if self.name == "admin" => "pcud",
            _ if self.rights.is_none() => "",
            TEAM => self.rights.unwrap_or_default(),
            OPEN => "p",
            _ => "",
        }
    }

    fn may(&self, asked: &Asked, repository: &str) -> bool {
        let held = self.rights(repository);
        asked.needed.chars().any(|right| held.contains(right))
    }

    fn send<'c>(&self, way: Way, request: Request<'c>) -> Request<'c> {
        match (way, &self.login, &self.bearer) {
            (Way::Basic, Some((user, password)), _) => as_user(request, user, password),
            (Way::Bearer, _, Some(token)) => {
                request.header("Authorization", &format!("Bearer {token}"))
            }
            _ => request,
        }
    }

    fn ask(&self, way: Way, client: &mut Client, asked: &Asked) -> Response {
        let request = client
            .request(asked.method, &asked.path)
            .header("Content-Type", MANIFEST)
            .body(&asked.body);
        self.send(way, request).send()
    }

    /// Returns the answer of the token service for all repositories and the catalogue.
    fn ask_for_token(&self, client: &mut Client) -> Response {
        let scopes: String = [TEAM, OPEN, HIDDEN, ABSENT]
            .map(|name| format!("&scope=repository:{name}:pull,push,delete"))
            .concat();
        let path = format!("/v2/_token?service=registry{scopes}&scope=registry:catalog:*");
        self.send(Way::Basic, client.request("GET", &path)).send()
    }

    fn take_token(mut self, client: &mut Client) -> Self {
        let answer = self.ask_for_token(client);
        assert_eq!(answer.status, 200, "{}", self.name);
        self.bearer = answer.json()["token"].as_str().map(str::to_owned);
        self
    }
}

fn guarded(issuer: &Issuer) -> Guarded {
    let rules = json!({ "rules": [
        { "repositories": "**", "who": "admin", "may": "admin" },
        { "repositories": "open/**", "who": "anonymous", "may": "pull" },
        // lists have to look below dark/, and show nothing of it
        { "repositories": "dark/*/open", "who": "anonymous", "may": "pull" },
        { "repositories": "team/**", "who": "reader", "may": "pull" },
        { "repositories": "team/**", "who": "writer", "may": "push" },
        { "repositories": "team/**", "who": ["maintainer", "gone"], "may": "maintain" },
        { "repositories": "{claim.repository}/**", "who": "trust:ci", "may": "push" },
    ] });
    let trust = json!([issuer.trusted("ci", json!({ "ref": "refs/heads/main" }))]);
    let users =
        ["admin", "reader", "writer", "maintainer", "gone"].map(|user| line(user, "secret"));
    Guarded::set_up(
        &users.concat(),
        &[
            ("REGISTRY_ACCESS", &rules.to_string()),
            ("REGISTRY_TRUST", &trust.to_string()),
            ("REGISTRY_HTTP_DEBUG_ADDR", "127.0.0.1:0"),
            ("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "true"),
        ],
    )
}

/// Pushes an image with one layer to each repository.
fn fill(client: &mut Client) {
    for repository in [TEAM, OPEN, HIDDEN, UNASKED] {
        for blob in [&b"{}"[..], LAYER]
            .iter()
            .take(1 + usize::from(repository == HIDDEN))
        {
            let path = format!("/v2/{repository}/blobs/uploads/?digest={}", sha256(blob));
            let request = client.request("POST", &path).body(blob);
            assert_eq!(as_user(request, "admin", "secret").send().status, 201);
        }
        put(client, repository, "v1");
    }
}

/// Sets a tag to `manifest(1)`, by the admin.
fn put(client: &mut Client, repository: &str, tag: &str) {
    let path = format!("/v2/{repository}/manifests/{tag}");
    let request = client
        .request("PUT", &path)
        .header("Content-Type", MANIFEST)
        .body(&manifest(1));
    assert_eq!(as_user(request, "admin", "secret").send().status, 201);
}

/// All kinds of logins; those that are void had their tokens of the token service before they became it.
fn kinds(guarded: &Guarded, issuer: &Issuer, signer: &Signer) -> Vec<Kind> {
    let mut client = guarded.client();
    let make = |name: &str, flags: &[&str]| {
        let grant = ["--repositories", "team/**", "--may"];
        token(guarded, &[&[name], &grant[..], flags].concat())
    };
    let job = |branch: &str| {
        let mut claims = claims(issuer);
        claims["repository"] = json!("Team");
        claims["ref"] = json!(branch);
        signer.sign(&claims)
    };
    let nobody = Kind {
        login: None,
        ..Kind::user("anonymous", "")
    };
    let mut kinds = vec![
        nobody,
        Kind::user("reader", "p"),
        Kind::user("writer", "pcu"),
        Kind::user("maintainer", "pcud"),
        Kind::user("admin", "pcud"),
        Kind::by("token", make("ci", &["pull,create"]), Some("pc")),
        Kind::by("revoked token", make("old", &["push"]), None),
        Kind::by(
            "token of a deleted user",
            make("hers", &["admin", "--for", "gone"]),
            None,
        ),
        Kind::by(
            "expired token",
            make("brief", &["push", "--expires", "2s"]),
            None,
        ),
        Kind::by("trusted job", job("refs/heads/main"), Some("pcu")),
    ];
    kinds = (kinds.into_iter())
        .map(|kind| kind.take_token(&mut client))
        .collect();
    kinds.push(Kind::by("job of another branch", job("refs/heads/x"), None));
    kinds.push(Kind::by("wrong password", "guess".to_owned(), None));
    run(guarded, &["revoke", "old"]);
    let users = fs::read_to_string(&guarded.path).expect("a file");
    let others: Vec<_> = users
        .lines()
        .filter(|user| !user.starts_with("gone:"))
        .collect();
    fs::write(&guarded.path, others.join("\n") + "\n").expect("a file");
    eventually("it expires", || {
        let expired = kinds.iter().find(|kind| kind.name == "expired token");
        let request = client.request("GET", "/v2/");
        expired.is_some_and(|kind| kind.send(Way::Basic, request).send().status == 401)
    });
    kinds
}

/// The requests of the matrix in one repository; `number` makes tags that are used once.
fn requests(repository: &str, number: usize) -> Vec<Asked> {
    let digest = sha256(&manifest(1));
    let ask = |what, needed, method, path: String, body: &[u8]| Asked {
        what,
        needed,
        method,
        path: format!("/v2/{repository}/{path}"),
        body: body.to_vec(),
    };
    let (one, two) = (manifest(1), manifest(2));
    vec![
        ask("pull", "p", "GET", "manifests/v1".to_owned(), b""),
        ask(
            "pull by digest",
            "p",
            "GET",
            format!("manifests/{digest}"),
            b"",
        ),
        ask("question", "p", "HEAD", "manifests/v1".to_owned(), b""),
        ask("layer", "p", "GET", format!("blobs/{EMPTY}"), b""),
        ask("tags", "p", "GET", "tags/list".to_owned(), b""),
        ask("referrers", "p", "GET", format!("referrers/{digest}"), b""),
        ask("history", "p", "GET", "_oci/tag-history/v1".to_owned(), b""),
        ask(
            "push",
            "cu",
            "POST",
            format!("blobs/uploads/?digest={EMPTY}"),
            b"{}",
        ),
        ask("session", "cu", "POST", "blobs/uploads/".to_owned(), b""),
        ask(
            "new tag",
            "c",
            "PUT",
            format!("manifests/new-{number}"),
            &one,
        ),
        ask(
            "moved tag",
            "u",
            "PUT",
            format!("manifests/move-{number}"),
            &two,
        ),
        ask(
            "delete",
            "d",
            "DELETE",
            format!("manifests/drop-{number}"),
            b"",
        ),
    ]
}

/// Status of a refusal.
fn refusal(kind: &Kind, repository: &str) -> u16 {
    match kind.rights {
        None => 401,
        Some(_) if kind.name == "anonymous" => 401,
        Some(_) if kind.rights(repository).contains('p') => 403,
        Some(_) => 404,
    }
}

/// All that a response says, with the name that was asked for left out.
fn shown(response: &Response, repository: &str) -> String {
    let headers = response.headers.iter().filter(|(name, _)| name != "date");
    let headers: Vec<_> = headers
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let body = String::from_utf8_lossy(&response.body);
    format!("{} {headers:?} {body}", response.status).replace(repository, "NAME")
}

/// Words of what is hidden, for which no request asks.
fn hidden_words() -> [String; 3] {
    let layer = sha256(LAYER);
    [
        UNASKED.to_owned(),
        layer,
        String::from_utf8_lossy(LAYER).into_owned(),
    ]
}

fn assert_silent(shown: &str, context: &str) {
    for word in hidden_words() {
        assert!(!shown.contains(&word), "{context}: {word} in {shown}");
    }
}

/// Compares each cell with the rights, and what is hidden with what does not exist.
fn judge(kind: &Kind, way: Way, client: &mut Client, number: usize) {
    for repository in [TEAM, OPEN, HIDDEN] {
        for tag in ["move", "drop"] {
            put(client, repository, &format!("{tag}-{number}"));
        }
        let absent = requests(ABSENT, number);
        for (asked, absent) in requests(repository, number).iter().zip(&absent) {
            let response = kind.ask(way, client, asked);
            let context = format!("{} {way:?} {} {repository}", kind.name, asked.what);
            let said = shown(&response, repository);
            if kind.may(asked, repository) {
                assert!(response.status < 300, "{context}: {said}");
            } else {
                assert_eq!(
                    response.status,
                    refusal(kind, repository),
                    "{context}: {said}"
                );
            }
            if kind.name != "admin" {
                assert_silent(&said, &context);
                let unknown = kind.ask(way, client, absent);
                let is_hidden = repository == HIDDEN;
                assert!(
                    !is_hidden || said == shown(&unknown, ABSENT),
                    "{context}: {said}"
                );
            }
        }
    }
}

/// A mount takes nothing from where the login may not read, and says nothing about it.
fn judge_mounts(kind: &Kind, way: Way, client: &mut Client) {
    let digest = sha256(LAYER);
    for from in [&format!("&from={HIDDEN}"), &format!("&from={ABSENT}"), ""] {
        let mount = Asked {
            what: "mount",
            needed: "cu",
            method: "POST",
            path: format!("/v2/{TEAM}/blobs/uploads/?mount={digest}{from}"),
            body: Vec::new(),
        };
        let response = kind.ask(way, client, &mount);
        let expected = match (kind.may(&mount, TEAM), kind.name) {
            (true, "admin") => continue,
            (true, _) => 202,
            (false, _) => refusal(kind, TEAM),
        };
        assert_eq!(
            response.status, expected,
            "{} {way:?} mount {from}",
            kind.name
        );
    }
}

/// Lists hold what may be pulled, and nothing else.
fn judge_lists(kind: &Kind, way: Way, client: &mut Client) {
    let mut expected = [HIDDEN, UNASKED, OPEN, TEAM].map(str::to_owned).to_vec();
    expected.retain(|name| kind.rights(name).contains('p'));
    let lists = [
        ("/v2/_catalog?n=1", "repositories"),
        ("/v1/search?q=a", "results"),
    ];
    for (path, list) in lists {
        let (mut path, mut found) = (path.to_owned(), Vec::new());
        loop {
            let response = kind.send(way, client.request("GET", &path)).send();
            let context = format!("{} {way:?} {path}", kind.name);
            if kind.rights.is_none() {
                assert_eq!(response.status, 401, "{context}");
            }
            if kind.name != "admin" {
                let said = shown(&response, "NAME");
                assert!(!said.contains("dark"), "{context}: {said}");
            }
            found.extend(names(&response, list));
            let next = response
                .header("link")
                .and_then(|link| link.split(['<', '>']).nth(1));
            match next {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(found, expected, "{} {way:?} {path}", kind.name);
    }
}

#[test]
fn no_login_gets_or_learns_more_than_its_rights() {
    let signer = Signer::new("one", Algorithm::ES256);
    let issuer = Issuer::start(&[&signer]);
    let guarded = guarded(&issuer);
    let mut client = guarded.client();
    fill(&mut client);
    let mut number = 0;
    let begun = now();
    for kind in kinds(&guarded, &issuer, &signer) {
        if kind.rights.is_none() {
            let refused = kind.ask_for_token(&mut client);
            assert_eq!(refused.status, 401, "{}", kind.name);
            assert!(!shown(&refused, "NAME").contains("dark"), "{}", kind.name);
        }
        for way in [Way::Basic, Way::Bearer] {
            if way == Way::Bearer && kind.bearer.is_none() {
                continue;
            }
            number += 1;
            judge(&kind, way, &mut client, number);
            judge_mounts(&kind, way, &mut client);
            judge_lists(&kind, way, &mut client);
        }
    }
    assert!(
        number >= 22 && now() - begun < 600,
        "the tokens of the service still count"
    );
    let metrics = debug(&guarded).get("/metrics");
    let metrics = String::from_utf8(metrics.body).expect("text");
    assert!(
        metrics.contains("registry_http_requests_total"),
        "{metrics}"
    );
    for word in ["dark", "zebra", "team", "reader", "refs/heads", "v1\""] {
        assert!(!metrics.contains(word), "{word}");
    }
}

/// The server's other port.
fn debug(guarded: &Guarded) -> Client {
    let line = eventually_some("the debug port is logged", || {
        let log = guarded.server.log();
        let line = log
            .lines()
            .find(|line| line.contains("debug port listening"));
        line.map(str::to_owned)
    });
    let mut words = line.split(|byte: char| byte.is_whitespace() || "\"=,}/".contains(byte));
    let address = words.find(|word| word.starts_with("127.0.0.1:"));
    Client::new(address.expect("an address"))
}
