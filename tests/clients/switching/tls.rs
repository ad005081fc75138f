//! Certificates: of authorities that nobody knows, of other names, of clients.

use super::{NAME, OTHER_NAME, docker, image, look_and_delete, refused, serve};
use crate::bench::Bench;
use crate::docker::pushed;
use crate::pki::{Authority, Issued};

/// Writes what the server is given; gives the variables that name it.
fn tls(bench: &Bench, issued: &Issued) -> Vec<(&'static str, String)> {
    bench.write("certs/domain.crt", &issued.certificate);
    bench.write("certs/domain.key", &issued.key);
    let path = |name: &str| bench.path(name).display().to_string();
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
pub fn private_authority(bench: &Bench) {
    let _daemon = docker(bench);
    let authority = Authority::new("our own");
    let (server, host) = serve(bench, &borrowed(&tls(bench, &authority.issue(&[NAME]))));
    let remote = image(bench, &host);
    let unknown = [
        "certificate signed by unknown authority",
        "x509",
        "unable to get local issuer certificate",
    ];
    bench.write("dir/ca.crt", authority.pem());
    bench.run(format!("docker save --output saved.tar {remote}"));
    let skopeo = format!(
        "skopeo --insecure-policy copy --quiet docker-archive:saved.tar docker://{host}/team/skopeo:v1"
    );
    let podman = format!(
        "podman --storage-driver vfs --root {0}/podman --runroot {0}/podman-run",
        bench.dir().display()
    );
    bench.run(format!("{podman} load --input saved.tar"));

    refused(bench, &format!("docker push {remote}"), &unknown);
    refused(bench, &skopeo, &unknown);
    refused(bench, &format!("{podman} push {remote}"), &unknown);
    refused(
        bench,
        &format!("curl --silent --show-error https://{host}/v2/"),
        &unknown,
    );

    bench.write(
        &format!("mask/etc/docker/certs.d/{host}/ca.crt"),
        authority.pem(),
    );
    let (digest, _) = pushed(bench, &remote);
    bench.run(format!("docker rmi {remote}"));
    bench.run(format!("docker pull {remote}"));
    look_and_delete(
        bench,
        "curl --silent --cacert dir/ca.crt",
        &format!("https://{host}"),
        &digest,
    );
    // skopeo and podman read the same directory, and another one if asked to
    bench.run("rm -r mask/etc/docker/certs.d");
    bench.run(skopeo.replace("copy", "copy --dest-cert-dir dir"));
    bench.run(format!("{podman} push --cert-dir dir {remote}"));

    // a name that the certificate does not have
    let wrong = format!("{OTHER_NAME}:{}", server.port());
    bench.write(
        &format!("mask/etc/docker/certs.d/{wrong}/ca.crt"),
        authority.pem(),
    );
    bench.run(format!("docker tag {remote} {wrong}/team/app:v1"));
    let name = ["certificate is valid for registry.test, not other.test"];
    refused(bench, &format!("docker push {wrong}/team/app:v1"), &name);
    refused(
        bench,
        &skopeo
            .replace("copy", "copy --dest-cert-dir dir")
            .replace(NAME, OTHER_NAME),
        &name,
    );
}

/// Certificates of clients, from where Docker keeps them.
pub fn client_certificates(bench: &Bench) {
    let _daemon = docker(bench);
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let mut variables = tls(bench, &servers.issue(&[NAME]));
    bench.write("certs/clients.crt", clients.pem());
    variables.push((
        "REGISTRY_HTTP_TLS_CLIENTCAS",
        format!("[{}]", bench.path("certs/clients.crt").display()),
    ));
    let (_server, host) = serve(bench, &borrowed(&variables));
    let remote = image(bench, &host);
    let certs = format!("mask/etc/docker/certs.d/{host}");
    bench.write(&format!("{certs}/ca.crt"), servers.pem());
    refused(
        bench,
        &format!("docker push {remote}"),
        &["certificate required", "bad certificate"],
    );

    let stranger = Authority::new("clients").issue(&["client"]);
    bench.write(&format!("{certs}/client.cert"), &stranger.certificate);
    bench.write(&format!("{certs}/client.key"), &stranger.key);
    refused(
        bench,
        &format!("docker push {remote}"),
        &[
            "unknown certificate authority",
            "bad certificate",
            "certificate required",
            "error decrypting message",
        ],
    );

    let client = clients.issue(&["client"]);
    bench.write(&format!("{certs}/client.cert"), &client.certificate);
    bench.write(&format!("{certs}/client.key"), &client.key);
    pushed(bench, &remote);
    let curl = "curl --silent --cacert certs/ca.crt";
    bench.write("certs/ca.crt", servers.pem());
    bench.write(
        "certs/client.pem",
        format!("{}{}", client.certificate, client.key),
    );
    assert_eq!(
        bench.status("GET", &format!("https://{host}/v2/"), &curl[4..]),
        "000"
    );
    let with = format!("{} --cert certs/client.pem", &curl[4..]);
    assert_eq!(
        bench.status("GET", &format!("https://{host}/v2/"), &with),
        "200"
    );
    bench.run(format!("docker save --output saved.tar {remote}"));
    bench.run(format!(
        "skopeo --insecure-policy copy --quiet --dest-cert-dir {certs} docker-archive:saved.tar docker://{host}/team/skopeo:v1"
    ));
}
