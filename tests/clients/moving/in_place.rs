//! A store taken over where it lies, and the way back.

use serde_json::Value;

use crate::harness::engine;
use crate::harness::peer::Peer;
use crate::harness::sandbox::Sandbox;
use crate::harness::server::Server;
use crate::moving::served::Served;
use crate::moving::{pulls, pushes, tree};

/// Starts our server on the store in `theirs`, and waits until that is taken over.
pub fn taken_over(sandbox: &Sandbox) -> Server {
    let arguments = ["--addr", "127.0.0.1:0", "--data-dir", "theirs"];
    let server = Server::launch(sandbox.dir(), "ours", &arguments, &[]);
    wait_until_it_serves(sandbox, &server.host);
    server
}

/// Waits for the end of a take-over.
pub fn wait_until_it_serves(sandbox: &Sandbox, host: &str) {
    let retries = "--retry 100 --retry-delay 1 --retry-connrefused --fail";
    assert_eq!(
        sandbox.status("GET", &format!("http://{host}/v2/"), retries),
        "200"
    );
}

/// Everything that real clients push, in our place and then in theirs again.
pub fn taken_over_and_back(sandbox: &Sandbox) {
    let _engine = engine::start(sandbox);
    let before = {
        let peer = Peer::start(sandbox.dir(), &Value::Null);
        pushes::everything(sandbox, &peer.address);
        Served::by(&peer)
    };
    let files = tree::snapshot(sandbox, "theirs");
    {
        let server = taken_over(sandbox);
        Served::by(&server).assert_same_as(&before);
        pulls::by_skopeo_and_docker(sandbox, &server.host, &before);
        pulls::by_the_others(sandbox, &server.host, "ours");
        let log = sandbox.read("ours.log");
        let log = String::from_utf8_lossy(&log);
        assert!(!log.contains("not taken over as it is"), "{log}");
        pushes::docker_image(
            sandbox,
            &format!("{}/docker/app:latest", server.host),
            "pushed since",
            "amd64",
        );
        let verified = sandbox
            .registry(&["verify", "--data-dir", "theirs"])
            .output();
        let verified = verified.unwrap();
        assert!(verified.status.success(), "{verified:?}");
    }
    tree::assert_unchanged(&files, &tree::snapshot(sandbox, "theirs"));
    let peer = Peer::start(sandbox.dir(), &Value::Null);
    Served::by(&peer).assert_same_as(&before);
    pulls::by_skopeo_and_docker(sandbox, &peer.address, &before);
    pulls::by_the_others(sandbox, &peer.address, "theirs-again");
}
