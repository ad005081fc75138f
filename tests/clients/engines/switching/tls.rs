//! Certificates: of authorities that nobody knows, of other names, of clients.

use super::{NAME, OTHER_NAME, docker, image, look_and_delete, refused, serve};
use crate::engines::docker::pushed;
use crate::harness::pki::{Authority, Issued};
use crate::harness::sandbox::Sandbox;

/// Writes what the server is given; gives the variables that name it.
fn tls(sandbox: &Sandbox, issued: &Issued) -> Vec<(&'static str, String)> {
    sandbox.write("certs/domain.crt", &issued.certificate);
    sandbox.write("certs/domain.key", &issued.key);
    let path = |name: &str| sandbox.path(name).display().to_string();
    vec![
        ("REGISTRY_HTTP_TLS_CERTIFICATE", path("certs/domain.crt")),
        ("REGISTRY_HTTP_TLS_KEY", path("certs/domain.key")),
    ]
}

fn borrowed<'v>(variables: &'v [(&'static str, String)]) -> Vec<(&'v str, &'v str)> {
    variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

/// An authority of one's own: refused until a client is told of it, each in its way.
pub fn private_authority(sandbox: &Sandbox) {
    let _daemon = docker(sandbox);
    let authority = Authority::new("our own");
    let (server, host) = serve(sandbox, &borrowed(&tls(sandbox, &authority.issue(&[NAME]))));
    let remote = image(sandbox, &host);
    let unknown = [
        "certificate signed by unknown authority",
        "x509",
        "unable to get local issuer certificate",
    ];
    sandbox.write("dir/ca.crt", authority.pem());
    sandbox.run(format!("docker save --output saved.tar {remote}"));
    let skopeo = format!(
        "skopeo --insecure-policy copy --quiet docker-archive:saved.tar docker://{host}/team/skopeo:v1"
    );
    let podman = format!(
        "podman --storage-driver vfs --root {0}/podman --runroot {0}/podman-run",
        sandbox.dir().display()
    );
    sandbox.run(format!("{podman} load --input saved.tar"));

    refused(sandbox, &format!("docker push {remote}"), &unknown);
    refused(sandbox, &skopeo, &unknown);
    refused(sandbox, &format!("{podman} push {remote}"), &unknown);
    refused(
        sandbox,
        &format!("curl --silent --show-error https://{host}/v2/"),
        &unknown,
    );

    sandbox.write(
        &format!("mask/etc/docker/certs.d/{host}/ca.crt"),
        authority.pem(),
    );
    let (digest, _) = pushed(sandbox, &remote);
    sandbox.run(format!("docker rmi {remote}"));
    sandbox.run(format!("docker pull {remote}"));
    look_and_delete(
        sandbox,
        "curl --silent --cacert dir/ca.crt",
        &format!("https://{host}"),
        &digest,
    );
    // skopeo and podman read the same directory, and another one if asked to
    sandbox.run("rm -r mask/etc/docker/certs.d");
    sandbox.run(skopeo.replace("copy", "copy --dest-cert-dir dir"));
    sandbox.run(format!("{podman} push --cert-dir dir {remote}"));

    // a name that the certificate does not have
    let wrong = format!("{OTHER_NAME}:{}", server.port());
    sandbox.write(
        &format!("mask/etc/docker/certs.d/{wrong}/ca.crt"),
        authority.pem(),
    );
    sandbox.run(format!("docker tag {remote} {wrong}/team/app:v1"));
    let name = ["certificate is valid for registry.test, not other.test"];
    refused(sandbox, &format!("docker push {wrong}/team/app:v1"), &name);
    refused(
        sandbox,
        &skopeo
            .replace("copy", "copy --dest-cert-dir dir")
            .replace(NAME, OTHER_NAME),
        &name,
    );
}

/// Certificates of clients, from where Docker keeps them.
pub fn client_certificates(sandbox: &Sandbox) {
    let _daemon = docker(sandbox);
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let mut variables = tls(sandbox, &servers.issue(&[NAME]));
    sandbox.write("certs/clients.crt", clients.pem());
    variables.push((
        "REGISTRY_HTTP_TLS_CLIENTCAS",
        format!("[{}]", sandbox.path("certs/clients.crt").display()),
    ));
    let (_server, host) = serve(sandbox, &borrowed(&variables));
    let remote = image(sandbox, &host);
    let certs = format!("mask/etc/docker/certs.d/{host}");
    sandbox.write(&format!("{certs}/ca.crt"), servers.pem());
    refused(
        sandbox,
        &format!("docker push {remote}"),
        &["certificate required", "bad certificate"],
    );

    let stranger = Authority::new("clients").issue(&["client"]);
    sandbox.write(&format!("{certs}/client.cert"), &stranger.certificate);
    sandbox.write(&format!("{certs}/client.key"), &stranger.key);
    refused(
        sandbox,
        &format!("docker push {remote}"),
        &[
            "unknown certificate authority",
            "bad certificate",
            "certificate required",
            "error decrypting message",
        ],
    );

    let client = clients.issue(&["client"]);
    sandbox.write(&format!("{certs}/client.cert"), &client.certificate);
    sandbox.write(&format!("{certs}/client.key"), &client.key);
    pushed(sandbox, &remote);
    let curl = "curl --silent --cacert certs/ca.crt";
    sandbox.write("certs/ca.crt", servers.pem());
    sandbox.write(
        "certs/client.pem",
        format!("{}{}", client.certificate, client.key),
    );
    assert_eq!(
        sandbox.status("GET", &format!("https://{host}/v2/"), &curl[4..]),
        "000"
    );
    let with = format!("{} --cert certs/client.pem", &curl[4..]);
    assert_eq!(
        sandbox.status("GET", &format!("https://{host}/v2/"), &with),
        "200"
    );
    sandbox.run(format!("docker save --output saved.tar {remote}"));
    sandbox.run(format!(
        "skopeo --insecure-policy copy --quiet --dest-cert-dir {certs} docker-archive:saved.tar docker://{host}/team/skopeo:v1"
    ));
}
