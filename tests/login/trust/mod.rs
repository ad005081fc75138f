//! Logins by tokens of other servers: keyless CI.

pub mod issuer;
mod refused;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use self::issuer::{Issuer, Signer};
use super::machine_tokens::{fill, get};
use super::{Guarded, as_user, line};
use crate::support::client::Response;
use crate::support::eventually;

const UPLOADS: &str = "/v2/acme/app/blobs/uploads/";

pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Claims of a job that may log in.
pub(super) fn claims(issuer: &Issuer) -> Value {
    json!({
        "iss": issuer.url,
        "aud": "registry",
        "sub": "repo:Acme/App:ref:refs/heads/main",
        "exp": now() + 300,
        "nbf": now(),
        "iat": now(),
        "repository": "Acme/App",
        "ref": "refs/heads/main",
    })
}

/// Jobs of `Acme/*` on main push to the repository of their own name, and pull others.
fn trusting(issuer: &Issuer) -> Guarded {
    let require = json!({ "repository": "Acme/*", "ref": "refs/heads/main" });
    let trust = json!([issuer.trusted("ci", require)]);
    let rules = json!({ "rules": [
        { "repositories": "**", "who": "ann", "may": "admin" },
        { "repositories": "{claim.repository}", "who": "trust:ci", "may": "push" },
        { "repositories": "team/**", "who": "trust:ci", "may": "pull" },
    ] });
    Guarded::set_up(
        &line("ann", "secret"),
        &[
            ("REGISTRY_ACCESS", &rules.to_string()),
            ("REGISTRY_TRUST", &trust.to_string()),
        ],
    )
}

/// Begins an upload by a token that is sent as a password.
fn push(guarded: &Guarded, token: &str) -> Response {
    let mut client = guarded.client();
    as_user(client.request("POST", UPLOADS), "x", token).send()
}

#[test]
fn a_job_pushes_without_a_secret() {
    for algorithm in [Algorithm::ES256, Algorithm::RS256, Algorithm::PS384] {
        let signer = Signer::new("one", algorithm);
        let issuer = Issuer::start(&[&signer]);
        let guarded = trusting(&issuer);
        let token = signer.sign(&claims(&issuer));
        assert_eq!(push(&guarded, &token).status, 202, "{algorithm:?}");
        assert_eq!(get(&guarded, &token, "/v2/").status, 200);
        assert_eq!(
            get(&guarded, &token, "/v2/acme/other/tags/list").status,
            404
        );
    }
}

#[test]
fn a_token_is_exchanged_at_the_token_service() {
    let signer = Signer::new("one", Algorithm::ES256);
    let issuer = Issuer::start(&[&signer]);
    let guarded = trusting(&issuer);
    fill(&guarded);
    let asked = guarded.client().get("/v2/");
    let challenge = asked.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    let token = signer.sign(&claims(&issuer));
    let scopes = "scope=repository:acme/app:pull,push&scope=repository:team/app:pull,push";
    let mut client = guarded.client();
    let by_get = client.request("GET", &format!("/v2/_token?{scopes}"));
    let by_get = as_user(by_get, "x", &token).send();
    let form = format!("grant_type=password&username=x&password={token}&{scopes}");
    let mut client = guarded.client();
    let by_post = client
        .request("POST", "/v2/_token")
        .body(form.as_bytes())
        .send();
    for answer in [by_get, by_post] {
        assert_eq!(answer.status, 200, "{}", answer.json());
        let exchanged = answer.json()["token"].as_str().expect("a token").to_owned();
        let bearer = |method: &str, path: &str| {
            let mut client = guarded.client();
            let request = client.request(method, path);
            request
                .header("Authorization", &format!("Bearer {exchanged}"))
                .send()
                .status
        };
        assert_eq!(bearer("POST", UPLOADS), 202);
        assert_eq!(bearer("GET", "/v2/team/app/manifests/v1"), 200);
        assert_eq!(bearer("POST", "/v2/team/app/blobs/uploads/"), 403);
        assert_eq!(bearer("GET", "/v2/other/app/manifests/v1"), 404);
    }
    let image = crate::support::Image::small(3);
    for content in [&image.config].into_iter().chain(&image.layers) {
        let path = format!("{UPLOADS}?digest={}", crate::support::sha256(content));
        let mut client = guarded.client();
        let request = client.request("POST", &path).body(content);
        assert_eq!(as_user(request, "x", &token).send().status, 201);
    }
    let mut client = guarded.client();
    let request = client
        .request("PUT", "/v2/acme/app/manifests/v1")
        .header("Content-Type", crate::support::OCI_MANIFEST)
        .body(&image.manifest);
    assert_eq!(as_user(request, "x", &token).send().status, 201);
    let audit = guarded
        .server
        .cli(&["audit", "--who", "trust:ci", "-o", "json"]);
    let audit: Value = serde_json::from_slice(&audit.stdout).expect("an object");
    let row = &audit["events"][0];
    assert_eq!(row["tag"], "v1", "{audit}");
    assert_eq!(row["credential"], "repo:Acme/App:ref:refs/heads/main");
}

