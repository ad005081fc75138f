//! Users in a file of `htpasswd`.

use serde_json::json;

use super::{docker, image, look_and_delete, refused};
use crate::bench::Bench;
use crate::docker::pushed;
use crate::server::Server;

/// Users in a file, as a configuration names it.
pub fn by_configuration(bench: &Bench) {
    let config =
        "version: 0.1\nauth:\n  htpasswd:\n    realm: Registry Realm\n    path: auth/htpasswd\n";
    bench.write("config.yml", config);
    logins(
        bench,
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
pub fn by_variables(bench: &Bench) {
    let (address, data) = ("127.0.0.1:0", bench.path("closed").display().to_string());
    let variables = [
        ("REGISTRY_AUTH", "htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_REALM", "Registry Realm"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", "auth/htpasswd"),
        ("REGISTRY_HTTP_ADDR", address),
        ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", &data),
    ];
    logins(bench, &[], &variables);
}

fn append(bench: &Bench, line: &str) {
    let users = std::fs::read_to_string(bench.path("auth/htpasswd")).unwrap_or_default();
    bench.write("auth/htpasswd", format!("{users}{}\n", line.trim()));
}

fn logins(bench: &Bench, arguments: &[&str], variables: &[(&str, &str)]) {
    let _daemon = docker(bench);
    let made = bench
        .registry(&["htpasswd", "-Bbn", "alice", "wonderland"])
        .output()
        .unwrap();
    append(bench, &String::from_utf8(made.stdout).unwrap());
    let server = Server::launch(bench.dir(), "closed", arguments, variables);
    let (host, url) = (&server.host, format!("http://{}", server.host));
    let remote = image(bench, host);

    refused(
        bench,
        &format!("docker push {remote}"),
        &["no basic auth credentials"],
    );
    let asked = bench
        .run(format!("curl --silent --include {url}/v2/_catalog"))
        .stdout
        .to_lowercase();
    assert!(
        asked.starts_with("http/1.1 401")
            && asked.contains("www-authenticate: basic realm=\"registry realm\""),
        "{asked}"
    );
    let body = bench.run(format!("curl --silent {url}/v2/_catalog")).json();
    let detail = json!([{"Type": "registry", "Class": "", "Name": "catalog", "Action": "*"}]);
    assert_eq!(
        body,
        json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required", "detail": detail}]})
    );

    let login = |user: &str| format!("docker login --username {user} --password-stdin {host}");
    assert!(
        !bench.succeeds(login("alice"), b"looking-glass"),
        "a wrong password was taken"
    );
    assert!(
        !bench.succeeds(login("mallory"), b"wonderland"),
        "an unknown user was taken"
    );
    bench.run_with(login("alice"), b"wonderland");
    let (digest, _) = pushed(bench, &remote);

    // a second user, made by Apache's own command, and no restart
    assert!(!bench.succeeds(login("bob"), b"builder"));
    append(bench, &bench.run("htpasswd -Bbn bob builder").stdout);
    bench.run_with(login("bob"), b"builder");
    bench.run(format!("docker rmi {remote}"));
    bench.run(format!("docker pull {remote}"));
    bench.run(format!("docker logout {host}"));
    bench.run(format!("docker rmi {remote}"));
    refused(
        bench,
        &format!("docker pull {remote}"),
        &["no basic auth credentials", "unauthorized"],
    );

    assert_eq!(
        bench.status("GET", &format!("{url}/v2/"), "--user alice:wrong"),
        "401"
    );
    assert_eq!(
        bench.status("GET", &format!("{url}/v2/"), "--user alice:wonderland"),
        "200"
    );
    let inspect = format!("skopeo inspect --tls-verify=false docker://{remote}");
    refused(
        bench,
        &inspect,
        &["unauthorized", "authentication required"],
    );
    let shown = bench
        .run(inspect.replace("inspect", "inspect --creds bob:builder"))
        .json();
    assert_eq!(shown["Digest"], digest);
    let podman = "podman login --tls-verify=false --authfile auth.json --password-stdin --username";
    assert!(!bench.succeeds(format!("{podman} bob {host}"), b"wonderland"));
    bench.run_with(format!("{podman} bob {host}"), b"builder");
    bench.run(inspect.replace("inspect", "inspect --authfile auth.json"));
    look_and_delete(bench, "curl --silent --user bob:builder", &url, &digest);
}
