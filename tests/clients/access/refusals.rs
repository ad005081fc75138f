//! Messages of clients when a quota or a rate limit refuses.

use crate::access::host::{PUSHES, public_and_private};
use crate::access::login::refused;
use crate::harness::fixture::Layout;
use crate::harness::sandbox::Sandbox;
use crate::harness::server::Server;
use crate::tools::podman::with_store;

pub const FULL: &str = "quota of team/** exceeded: ";
pub const TOO_MANY: &str = "more than 1 pushes in 1h: try again in";

/// Starts a server whose quota for `team/**` nothing fits into.
pub fn full(sandbox: &Sandbox) -> Server {
    public_and_private(
        sandbox,
        "full",
        "quotas: [{repositories: 'team/**', bytes: 1}]\n",
    )
}

/// Starts a server that takes one push, and pushes an index without images to it.
pub fn limited(sandbox: &Sandbox) -> Server {
    let server = public_and_private(sandbox, "limited", "http: {limits: {pushes: 1}}\n");
    let media_type = "application/vnd.oci.image.index.v1+json";
    sandbox.write(
        "none.json",
        format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[]}}"#),
    );
    let (user, password) = PUSHES;
    let options = format!(
        "--user {user}:{password} --header Content-Type:{media_type} --data-binary @none.json"
    );
    let url = format!("http://{}/v2/team/none/manifests/v1", server.host);
    assert_eq!(sandbox.status("PUT", &url, &options), "201");
    server
}

/// crane, and podman, which is not asked for the limit: it would wait five minutes before it says anything.
pub fn by_tools(sandbox: &Sandbox) {
    let podman = with_store(sandbox, "store");
    sandbox.write("context/file", "content\n");
    sandbox.write("context/Dockerfile", "FROM scratch\nCOPY file /\n");
    sandbox.run(format!("{podman} build --quiet --tag built context"));
    Layout::multi_arch(sandbox.path("source"));
    let (user, password) = PUSHES;
    let by_crane = |server: &Server, words| {
        let host = &server.host;
        sandbox.run_with(
            format!("crane auth login {host} --username {user} --password-stdin"),
            password.as_bytes(),
        );
        let push = format!("crane push source {host}/team/app:v1");
        refused(sandbox, &push, &[words]);
    };
    let full = full(sandbox);
    by_crane(&full, FULL);
    let to = format!("{}/team/app:v1", full.host);
    let push = format!("{podman} push --tls-verify=false --creds {user}:{password} built {to}");
    refused(sandbox, &push, &[FULL]);
    by_crane(&limited(sandbox), TOO_MANY);
}