#[test]
fn keys_are_rotated_and_outlive_an_outage() {
    let (one, two) = (
        Signer::new("one", Algorithm::ES256),
        Signer::new("two", Algorithm::ES256),
    );
    let issuer = Issuer::start(&[&one]);
    let mut guarded = trusting(&issuer);
    assert_eq!(push(&guarded, &one.sign(&claims(&issuer))).status, 202);
    issuer.publish(&[&two]);
    eventually("the new key is fetched", || {
        push(&guarded, &two.sign(&claims(&issuer))).status == 202
    });
    // the issuer has withdrawn it
    assert_eq!(push(&guarded, &one.sign(&claims(&issuer))).status, 401);
    issuer.set_down(true);
    assert_eq!(push(&guarded, &two.sign(&claims(&issuer))).status, 202);
    guarded.server.stop();
    guarded.server.restart();
    assert_eq!(push(&guarded, &two.sign(&claims(&issuer))).status, 202);
    eventually("the log says so", || {
        guarded
            .server
            .log()
            .contains("the known ones stay in force")
    });
}

#[test]
fn without_keys_nobody_is_refused_for_ever() {
    let signer = Signer::new("one", Algorithm::ES256);
    let issuer = Issuer::start(&[&signer]);
    issuer.set_down(true);
    let guarded = trusting(&issuer);
    let token = signer.sign(&claims(&issuer));
    let refused = push(&guarded, &token);
    assert_eq!(refused.status, 503, "{}", refused.json());
    let message = refused.json()["errors"][0]["message"].to_string();
    assert!(
        message.contains("this login cannot be checked"),
        "{message}"
    );
    issuer.set_down(false);
    eventually("the issuer is asked again", || {
        push(&guarded, &token).status == 202
    });
}

#[test]
fn keys_come_by_https_only() {
    let signer = Signer::new("one", Algorithm::ES256);
    let issuer = Issuer::start(&[&signer]);
    issuer.keep_keys_at(&issuer.url.replace("https", "http"));
    let guarded = trusting(&issuer);
    assert_eq!(push(&guarded, &signer.sign(&claims(&issuer))).status, 503);
    eventually("the log says why", || {
        guarded
            .server
            .log()
            .contains("does not begin with https://")
    });
}

/// Runs the kubelet's credential provider.
fn provide(request: &Value) -> std::process::Output {
    use std::io::Write;
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_registry"));
    let mut running = command
        .arg0("/usr/libexec/registry-credential-provider")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = running.stdin.take().expect("a pipe");
    write!(stdin, "{request}").expect("a request");
    drop(stdin);
    running.wait_with_output().expect("a response")
}

