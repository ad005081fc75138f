//! Tokens that the registry issues, used as passwords.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Guarded, as_user, line};
use crate::support::client::Response;
use crate::support::{Image, OCI_MANIFEST, eventually};

/// Runs a command about tokens, and returns its object.
pub(super) fn run(guarded: &Guarded, arguments: &[&str]) -> Value {
    let output = guarded
        .server
        .cli(&[&["token"], arguments, &["-o", "json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).expect("an object")
}

/// Makes a token, and returns its secret.
pub(super) fn token(guarded: &Guarded, arguments: &[&str]) -> String {
    let made = run(guarded, &[&["create"], arguments].concat());
    made["token"].as_str().expect("a secret").to_owned()
}

pub(super) fn get(guarded: &Guarded, secret: &str, path: &str) -> Response {
    as_user(guarded.client().request("GET", path), "anybody", secret).send()
}

/// Sends a manifest to a tag.
fn put(guarded: &Guarded, secret: &str, tag: &str, image: &Image) -> Response {
    let mut client = guarded.client();
    let path = format!("/v2/team/app/manifests/{tag}");
    let request = client
        .request("PUT", &path)
        .header("Content-Type", OCI_MANIFEST)
        .body(&image.manifest);
    as_user(request, "ci", secret).send()
}

fn message(response: &Response) -> String {
    let message = response.json()["errors"][0]["message"].clone();
    message.as_str().expect("a message").to_owned()
}

/// Pushes an image to `team/app:v1` and `other/app:v1`, by ann.
pub fn fill(guarded: &Guarded) -> Image {
    let image = Image::small(1);
    for repository in ["team/app", "other/app"] {
        for content in [&image.config].into_iter().chain(&image.layers) {
            let path = format!(
                "/v2/{repository}/blobs/uploads/?digest={}",
                crate::support::sha256(content)
            );
            let mut client = guarded.client();
            let request = client.request("POST", &path).body(content);
            assert_eq!(as_user(request, "ann", "secret").send().status, 201);
        }
        let path = format!("/v2/{repository}/manifests/v1");
        let mut client = guarded.client();
        let request = client
            .request("PUT", &path)
            .header("Content-Type", OCI_MANIFEST)
            .body(&image.manifest);
        assert_eq!(as_user(request, "ann", "secret").send().status, 201);
    }
    image
}

const V1: &str = "/v2/team/app/manifests/v1";
const OTHER: &str = "/v2/other/app/manifests/v1";

#[test]
fn a_token_may_do_what_it_was_made_for() {
    let guarded = Guarded::with(&line("ann", "secret"));
    let image = fill(&guarded);
    let ci = [
        "ci",
        "--repositories",
        "team/**",
        "--repositories",
        "public/**",
        "--may",
        "pull,create",
    ];
    let ci = token(&guarded, &ci);
    assert!(ci.starts_with("tk_") && ci.len() == 68, "{ci}");
    assert_eq!(get(&guarded, &ci, "/v2/").status, 200);
    assert_eq!(get(&guarded, &ci, V1).status, 200);
    get(&guarded, &ci, OTHER).refused(404, "NAME_UNKNOWN");
    assert_eq!(put(&guarded, &ci, "v2", &image).status, 201);
    // without access rules the users may do everything, tokens may not
    let mut other = image;
    other.manifest.push(b'\n');
    put(&guarded, &ci, "v1", &other).refused(403, "DENIED");
    let mut client = guarded.client();
    as_user(client.request("DELETE", V1), "ci", &ci)
        .send()
        .refused(403, "DENIED");
    let catalog = get(&guarded, &ci, "/v2/_catalog");
    assert_eq!(catalog.json()["repositories"], json!(["team/app"]));
    // nothing by itself
    let bare = token(&guarded, &["bare"]);
    get(&guarded, &bare, V1).refused(404, "NAME_UNKNOWN");
}

#[test]
fn a_revoked_token_is_refused_at_once_and_told_so() {
    let guarded = Guarded::with(&line("ann", "secret"));
    fill(&guarded);
    for _ in 0..20 {
        let ci = token(
            &guarded,
            &["ci", "--repositories", "team/**", "--may", "pull"],
        );
        assert_eq!(get(&guarded, &ci, V1).status, 200);
        run(&guarded, &["revoke", "ci"]);
        let refused = get(&guarded, &ci, V1);
        refused.refused(401, "UNAUTHORIZED");
        assert!(
            message(&refused).contains("token ci was revoked"),
            "{}",
            message(&refused)
        );
    }
    let listed = run(&guarded, &["ls"]);
    assert_eq!(listed["tokens"], json!([]));
    let listed = run(&guarded, &["ls", "--all"]);
    assert_eq!(listed["tokens"].as_array().map(Vec::len), Some(20));
}

#[test]
fn an_expired_token_is_refused_and_told_so() {
    let guarded = Guarded::with(&line("ann", "secret"));
    fill(&guarded);
    let flags = ["--repositories", "**", "--may", "pull"];
    let brief = token(
        &guarded,
        &[&["brief", "--expires", "2s"], &flags[..]].concat(),
    );
    let endless = token(
        &guarded,
        &[&["endless", "--expires", "never"], &flags[..]].concat(),
    );
    assert_eq!(get(&guarded, &brief, V1).status, 200);
    eventually("it expires", || get(&guarded, &brief, V1).status == 401);
    let refused = get(&guarded, &brief, V1);
    assert!(message(&refused).contains("token brief expired at"));
    assert_eq!(get(&guarded, &endless, V1).status, 200);
    let listed = run(&guarded, &["ls"]);
    assert_eq!(listed["tokens"][0]["state"], "expired");
    assert_eq!(listed["tokens"][1]["expires"], Value::Null);
    // it may be given another secret
    let next = run(&guarded, &["rotate", "brief", "--expires", "1h"]);
    let next = next["token"].as_str().expect("a secret");
    assert_eq!(get(&guarded, next, V1).status, 200);
}

#[test]
fn both_secrets_work_for_a_while_after_a_rotation() {
    let guarded = Guarded::with(&line("ann", "secret"));
    fill(&guarded);
    let first = token(&guarded, &["ci", "--repositories", "**", "--may", "pull"]);
    let rotate = |overlap: &str| {
        let rotated = run(&guarded, &["rotate", "ci", "--overlap", overlap]);
        rotated["token"].as_str().expect("a secret").to_owned()
    };
    let second = rotate("1h");
    for secret in [&first, &second] {
        assert_eq!(get(&guarded, secret, V1).status, 200);
    }
    let former = |listed: &Value| listed["tokens"][0]["formerExpires"].clone();
    assert!(former(&run(&guarded, &["ls"])).is_string());
    let third = rotate("0s");
    assert_eq!(get(&guarded, &third, V1).status, 200);
    for secret in [&first, &second] {
        let refused = get(&guarded, secret, V1);
        refused.refused(401, "UNAUTHORIZED");
        assert!(message(&refused).contains("got another secret"));
    }
    assert_eq!(former(&run(&guarded, &["ls"])), Value::Null);
    let said = |overlap: &str| {
        let arguments = ["token", "rotate", "ci", "--overlap", overlap];
        String::from_utf8_lossy(&guarded.server.cli(&arguments).stderr).into_owned()
    };
    assert!(said("1h").contains("The former secret works until 2"));
    assert!(said("0s").contains("The former secret does not work any more"));
    // all of them end with the token
    run(&guarded, &["revoke", "ci"]);
    get(&guarded, &third, V1).refused(401, "UNAUTHORIZED");
}

#[test]
fn a_token_of_a_user_never_may_more_than_the_user_now() {
    let access = |rules: Value| json!({ "rules": rules }).to_string();
    let both = json!([
        { "repositories": "team/**", "who": "bob", "may": "push" },
        { "repositories": "**", "who": "ann", "may": "admin" },
        { "repositories": "other/**", "who": "token:bot", "may": "pull" },
    ]);
    let users = line("ann", "secret") + &line("bob", "secret");
    let guarded = Guarded::set_up(&users, &[("REGISTRY_ACCESS", &access(both))]);
    fill(&guarded);
    let bot = ["bot", "--repositories", "**", "--may", "admin"];
    let bobs = token(&guarded, &[&bot[..], &["--for", "bob"]].concat());
    assert_eq!(get(&guarded, &bobs, V1).status, 200);
    // neither by its grant nor by a rule that names it
    get(&guarded, &bobs, OTHER).refused(404, "NAME_UNKNOWN");
    let mut client = guarded.client();
    as_user(client.request("DELETE", V1), "bob", &bobs)
        .send()
        .refused(403, "DENIED");
    assert_eq!(
        get(&guarded, &bobs, "/v2/_catalog").json()["repositories"],
        json!(["team/app"])
    );
    fs::write(&guarded.path, line("ann", "secret")).expect("a file");
    let refused = get(&guarded, &bobs, V1);
    refused.refused(401, "UNAUTHORIZED");
    assert!(message(&refused).contains("its user bob does not exist"));
    assert_eq!(run(&guarded, &["ls"])["tokens"][0]["state"], "void");
    fs::write(&guarded.path, users).expect("a file");
    assert_eq!(get(&guarded, &bobs, V1).status, 200);
    assert_eq!(run(&guarded, &["ls"])["tokens"][0]["state"], "valid");
    // a token of nobody has what the rule gives, which is none of the users' rights
    run(&guarded, &["revoke", "bot"]);
    let free = token(&guarded, &["bot"]);
    assert_eq!(get(&guarded, &free, OTHER).status, 200);
    get(&guarded, &free, V1).refused(404, "NAME_UNKNOWN");
}

#[test]
fn the_secret_is_nowhere_but_with_its_owner() {
    let guarded = Guarded::set_up(
        &line("ann", "secret"),
        &[
            ("REGISTRY_LOG_LEVEL", "debug"),
            ("REGISTRY_LOG_ACCESSLOG_DISABLED", "false"),
        ],
    );
    fill(&guarded);
    let secret = token(&guarded, &["ci", "--repositories", "**", "--may", "pull"]);
    assert_eq!(get(&guarded, &secret, V1).status, 200);
    let wrong = flipped(&secret);
    get(&guarded, &wrong, V1).refused(401, "UNAUTHORIZED");
    run(&guarded, &["revoke", "ci"]);
    get(&guarded, &secret, V1).refused(401, "UNAUTHORIZED");
    let random = secret.rsplit('_').next().expect("a part");
    let log = guarded.server.log();
    assert!(!log.contains(&random[..20]), "{log}");
    let holds = |path: &Path| {
        let content = fs::read(path).expect("a file");
        content
            .windows(20)
            .any(|window| window == &random.as_bytes()[..20])
    };
    for name in ["registry.db", "registry.db-wal"] {
        assert!(!holds(&guarded.server.directory().join(name)), "{name}");
    }
}

/// A password of a token's form that is none.
fn flipped(secret: &str) -> String {
    let last = if secret.ends_with('a') { 'b' } else { 'a' };
    format!("{}{last}", &secret[..secret.len() - 1])
}

#[test]
fn the_last_use_is_listed() {
    let guarded = Guarded::with(&line("ann", "secret"));
    fill(&guarded);
    let flags = ["--repositories", "**", "--may", "pull"];
    let secret = token(&guarded, &[&["ci"], &flags[..]].concat());
    token(&guarded, &[&["idle"], &flags[..]].concat());
    assert_eq!(get(&guarded, &secret, V1).status, 200);
    eventually("the use is listed", || {
        let listed = run(&guarded, &["ls"]);
        listed["tokens"][0]["usedFrom"] == "127.0.0.1" && listed["tokens"][0]["used"].is_string()
    });
    let listed = run(&guarded, &["ls"]);
    assert_eq!(listed["tokens"][1]["used"], Value::Null);
}

#[test]
fn wrong_arguments_make_no_token() {
    let guarded = Guarded::with(&line("ann", "secret"));
    token(&guarded, &["ci", "--repositories", "**", "--may", "pull"]);
    for (arguments, reason) in [
        (&["create", "ci"][..], "there is a token ci already"),
        (&["create", "a b"], "cannot be the name of a token"),
        (
            &["create", "x", "--repositories", "Team/**", "--may", "pull"],
            "Team",
        ),
        (
            &["create", "x", "--repositories", "**", "--may", "write"],
            "neither an action",
        ),
        (
            &[
                "create",
                "x",
                "--repositories",
                "home/{user}/**",
                "--may",
                "pull",
            ],
            "--for",
        ),
        (
            &["create", "x", "--expires", "soon"],
            "not a length of time",
        ),
        (
            &["create", "x", "--expires", "0s"],
            "could never be used: write 90d, or never",
        ),
        (
            &["create", "x", "--expires", "-5d"],
            "write 5d, without the sign",
        ),
        (
            &["create", "x", "--for", "nobody"],
            "there is no user 'nobody' in",
        ),
        (&["create", "x", "--may", "pull"], "--repositories"),
        (&["rotate", "none"], "there is no token none"),
        (&["revoke", "none"], "there is no token none"),
    ] {
        let output = guarded.server.cli(&[&["token"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(reason), "{said}");
    }
    let listed = run(&guarded, &["ls"]);
    assert_eq!(listed["tokens"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_right_to_push_without_one_to_pull_is_noted() {
    let guarded = Guarded::with("");
    for (flags, is_noted) in [
        (&["--may", "create,update"][..], true),
        (&["--may", "pull,create"], false),
        (&["--may", "push"], false),
    ] {
        let name = format!("ci{}", flags[1].len());
        // the name may stand behind the globs
        let globs = [
            "token",
            "create",
            "--repositories",
            "a/**",
            "--repositories",
            "b/**",
        ];
        let arguments = [&globs[..], flags, &[&*name]].concat();
        let output = guarded.server.cli(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(
            said.contains("write --may pull,create,update"),
            is_noted,
            "{said}"
        );
    }
}
