//! Access rules: who may do what, compared with a model of the rules that is written apart from the code.

use serde_json::{Value, json};

use super::{Guarded, as_user, line};
use crate::support::client::{Client, Response};

/// Users of the tests; the password of each is `secret`. `None` has no login.
pub(super) const WHO: [Option<&str>; 7] = [
    None,
    Some("rita"),
    Some("walt"),
    Some("mona"),
    Some("boss"),
    Some("ci"),
    Some("ann"),
];

/// Repositories that exist, of which each client sees another part, and one that does not.
pub(super) const REPOSITORIES: [&str; 6] = [
    "public/app",
    "team/app",
    "home/ann/app",
    "home/bob/app",
    "secret/app",
    "team/none",
];

/// Rights of the model, as letters: p(ull), c(reate), u(pdate), d(elete).
pub(super) fn rights(who: Option<&str>, repository: &str) -> &'static str {
    let is_in = |place: &str| repository.starts_with(place);
    match who {
        Some("boss") => "pcud",
        Some("ann") if is_in("home/ann/") => "pcud",
        Some("mona") if is_in("team/") => "pcud",
        Some("walt") if is_in("team/") => "pcu",
        Some("rita") if is_in("team/") => "p",
        Some("ci") if is_in("public/") => "pc",
        _ if is_in("public/") => "p",
        _ => "",
    }
}

fn rules() -> String {
    json!({
        "groups": { "team": ["walt", "mona"], "keepers": ["mona"] },
        "rules": [
            { "repositories": "**", "who": "boss", "may": "admin" },
            { "repositories": "public/**", "who": "anonymous", "may": "pull" },
            { "repositories": "public/**", "who": ["user:ci"], "may": ["pull", "create"] },
            { "repositories": "team/**", "who": "rita", "may": "pull" },
            { "repositories": "team/**", "who": "@team", "may": "push" },
            { "repositories": ["team/**", "team"], "who": "@keepers", "may": "maintain" },
            { "repositories": "home/{user}/**", "who": "users", "may": "maintain" },
            { "repositories": "secret/**", "who": "anonymous", "from": "192.0.2.0/24", "may": "admin" },
        ],
    })
    .to_string()
}

pub(super) fn guarded() -> Guarded {
    let users: String = WHO
        .into_iter()
        .flatten()
        .map(|user| line(user, "secret"))
        .collect();
    Guarded::set_up(&users, &[("REGISTRY_ACCESS", &rules())])
}

pub(super) fn send(
    client: &mut Client,
    who: Option<&str>,
    method: &str,
    path: &str,
    body: &[u8],
) -> Response {
    let request = client.request(method, path).body(body);
    let request = request.header("Content-Type", MANIFEST);
    match who {
        Some(user) => as_user(request, user, "secret").send(),
        None => request.send(),
    }
}

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An image that needs no other content.
pub(super) fn manifest(seed: u64) -> Vec<u8> {
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x-test",
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": EMPTY, "size": 2 },
        "layers": [], "annotations": { "seed": seed.to_string() },
    })
    .to_string()
    .into_bytes()
}

pub(super) const EMPTY: &str =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// Pushes `manifest(1)` as tag `1`, with its configuration.
pub(super) fn fill(client: &mut Client, repository: &str) {
    let path = format!("/v2/{repository}/blobs/uploads/?digest={EMPTY}");
    assert_eq!(send(client, Some("boss"), "POST", &path, b"{}").status, 201);
    let path = format!("/v2/{repository}/manifests/1");
    assert_eq!(
        send(client, Some("boss"), "PUT", &path, &manifest(1)).status,
        201
    );
}

/// Status that the model expects of a refused request.
fn refusal(who: Option<&str>, repository: &str) -> (u16, &'static str) {
    match who {
        None => (401, "UNAUTHORIZED"),
        Some(_) if rights(who, repository).contains('p') => (403, "DENIED"),
        Some(_) => (404, "NAME_UNKNOWN"),
    }
}

/// Compares a response with the model. Nothing about a repository that may not be seen is in it.
fn judge(who: Option<&str>, repository: &str, needed: &[char], response: &Response, what: &str) {
    let held = rights(who, repository);
    let may = needed.is_empty() || needed.iter().any(|right| held.contains(*right));
    let context = format!(
        "{who:?} {what} {repository}: {} {}",
        response.status,
        text(response)
    );
    if may {
        assert!(response.status < 300 || response.status == 404, "{context}");
        assert!(
            repository == "team/none" || response.status != 404,
            "{context}"
        );
    } else {
        let (status, code) = refusal(who, repository);
        assert_eq!(response.status, status, "{context}");
        response.refused(status, code);
    }
}