#[test]
fn a_kubelet_pulls_with_the_token_of_a_pod() {
    let signer = Signer::new("one", Algorithm::RS256);
    let issuer = Issuer::start(&[&signer]);
    let trust =
        json!([issuer.trusted("cluster", json!({ "sub": "system:serviceaccount:team:*" }))]);
    let rules = json!({ "rules": [
        { "repositories": "**", "who": "ann", "may": "admin" },
        { "repositories": "{claim.kubernetes.io.namespace}/**", "who": "trust:cluster", "may": "pull" },
    ] });
    let guarded = Guarded::set_up(
        &line("ann", "secret"),
        &[
            ("REGISTRY_ACCESS", &rules.to_string()),
            ("REGISTRY_TRUST", &trust.to_string()),
        ],
    );
    fill(&guarded);
    let token = signer.sign(&json!({
        "iss": issuer.url, "aud": ["registry"], "exp": now() + 600,
        "sub": "system:serviceaccount:team:default",
        "kubernetes.io": { "namespace": "team", "serviceaccount": { "name": "default" } },
    }));
    let host = guarded.server.address().to_owned();
    let mut request = json!({
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "kind": "CredentialProviderRequest",
        "image": format!("{host}/team/app:v1"),
        "serviceAccountToken": token,
        "serviceAccountAnnotations": {},
    });
    let output = provide(&request);
    assert!(output.status.success(), "{output:?}");
    let response: Value = serde_json::from_slice(&output.stdout).expect("a response");
    assert_eq!(response["kind"], "CredentialProviderResponse");
    assert_eq!(response["apiVersion"], request["apiVersion"]);
    assert_eq!(response["cacheKeyType"], "Registry");
    let password = response["auth"][&host]["password"]
        .as_str()
        .expect("a password");
    assert_eq!(
        get(&guarded, password, "/v2/team/app/manifests/v1").status,
        200
    );
    assert_eq!(
        get(&guarded, password, "/v2/other/app/manifests/v1").status,
        404
    );
    request["serviceAccountToken"] = json!("");
    let output = provide(&request);
    assert!(!output.status.success() && output.stdout.is_empty());
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("serviceAccountTokenAudience"), "{printed}");
}

#[test]
fn a_check_finds_faults_of_the_section() {
    let rules = "access: {rules: [{repositories: '**', who: 'trust:ci', may: pull}]}\n";
    let faults = [
        (
            "trust: [{name: ci, issuer: 'http://a.example', audience: r}]",
            "https://",
        ),
        (
            "trust: [{name: ci, issuer: 'https://a.example?x=y', audience: r}]",
            "without user and query",
        ),
        (
            "trust: [{name: ci, issuer: 'https://a.example'}]",
            "trust[0].audience is missing",
        ),
        (
            "trust: [{name: 'c i', issuer: 'https://a.example', audience: r}]",
            "names of letters",
        ),
        (
            "trust: [{name: x, issuer: 'https://a.example', audience: r}]",
            "there is no trusted issuer 'ci'",
        ),
        (
            "trust: [{name: ci, issuer: 'https://token.actions.githubusercontent.com', audience: r}]",
            "anybody can get a token",
        ),
        (
            "trust: [{name: ci, issuer: 'https://a.example', audience: r, ca: /none.pem}]",
            "/none.pem",
        ),
        (
            "trust: [{name: ci, issuer: 'https://a.example', audience: r, require: {ref: '['}}]",
            "trust[0].require",
        ),
        (
            "trust: [{name: ci, issuer: 'https://a.example', audience: r, require: x}]",
            "map of names",
        ),
    ];
    for (section, expected) in faults {
        let (_temporary, path) =
            crate::configuration::command::written(&format!("{rules}{section}\n"));
        let output = crate::configuration::command::run(&["check", &path], &[]);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && printed.contains(expected),
            "{section}: {printed}"
        );
    }
    let alone = "trust: [{name: ci, issuer: 'https://a.example', audience: r}]\n";
    let (_temporary, path) = crate::configuration::command::written(alone);
    let output = crate::configuration::command::run(&["check", &path], &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("trust needs a section access"));
    let (_temporary, path) = crate::configuration::command::written(&format!("{rules}{alone}"));
    let output = crate::configuration::command::run(&["check", &path], &[]);
    assert!(output.status.success(), "{output:?}");
}
