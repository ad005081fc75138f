//! Users in a file of `htpasswd`.

use serde_json::json;

use super::{docker, image, look_and_delete, refused};
use crate::engines::docker::pushed;
use crate::harness::sandbox::Sandbox;
use crate::harness::server::Server;

/// Users in a file, as a configuration names it.
pub fn by_configuration(sandbox: &Sandbox) {
    let config =
        "version: 0.1\nauth:\n  htpasswd:\n    realm: Registry Realm\n    path: auth/htpasswd\n";
    sandbox.write("config.yml", config);
    logins(
        sandbox,
        &[
            "config.yml",
            "--addr",
            "127.0.0.1:0",
            "--data-dir",
            "closed",
        ],
        &[],
    );
}

/// The same by variables alone.
pub fn by_variables(sandbox: &Sandbox) {
    let (address, data) = ("127.0.0.1:0", sandbox.path("closed").display().to_string());
    let variables = [
        ("REGISTRY_AUTH", "htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_REALM", "Registry Realm"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", "auth/htpasswd"),
        ("REGISTRY_HTTP_ADDR", address),
        ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", &data),
    ];
    logins(sandbox, &[], &variables);
}

fn append(sandbox: &Sandbox, line: &str) {
    let users = std::fs::read_to_string(sandbox.path("auth/htpasswd")).unwrap_or_default();
    sandbox.write("auth/htpasswd", format!("{users}{}\n", line.trim()));
}

/// Checks the answer to somebody without a login, as registry:2 gives it.
fn assert_challenge(sandbox: &Sandbox, url: &str) {
    let asked = sandbox
        .run(format!("curl --silent --include {url}/v2/_catalog"))
        .stdout
        .to_lowercase();
    assert!(
        asked.starts_with("http/1.1 401")
            && asked.contains("www-authenticate: basic realm=\"registry realm\""),
        "{asked}"
    );
    let body = sandbox
        .run(format!("curl --silent {url}/v2/_catalog"))
        .json();
    let detail = json!([{"Type": "registry", "Class": "", "Name": "catalog", "Action": "*"}]);
    assert_eq!(
        body,
        json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required", "detail": detail}]})
    );
}

fn logins(sandbox: &Sandbox, arguments: &[&str], variables: &[(&str, &str)]) {
    let _daemon = docker(sandbox);
    let made = sandbox
        .registry(&["htpasswd", "-Bbn", "alice", "wonderland"])
        .output()
        .unwrap();
    append(sandbox, &String::from_utf8(made.stdout).unwrap());
    let server = Server::launch(sandbox.dir(), "closed", arguments, variables);
    let (host, url) = (&server.host, format!("http://{}", server.host));
    let remote = image(sandbox, host);

    refused(
        sandbox,
        &format!("docker push {remote}"),
        &["no basic auth credentials"],
    );
    assert_challenge(sandbox, &url);

    let login = |user: &str| format!("docker login --username {user} --password-stdin {host}");
    assert!(
        !sandbox.succeeds(login("alice"), b"looking-glass"),
        "a wrong password was taken"
    );
    assert!(
        !sandbox.succeeds(login("mallory"), b"wonderland"),
        "an unknown user was taken"
    );
    sandbox.run_with(login("alice"), b"wonderland");
    let (digest, _) = pushed(sandbox, &remote);

    // a second user, made by Apache's own command, and no restart
    assert!(!sandbox.succeeds(login("bob"), b"builder"));
    append(sandbox, &sandbox.run("htpasswd -Bbn bob builder").stdout);
    sandbox.run_with(login("bob"), b"builder");
    sandbox.run(format!("docker rmi {remote}"));
    sandbox.run(format!("docker pull {remote}"));
    sandbox.run(format!("docker logout {host}"));
    sandbox.run(format!("docker rmi {remote}"));
    refused(
        sandbox,
        &format!("docker pull {remote}"),
        &["no basic auth credentials", "unauthorized"],
    );

    assert_eq!(
        sandbox.status("GET", &format!("{url}/v2/"), "--user alice:wrong"),
        "401"
    );
    assert_eq!(
        sandbox.status("GET", &format!("{url}/v2/"), "--user alice:wonderland"),
        "200"
    );
    let inspect = format!("skopeo inspect --tls-verify=false docker://{remote}");
    refused(
        sandbox,
        &inspect,
        &["unauthorized", "authentication required"],
    );
    let shown = sandbox
        .run(inspect.replace("inspect", "inspect --creds bob:builder"))
        .json();
    assert_eq!(shown["Digest"], digest);
    let podman = "podman login --tls-verify=false --authfile auth.json --password-stdin --username";
    assert!(!sandbox.succeeds(format!("{podman} bob {host}"), b"wonderland"));
    sandbox.run_with(format!("{podman} bob {host}"), b"builder");
    sandbox.run(inspect.replace("inspect", "inspect --authfile auth.json"));
    look_and_delete(sandbox, "curl --silent --user bob:builder", &url, &digest);
}