#[test]
fn each_request_is_judged_by_the_rules() {
    let guarded = guarded();
    let mut client = guarded.client();
    for repository in &REPOSITORIES[..5] {
        fill(&mut client, repository);
    }
    let digest = crate::support::sha256(&manifest(1));
    for repository in REPOSITORIES {
        for (number, who) in WHO.into_iter().enumerate() {
            let reads = [
                ("manifest", "manifests/1".to_owned()),
                ("manifest by digest", format!("manifests/{digest}")),
                ("blob", format!("blobs/{EMPTY}")),
                ("tags", "tags/list".to_owned()),
                ("history", "_oci/tag-history/1".to_owned()),
            ];
            for (what, path) in reads {
                let path = format!("/v2/{repository}/{path}");
                let response = send(&mut client, who, "GET", &path, b"");
                judge(who, repository, &['p'], &response, what);
            }
            let path = format!("/v2/{repository}/referrers/{digest}");
            let response = send(&mut client, who, "GET", &path, b"");
            judge(who, repository, &['p'], &response, "referrers");
            if repository == "team/none" {
                continue;
            }
            let path = format!("/v2/{repository}/blobs/uploads/");
            let response = send(&mut client, who, "POST", &path, b"");
            judge(who, repository, &['c', 'u'], &response, "upload");
            let new = format!("/v2/{repository}/manifests/new-{number}");
            let response = send(&mut client, who, "PUT", &new, &manifest(1));
            judge(who, repository, &['c', 'u'], &response, "new tag");
            // pushing the same again moves nothing
            let response = send(&mut client, who, "PUT", &new, &manifest(1));
            judge(who, repository, &['c', 'u'], &response, "same tag");
            let response = send(&mut client, who, "PUT", &new, &manifest(2));
            judge(who, repository, &['u'], &response, "moved tag");
            if !rights(who, repository).contains('d') {
                let response = send(&mut client, who, "DELETE", &new, b"");
                judge(who, repository, &['d'], &response, "delete");
            } else {
                assert_eq!(send(&mut client, who, "DELETE", &new, b"").status, 202);
            }
        }
    }
}

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

pub(super) fn names(response: &Response, list: &str) -> Vec<String> {
    let items = response.json()[list]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let name = |item: &Value| item.as_str().or(item["name"].as_str()).map(str::to_owned);
    items.iter().filter_map(name).collect()
}

#[test]
fn lists_show_what_may_be_pulled() {
    let guarded = guarded();
    let mut client = guarded.client();
    for repository in &REPOSITORIES[..5] {
        fill(&mut client, repository);
    }
    for who in WHO {
        let mut expected: Vec<_> = REPOSITORIES[..5]
            .iter()
            .filter(|repository| rights(who, repository).contains('p'))
            .map(|repository| (*repository).to_owned())
            .collect();
        expected.sort();
        let response = send(&mut client, who, "GET", "/v2/_catalog", b"");
        assert_eq!(names(&response, "repositories"), expected, "{who:?}");
        let response = send(&mut client, who, "GET", "/v1/search?q=app", b"");
        assert_eq!(names(&response, "results"), expected, "{who:?}");
        // page by page
        let (mut paged, mut path) = (Vec::new(), "/v2/_catalog?n=1".to_owned());
        loop {
            let response = send(&mut client, who, "GET", &path, b"");
            paged.extend(names(&response, "repositories"));
            let Some(link) = response.header("link") else {
                break;
            };
            path = link
                .split(['<', '>'])
                .nth(1)
                .expect("an address")
                .to_owned();
        }
        assert_eq!(paged, expected, "{who:?}");
    }
}

/// A mount from a repository that the client may not pull becomes an upload, as if it did not exist.
#[test]
fn nothing_is_mounted_from_a_hidden_repository() {
    let guarded = guarded();
    let mut client = guarded.client();
    let blob = b"only in secret";
    let digest = crate::support::sha256(blob);
    let path = format!("/v2/secret/app/blobs/uploads/?digest={digest}");
    assert_eq!(
        send(&mut client, Some("boss"), "POST", &path, blob).status,
        201
    );
    for (who, target, from, status) in [
        ("walt", "team/app", "&from=secret/app", 202),
        ("walt", "team/app", "&from=secret/none", 202),
        ("walt", "team/app", "", 202),
        ("boss", "team/app", "&from=secret/app", 201),
        ("walt", "team/other", "&from=team/app", 201),
        ("boss", "home/ann/app", "", 201),
    ] {
        let path = format!("/v2/{target}/blobs/uploads/?mount={digest}{from}");
        let response = send(&mut client, Some(who), "POST", &path, b"");
        assert_eq!(response.status, status, "{who} {from}");
    }
}

/// The first request of every client asks how to log in.
#[test]
fn clients_learn_how_to_log_in_although_some_content_is_public() {
    let guarded = guarded();
    let mut client = guarded.client();
    fill(&mut client, "public/app");
    assert_eq!(client.get("/v2/").status, 401);
    assert_eq!(guarded.login("rita", "secret").status, 200);
    assert_eq!(guarded.login("rita", "wrong").status, 401);
    assert_eq!(client.get("/v2/public/app/manifests/1").status, 200);
    // as podman and skopeo send it without a login
    let empty = client.request("GET", "/v2/public/app/manifests/1");
    assert_eq!(
        empty.header("Authorization", "Basic Og==").send().status,
        200
    );
    // a login that is sent along counts
    let path = "/v2/public/app/manifests/1";
    assert_eq!(
        as_user(client.request("GET", path), "rita", "wrong")
            .send()
            .status,
        401
    );
}

