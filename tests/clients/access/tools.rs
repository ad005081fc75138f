//! Clients without a daemon.

use std::cell::Cell;

use crate::access::host::{PUSHES, public_and_private};
use crate::access::login::{NO_LOGIN, NO_RIGHT, Steps, refused, walk};
use crate::harness::fixture::Layout;
use crate::harness::sandbox::Sandbox;

/// Logs a client in by a command line that reads the password, or out by another.
fn by_commands(sandbox: &Sandbox, log_in: &str, log_out: &str, user: Option<(&str, &str)>) {
    match user {
        Some((user, password)) => {
            sandbox.run_with(log_in.replace("USER", user), password.as_bytes())
        }
        None => sandbox.run(log_out),
    };
}

/// Counts up, for directories that must not be there yet.
fn next(number: &Cell<usize>) -> usize {
    number.set(number.get() + 1);
    number.get()
}

pub fn crane(sandbox: &Sandbox) {
    let server = public_and_private(sandbox, "public", "");
    let host = &server.host;
    Layout::multi_arch(sandbox.path("source"));
    let log_in = format!("crane auth login {host} --username USER --password-stdin");
    let log_out = format!("crane auth logout {host}");
    let pulled = Cell::default();
    let steps = Steps {
        log_in: &|user| by_commands(sandbox, &log_in, &log_out, user),
        push: &|repository| format!("crane push source {host}/{repository}:v1"),
        pull: &|repository| {
            let number = next(&pulled);
            format!("crane pull --format oci {host}/{repository}:v1 back{number}")
        },
    };
    walk(sandbox, &steps, NO_RIGHT);
}

pub fn skopeo(sandbox: &Sandbox) {
    let server = public_and_private(sandbox, "public", "");
    let host = &server.host;
    Layout::multi_arch(sandbox.path("source"));
    let log_in = format!("skopeo login --tls-verify=false --username USER --password-stdin {host}");
    let log_out = format!("skopeo logout {host}");
    let copy = "skopeo --insecure-policy copy --quiet --all --src-tls-verify=false --dest-tls-verify=false";
    let pulled = Cell::default();
    let steps = Steps {
        log_in: &|user| by_commands(sandbox, &log_in, &log_out, user),
        push: &|repository| format!("{copy} oci:source:v1 docker://{host}/{repository}:v1"),
        pull: &|repository| {
            let number = next(&pulled);
            format!("{copy} docker://{host}/{repository}:v1 oci:back{number}:v1")
        },
    };
    walk(sandbox, &steps, NO_RIGHT);
}

pub fn regctl(sandbox: &Sandbox) {
    let server = public_and_private(sandbox, "public", "");
    let host = &server.host;
    sandbox.run(format!("regctl registry set {host} --tls=disabled"));
    Layout::multi_arch(sandbox.path("source"));
    let log_in = format!("regctl registry login {host} --user USER --pass-stdin");
    let log_out = format!("regctl registry logout {host}");
    let steps = Steps {
        log_in: &|user| by_commands(sandbox, &log_in, &log_out, user),
        push: &|repository| format!("regctl image copy ocidir://source:v1 {host}/{repository}:v1"),
        pull: &|repository| format!("regctl image copy {host}/{repository}:v1 ocidir://back:v1"),
    };
    walk(sandbox, &steps, NO_RIGHT);
}

pub fn oras(sandbox: &Sandbox) {
    let server = public_and_private(sandbox, "public", "");
    let host = &server.host;
    sandbox.write("note.txt", "a note\n");
    let log_in = format!("oras login --plain-http --username USER --password-stdin {host}");
    let log_out = format!("oras logout {host}");
    let steps = Steps {
        log_in: &|user| by_commands(sandbox, &log_in, &log_out, user),
        push: &|repository| format!("oras push --plain-http {host}/{repository}:v1 note.txt"),
        pull: &|repository| format!("oras pull --plain-http --output back {host}/{repository}:v1"),
    };
    walk(sandbox, &steps, NO_RIGHT);
}

pub fn helm(sandbox: &Sandbox) {
    let server = public_and_private(sandbox, "public", "");
    let host = &server.host;
    sandbox.run("helm create app");
    sandbox.run("helm package app --version 1.0.0");
    sandbox.write("pulled/.keep", "");
    let log_in =
        format!("helm registry login --plain-http --username USER --password-stdin {host}");
    let log_out = format!("helm registry logout {host}");
    let parent = |repository: &str| repository.trim_end_matches("/app").to_owned();
    let steps = Steps {
        log_in: &|user| by_commands(sandbox, &log_in, &log_out, user),
        push: &|repository| {
            let parent = parent(repository);
            format!("helm push --plain-http app-1.0.0.tgz oci://{host}/{parent}")
        },
        pull: &|repository| {
            format!(
                "helm pull --plain-http --destination pulled oci://{host}/{repository} --version 1.0.0"
            )
        },
    };
    walk(sandbox, &steps, NO_RIGHT);
}

/// A signature is pushed with a login, and verified without one.
pub fn cosign(sandbox: &Sandbox) {
    let server = public_and_private(sandbox, "public", "");
    let host = &server.host;
    Layout::multi_arch(sandbox.path("source"));
    let (user, password) = PUSHES;
    for repository in ["team/app", "private/app"] {
        sandbox.run(format!(
            "skopeo --insecure-policy copy --quiet --all --dest-tls-verify=false --dest-creds {user}:{password} \
             oci:source:v1 docker://{host}/{repository}:v1"
        ));
    }
    sandbox.set("COSIGN_PASSWORD", "password");
    sandbox.run("cosign generate-key-pair");
    sandbox.run("cosign signing-config create --out services.json");
    sandbox.run("cosign trusted-root create --out roots.json");
    let digest = crate::harness::fixture::layout_digest(&sandbox.path("source"));
    let sign = |repository: &str| {
        format!(
            "cosign sign --yes --allow-http-registry --key cosign.key --signing-config services.json \
             --trusted-root roots.json {host}/{repository}@{digest}"
        )
    };
    let verify = |repository: &str| {
        format!(
            "cosign verify --allow-http-registry --key cosign.pub --insecure-ignore-tlog {host}/{repository}:v1"
        )
    };
    refused(sandbox, &sign("team/app"), NO_LOGIN);
    sandbox.run_with(
        format!("cosign login {host} --username {user} --password-stdin"),
        password.as_bytes(),
    );
    for repository in ["team/app", "private/app"] {
        sandbox.run(sign(repository));
    }
    sandbox.run(verify("private/app"));
    sandbox.run("rm home/.docker/config.json");
    sandbox.run(verify("team/app"));
    refused(sandbox, &verify("private/app"), NO_LOGIN);
}
