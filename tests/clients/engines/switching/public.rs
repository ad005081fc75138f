//! Public images beside private ones on one host: pulled without a login, pushed with one, by people and machines.

use super::{docker, image, refused};
use crate::access::public_and_private;
use crate::access::refusals::{FULL, TOO_MANY, full, limited};
use crate::engines::docker::pushed;
use crate::harness::sandbox::Sandbox;

const REFUSALS: [&str; 4] = [
    "denied",
    "unauthorized",
    "insufficient_scope",
    "authentication required",
];

pub fn anonymous_pulls(sandbox: &Sandbox) {
    let _daemon = docker(sandbox);
    let server = public_and_private(sandbox, "public", "");
    let host = &server.host;
    let (public, private) = (image(sandbox, host), format!("{host}/private/app:v1"));
    sandbox.run(format!("docker tag {public} {private}"));
    refused(sandbox, &format!("docker push {public}"), &REFUSALS);
    let login = format!("docker login --username alice --password-stdin {host}");
    assert!(!sandbox.succeeds(&login, b"looking-glass"));
    log_in(sandbox, host, b"the-builder", "bob");
    refused(
        sandbox,
        &format!("docker push {public}"),
        &["your rights do not include push in team/app"],
    );
    log_in(sandbox, host, b"wonderland", "alice");
    let (digest, _) = pushed(sandbox, &public);
    pushed(sandbox, &private);
    sandbox.run(format!("docker rmi {public} {private}"));
    sandbox.run(format!("docker pull {private}"));
    sandbox.run(format!("docker logout {host}"));
    sandbox.run(format!("docker rmi {private}"));
    sandbox.run(format!("docker pull {public}"));
    refused(sandbox, &format!("docker pull {private}"), &REFUSALS);

    let inspect = "skopeo inspect --tls-verify=false";
    let shown = sandbox.run(format!("{inspect} docker://{public}")).json();
    assert_eq!(shown["Digest"], digest);
    refused(sandbox, &format!("{inspect} docker://{private}"), &REFUSALS);
    machine(sandbox, &public, &private);
    for (server, words) in [(full(sandbox), FULL), (limited(sandbox), TOO_MANY)] {
        let other = format!("{}/team/app:v1", server.host);
        sandbox.run(format!("docker tag {public} {other}"));
        log_in(sandbox, &server.host, b"wonderland", "alice");
        refused(sandbox, &format!("docker push {other}"), &[words]);
    }
}

fn log_in(sandbox: &Sandbox, host: &str, password: &[u8], user: &str) {
    sandbox.run_with(
        format!("docker login --username {user} --password-stdin {host}"),
        password,
    );
}

/// A token may do what it was made for, until it is revoked.
fn machine(sandbox: &Sandbox, public: &str, private: &str) {
    let token = |arguments: &[&str]| {
        let arguments = [&["token"], arguments, &["--data-dir", "public"]].concat();
        let output = sandbox.registry(&arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let secret = token(&[
        "create",
        "ci",
        "--repositories",
        "team/**",
        "--may",
        "pull,create",
    ]);
    let copy = |to: &str| {
        format!(
            "skopeo --insecure-policy copy --quiet --src-tls-verify=false --dest-tls-verify=false \
             --src-no-creds --dest-creds ci:{secret} docker://{public} docker://{to}"
        )
    };
    let new = public.replace(":v1", ":v2");
    sandbox.run(copy(&new));
    refused(
        sandbox,
        &copy(&private.replace(":v1", ":v2")),
        &["this login has no rights in it"],
    );
    token(&["revoke", "ci"]);
    refused(sandbox, &copy(&new.replace(":v2", ":v3")), &REFUSALS);
}
