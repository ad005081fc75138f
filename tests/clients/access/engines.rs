//! Clients that keep images: podman, containerd, BuildKit. Docker is in `engines/switching/public.rs`.

use std::cell::{Cell, RefCell};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::access::host::public_and_private;
use crate::access::login::{NO_LOGIN, NO_RIGHT, Steps, walk};
use crate::engines::buildkit::builder_for;
use crate::engines::containerd::containerd;
use crate::harness::fixture::Layout;
use crate::harness::sandbox::Sandbox;
use crate::harness::transport::Transport;
use crate::tools::podman::with_store;

pub fn podman(sandbox: &Sandbox) {
    let server = public_and_private(sandbox, "public", "");
    let host = &server.host;
    let podman = with_store(sandbox, "store");
    sandbox.write("context/file", "content\n");
    sandbox.write("context/Dockerfile", "FROM scratch\nCOPY file /\n");
    sandbox.run(format!("{podman} build --quiet --tag built context"));
    let log_in = |user: Option<(&str, &str)>| match user {
        Some((user, password)) => {
            let line = format!(
                "{podman} login --tls-verify=false --username {user} --password-stdin {host}"
            );
            sandbox.run_with(line, password.as_bytes());
        }
        None => drop(sandbox.run(format!("{podman} logout {host}"))),
    };
    let steps = Steps {
        log_in: &log_in,
        push: &|repository| {
            format!("{podman} push --tls-verify=false built {host}/{repository}:v1")
        },
        pull: &|repository| format!("{podman} pull --tls-verify=false {host}/{repository}:v1"),
    };
    walk(sandbox, &steps, NO_RIGHT);
}

/// containerd sends logins to the token service by a form, as its CRI plugin does, which has the same resolver.
pub fn containerd_and_ctr(sandbox: &Sandbox) {
    let server = public_and_private(sandbox, "public", "");
    let host = &server.host;
    let layout = Layout::new(sandbox.path("source"));
    layout.tag(
        "v1",
        &layout.image("amd64", &[crate::harness::fixture::tar("file", b"content")]),
    );
    sandbox.run("tar --create --file source.tar --directory source .");
    let _daemon = containerd(sandbox, "first");
    for repository in ["team/app", "private/app"] {
        sandbox.run(format!(
            "ctr images import --base-name {host}/{repository} --all-platforms source.tar"
        ));
    }
    let flag = RefCell::new(String::new());
    let steps = Steps {
        log_in: &|user| {
            let login = user.map(|(user, password)| format!("--user {user}:{password}"));
            flag.replace(login.unwrap_or_default());
        },
        push: &|repository| {
            format!(
                "ctr images push --plain-http {} {host}/{repository}:v1",
                flag.borrow()
            )
        },
        pull: &|repository| {
            format!(
                "ctr images pull --plain-http {} {host}/{repository}:v1",
                flag.borrow()
            )
        },
    };
    // ctr says no more than the status
    walk(sandbox, &steps, &["403 Forbidden", NO_RIGHT[0]]);
}

/// BuildKit gets its logins from buildctl, which reads Docker's file.
pub fn buildkit(sandbox: &Sandbox) {
    let server = public_and_private(sandbox, "public", "");
    let host = &server.host;
    let _daemon = builder_for(sandbox, "first", host, Transport::Plain);
    let built = Cell::new(0);
    let build = |dockerfile: &str, output: &str| {
        built.set(built.get() + 1);
        let context = format!("context{}", built.get());
        sandbox.write(&format!("{context}/file"), context.as_bytes());
        sandbox.write(&format!("{context}/Dockerfile"), dockerfile);
        format!(
            "buildctl build --frontend dockerfile.v0 --local context={context} --local dockerfile={context} \
             --progress plain --output {output}"
        )
    };
    let steps = Steps {
        log_in: &|user| {
            let login = user.map(|(user, password)| STANDARD.encode(format!("{user}:{password}")));
            let auths = match login {
                Some(auth) => json!({ host.as_str(): { "auth": auth } }),
                None => json!({}),
            };
            sandbox.write(
                "home/.docker/config.json",
                json!({ "auths": auths }).to_string(),
            );
        },
        push: &|repository| {
            let output = format!("type=image,name={host}/{repository}:v1,push=true");
            build("FROM scratch\nCOPY file /\n", &output)
        },
        pull: &|repository| {
            let dockerfile = format!("FROM {host}/{repository}:v1\nCOPY file /other\n");
            build(&dockerfile, "type=local,dest=pulled")
        },
    };
    walk(
        sandbox,
        &steps,
        &["403 Forbidden", NO_RIGHT[0], NO_LOGIN[4]],
    );
}
