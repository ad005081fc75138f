//! The usual steps with `registry:2`, performed against this server.

pub mod logins;
pub mod tls;
pub mod tokens;

use serde_json::json;

use crate::bench::{Bench, Daemon};
use crate::docker::{engine, pushed};
use crate::server::{Server, address};

/// A name that is no other machine's: tests have it in a /etc/hosts of their own.
const NAME: &str = "registry.test";
/// Another one of the same address.
const OTHER_NAME: &str = "other.test";
const ACCEPT: &str = "--header Accept:application/vnd.docker.distribution.manifest.v2+json";

/// Docker, which knows the names of this test.
fn docker(bench: &Bench) -> Daemon {
    bench.write(
        "hosts",
        format!("127.0.0.1 localhost\n{} {NAME} {OTHER_NAME}\n", address()),
    );
    engine(bench)
}

/// A server that others could reach, and a name for it.
fn serve(bench: &Bench, environment: &[(&str, &str)]) -> (Server, String) {
    let server = Server::launch(
        bench.dir(),
        "open",
        &["--addr", &format!("{}:0", address()), "--data-dir", "open"],
        environment,
    );
    let host = format!("{NAME}:{}", server.port());
    (server, host)
}

/// An image of one small layer under that name; gives what to push.
fn image(bench: &Bench, host: &str) -> String {
    let image = format!("{host}/team/app:v1");
    bench.write("image/file", "content\n");
    bench.write("image/Dockerfile", "FROM scratch\nCOPY file /\n");
    bench.run(format!("docker build --quiet --tag {image} image"));
    image
}

/// Asserts that a command line fails, and says why in one of these words.
fn refused(bench: &Bench, line: &str, reasons: &[&str]) {
    let said = bench.refused(line).both();
    assert!(
        reasons.iter().any(|reason| said.contains(reason)),
        "{line}\nsaid none of {reasons:?}:\n{said}"
    );
}

/// Lists, gets the digest, deletes and lists again, as the manuals do.
fn look_and_delete(bench: &Bench, curl: &str, url: &str, digest: &str) {
    assert_eq!(
        bench.run(format!("{curl} {url}/v2/_catalog")).json(),
        json!({"repositories": ["team/app"]})
    );
    assert_eq!(
        bench
            .run(format!("{curl} {url}/v2/team/app/tags/list"))
            .json(),
        json!({"name": "team/app", "tags": ["v1"]})
    );
    let head = bench
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
        bench
            .run(format!(
                "{code} --request DELETE {url}/v2/team/app/manifests/{digest}"
            ))
            .line(),
        "202"
    );
    assert_eq!(
        bench
            .run(format!("{code} {url}/v2/team/app/manifests/v1"))
            .line(),
        "404"
    );
    let tags = bench
        .run(format!("{curl} {url}/v2/team/app/tags/list"))
        .json();
    assert_eq!(tags["errors"][0]["code"], "NAME_UNKNOWN", "{tags}");
    assert_eq!(
        bench.run(format!("{curl} {url}/v2/_catalog")).json(),
        json!({"repositories": []})
    );
}

fn restarted(bench: &Bench, mut daemon: Daemon) -> Daemon {
    daemon.stop();
    // a process of the new one may have the number that the old containerd had
    bench.run("rm -rf docker.pid docker.sock exec");
    engine(bench)
}

/// Without login and encryption: on this machine at once, from others once they are told to.
pub fn anonymous(bench: &Bench) {
    let daemon = docker(bench);
    let local = image(bench, &bench.server.host);
    let (digest, _) = pushed(bench, &local);
    bench.run(format!("docker rmi {local}"));
    bench.run(format!("docker pull {local}"));
    look_and_delete(
        bench,
        "curl --silent",
        &format!("http://{}", bench.server.host),
        &digest,
    );

    let (_server, host) = serve(bench, &[]);
    let remote = image(bench, &host);
    let no_tls = [
        "server gave HTTP response to HTTPS client",
        "http: server gave HTTP",
    ];
    refused(bench, &format!("docker push {remote}"), &no_tls);
    let skopeo =
        format!("skopeo --insecure-policy copy --quiet docker-daemon:{remote} docker://{remote}");
    bench.run(format!("docker save --output saved.tar {remote}"));
    let skopeo = skopeo.replace(
        &format!("docker-daemon:{remote}"),
        "docker-archive:saved.tar",
    );
    refused(bench, &skopeo, &no_tls);
    bench.run(skopeo.replace("copy", "copy --dest-tls-verify=false"));

    bench.write(
        "mask/etc/docker/daemon.json",
        json!({"insecure-registries": [host]}).to_string(),
    );
    let _daemon = restarted(bench, daemon);
    pushed(bench, &remote);
    bench.run(format!("docker rmi {remote}"));
    bench.run(format!("docker pull {remote}"));
}
