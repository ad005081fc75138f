//! The usual steps with `registry:2`, performed against this server.

pub mod logins;
pub mod public;
pub mod tls;
pub mod tokens;

use serde_json::json;

use crate::engines::docker::pushed;
use crate::harness::engine;
use crate::harness::sandbox::{Daemon, Sandbox};
use crate::harness::server::{Server, address};

/// A name that is no other machine's: tests have it in a /etc/hosts of their own.
const NAME: &str = "registry.test";
/// Another one of the same address.
const OTHER_NAME: &str = "other.test";
const ACCEPT: &str = "--header Accept:application/vnd.docker.distribution.manifest.v2+json";

/// Words of clients that ask for TLS and get plain HTTP.
const NO_TLS: [&str; 2] = [
    "server gave HTTP response to HTTPS client",
    "http: server gave HTTP",
];

/// Docker, which knows the names of this test.
fn docker(sandbox: &Sandbox) -> Daemon {
    sandbox.write(
        "hosts",
        format!("127.0.0.1 localhost\n{} {NAME} {OTHER_NAME}\n", address()),
    );
    engine::start(sandbox)
}

/// A server that others could reach, and a name for it.
fn serve(sandbox: &Sandbox, environment: &[(&str, &str)]) -> (Server, String) {
    let server = Server::launch(
        sandbox.dir(),
        "open",
        &["--addr", &format!("{}:0", address()), "--data-dir", "open"],
        environment,
    );
    let host = format!("{NAME}:{}", server.port());
    (server, host)
}

/// An image of one small layer under that name; gives what to push.
fn image(sandbox: &Sandbox, host: &str) -> String {
    let image = format!("{host}/team/app:v1");
    sandbox.write("image/file", "content\n");
    sandbox.write("image/Dockerfile", "FROM scratch\nCOPY file /\n");
    sandbox.run(format!("docker build --quiet --tag {image} image"));
    image
}

/// Asserts that a command line fails, and says why in one of these words.
fn refused(sandbox: &Sandbox, line: &str, reasons: &[&str]) {
    let printed = sandbox.refused(line).both();
    assert!(
        reasons.iter().any(|reason| printed.contains(reason)),
        "{line}\nsaid none of {reasons:?}:\n{printed}"
    );
}

/// Lists, gets the digest, deletes and lists again, as the manuals do.
fn look_and_delete(sandbox: &Sandbox, curl: &str, url: &str, digest: &str) {
    assert_eq!(
        sandbox.run(format!("{curl} {url}/v2/_catalog")).json(),
        json!({"repositories": ["team/app"]})
    );
    assert_eq!(
        sandbox
            .run(format!("{curl} {url}/v2/team/app/tags/list"))
            .json(),
        json!({"name": "team/app", "tags": ["v1"]})
    );
    let head = sandbox
        .run(format!(
            "{curl} --head {ACCEPT} {url}/v2/team/app/manifests/v1"
        ))
        .stdout;
    assert!(
        head.to_lowercase()
            .contains(&format!("docker-content-digest: {digest}")),
        "{head}"
    );
    let code = format!("{curl} --output /dev/null --write-out %{{http_code}}");
    assert_eq!(
        sandbox
            .run(format!(
                "{code} --request DELETE {url}/v2/team/app/manifests/{digest}"
            ))
            .line(),
        "202"
    );
    assert_eq!(
        sandbox
            .run(format!("{code} {url}/v2/team/app/manifests/v1"))
            .line(),
        "404"
    );
    let tags = sandbox
        .run(format!("{curl} {url}/v2/team/app/tags/list"))
        .json();
    assert_eq!(tags["errors"][0]["code"], "NAME_UNKNOWN", "{tags}");
    assert_eq!(
        sandbox.run(format!("{curl} {url}/v2/_catalog")).json(),
        json!({"repositories": []})
    );
}

fn restarted(sandbox: &Sandbox, mut daemon: Daemon) -> Daemon {
    daemon.stop();
    // a process of the new one may have the number that the old containerd had
    sandbox.run("rm -rf docker.pid docker.sock exec");
    engine::start(sandbox)
}

/// Without login and encryption: on this machine at once, from others once they are told to.
pub fn anonymous(sandbox: &Sandbox) {
    let daemon = docker(sandbox);
    let local = image(sandbox, &sandbox.server.host);
    let (digest, _) = pushed(sandbox, &local);
    sandbox.run(format!("docker rmi {local}"));
    sandbox.run(format!("docker pull {local}"));
    look_and_delete(
        sandbox,
        "curl --silent",
        &format!("http://{}", sandbox.server.host),
        &digest,
    );

    let (_server, host) = serve(sandbox, &[]);
    let remote = image(sandbox, &host);
    refused(sandbox, &format!("docker push {remote}"), &NO_TLS);
    let skopeo =
        format!("skopeo --insecure-policy copy --quiet docker-daemon:{remote} docker://{remote}");
    sandbox.run(format!("docker save --output saved.tar {remote}"));
    let skopeo = skopeo.replace(
        &format!("docker-daemon:{remote}"),
        "docker-archive:saved.tar",
    );
    refused(sandbox, &skopeo, &NO_TLS);
    sandbox.run(skopeo.replace("copy", "copy --dest-tls-verify=false"));

    trust(sandbox, &host);
    let _daemon = restarted(sandbox, daemon);
    pushed(sandbox, &remote);
    sandbox.run(format!("docker rmi {remote}"));
    sandbox.run(format!("docker pull {remote}"));
}

/// Has the engine's next start take an entry for a registry without TLS.
fn trust(sandbox: &Sandbox, entry: &str) {
    sandbox.write(
        "mask/etc/docker/daemon.json",
        json!({"insecure-registries": [entry]}).to_string(),
    );
}

/// Spellings of an entry for a registry whose name is not local, and whose port is not 80.
pub fn insecure_registries(sandbox: &Sandbox) {
    let mut daemon = docker(sandbox);
    let (_server, host) = serve(sandbox, &[]);
    let remote = image(sandbox, &host);
    trust(sandbox, NAME);
    daemon = restarted(sandbox, daemon);
    refused(sandbox, &format!("docker push {remote}"), &NO_TLS);
    for entry in [
        host.clone(),
        format!("http://{host}"),
        format!("{}/32", address()),
    ] {
        trust(sandbox, &entry);
        daemon = restarted(sandbox, daemon);
        pushed(sandbox, &remote);
    }
}