#[test]
fn an_image_is_pushed_by_who_may_create_but_not_move() {
    let guarded = guarded();
    let mut client = guarded.client();
    fill(&mut client, "public/app");
    let response = send(
        &mut client,
        Some("ci"),
        "PUT",
        "/v2/public/app/manifests/1",
        &manifest(3),
    );
    response.refused(403, "DENIED");
    assert!(
        text(&response).contains("may not move tag 1 of public/app"),
        "{}",
        text(&response)
    );
    let path = "/v2/public/app/manifests/2?tag=1";
    send(&mut client, Some("ci"), "PUT", path, &manifest(3)).refused(403, "DENIED");
    // nothing of a refused push remains
    assert_eq!(
        send(
            &mut client,
            Some("ci"),
            "GET",
            "/v2/public/app/manifests/2",
            b""
        )
        .status,
        404
    );
    assert_eq!(
        send(
            &mut client,
            Some("ci"),
            "PUT",
            "/v2/public/app/manifests/2",
            &manifest(3)
        )
        .status,
        201
    );
}

#[test]
fn the_command_names_the_rule_that_decides() {
    let guarded = guarded();
    let config = guarded.server.directory().join("rules.yml");
    let text = json!({ "version": 0.1, "access": serde_json::from_str::<Value>(&rules()).expect("rules") });
    std::fs::write(&config, text.to_string()).expect("a file");
    let config = config.to_str().expect("a path");
    let run = |words: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(words)
            .args(["--config", config])
            .output()
            .expect("the command runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text)
    };
    let (code, text) = run(&["access", "check", "walt", "push", "team/app"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains(
            "walt may push team/app (access.rules[4]: @team may pull, create, update in team/**)"
        ),
        "{text}"
    );
    let (code, text) = run(&["access", "check", "ci", "update", "public/app"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("ci may not update public/app (the rules allow pull, create there)"),
        "{text}"
    );
    let (code, _) = run(&["access", "check", "anonymous", "pull", "secret/app"]);
    assert_eq!(code, Some(1));
    let (code, text) = run(&[
        "access",
        "check",
        "anonymous",
        "pull",
        "secret/app",
        "--from",
        "192.0.2.7",
    ]);
    assert_eq!(code, Some(0), "{text}");
    let without = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["access", "show", "mona"])
        // or else it is about the running servers
        .env("REGISTRY_LOG_LEVEL", "info")
        .output()
        .expect("the command runs");
    let complaint = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(complaint.contains("nothing was checked"), "{complaint}");
    let (_, text) = run(&["access", "show", "mona", "-o", "json"]);
    let shown: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(shown["groups"], json!(["keepers", "team"]));
    let numbers: Vec<_> = shown["rules"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|rule| rule["ruleNumber"].clone())
        .collect();
    assert_eq!(numbers, [1, 4, 5, 6].map(Value::from));
}

/// A group without its sign would be a user whom nobody is.
#[test]
fn a_group_is_not_taken_for_a_user() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let config = directory.path().join("config.yml");
    for (who, is_valid) in [
        ("devs", false),
        ("'@devs'", true),
        ("user:devs", true),
        ("'@none'", false),
    ] {
        let text = format!(
            "version: 0.1\naccess: {{groups: {{devs: ann}}, rules: [{{repositories: '**', who: {who}, may: pull}}]}}\n"
        );
        std::fs::write(&config, text).expect("a file");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(["config", "check"])
            .arg(&config)
            .output()
            .expect("the command runs");
        assert_eq!(output.status.success(), is_valid, "{who}: {output:?}");
    }
}

/// An empty section is none that is absent, which would let every user do everything; nor are empty networks all of them.
#[test]
fn what_is_empty_allows_nothing() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let config = directory.path().join("config.yml");
    let rule = |from: &str| {
        format!("{{rules: [{{repositories: '**', who: anonymous, may: pull{from}}}]}}")
    };
    for (access, fault) in [
        (String::new(), "access has no rules"),
        ("{}".to_owned(), "access has no rules"),
        ("{rules: }".to_owned(), "access has no rules"),
        ("{rules: []}".to_owned(), "access has no rules"),
        (
            "{groups: {dev: ann}, rules: }".to_owned(),
            "access has no rules",
        ),
        ("{groups: {dev: ann}}".to_owned(), "access has no rules"),
        (rule(", from: []"), "access.rules[0].from is empty"),
        (rule(", from: ''"), "access.rules[0].from is empty"),
        (rule(", from: "), "access.rules[0].from is empty"),
        (rule(", from: 10.0.0.0/8"), ""),
        (rule(""), ""),
    ] {
        let text = format!("version: 0.1\naccess: {access}\n");
        std::fs::write(&config, &text).expect("a file");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(["config", "check"])
            .arg(&config)
            .output()
            .expect("the command runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), fault.is_empty(), "{text}: {said}");
        assert!(said.contains(fault), "{text}: {said}");
    }
}
