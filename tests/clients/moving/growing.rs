//! A store imported while `docker-registry` works on it, again after it has grown, and once more at the end.

use serde_json::{Value, json};

use crate::harness::engine;
use crate::harness::fixture::{Layout, tar};
use crate::harness::peer::Peer;
use crate::harness::sandbox::Sandbox;
use crate::moving::pushes::{self, SKOPEO_COPY};
use crate::moving::served::Served;
use crate::moving::{pulls, tree};
use crate::support::content::noise;

/// Imports `theirs` into the data directory of the running server; returns the exit code and the report.
pub fn import(sandbox: &Sandbox) -> (i32, Value) {
    let arguments = ["import", "theirs", "--data-dir", "data", "--output", "json"];
    let output = sandbox.registry(&arguments).output().unwrap();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), report)
}

/// Names of the repositories that got something new.
fn changed(report: &Value) -> Vec<&str> {
    let repositories = report["repositories"].as_array().unwrap();
    repositories
        .iter()
        .map(|repository| repository["repository"].as_str().unwrap())
        .collect()
}

/// Pushes an image of noise with skopeo.
fn push(sandbox: &Sandbox, image: &str, seed: u64) {
    let layout = Layout::new(sandbox.path("grown"));
    let built = layout.image("amd64", &[tar("file", &noise(seed, 50_000))]);
    layout.tag("v1", &built);
    sandbox.run(format!("{SKOPEO_COPY} oci:grown:v1 docker://{image}"));
}

pub fn imported_while_it_grows(sandbox: &Sandbox) {
    let _engine = engine::start(sandbox);
    let peer = Peer::start(sandbox.dir(), &Value::Null);
    let theirs = &peer.address;
    pushes::everything(sandbox, theirs);
    let before = Served::by(&peer);
    let (code, report) = import(sandbox);
    assert_eq!((code, &report["problems"]), (0, &json!([])), "{report}");
    assert_eq!(changed(&report), before.repositories());
    Served::by(&sandbox.server).assert_same_as(&before);

    // a new repository, a new tag, one that moves, one that moves back, and an artifact attached to an old one
    push(sandbox, &format!("{theirs}/new/app:v1"), 101);
    push(sandbox, &format!("{theirs}/docker/app:v2"), 102);
    push(sandbox, &format!("{theirs}/skopeo/app:oci"), 103);
    sandbox.run(format!(
        "{SKOPEO_COPY} --all docker://{theirs}/docker/app:amd64 docker://{theirs}/docker/app:latest"
    ));
    sandbox.write("later.json", "{\"later\": true}\n");
    sandbox.run(format!(
        "oras attach --plain-http --artifact-type application/vnd.test.later {theirs}/files:v1 later.json"
    ));
    let after = Served::by(&peer);
    let (code, report) = import(sandbox);
    assert_eq!((code, &report["problems"]), (0, &json!([])), "{report}");
    assert_eq!(
        changed(&report),
        ["docker/app", "files", "new/app", "skopeo/app"]
    );
    Served::by(&sandbox.server).assert_same_as(&after);

    drop(peer);
    let files = tree::snapshot(sandbox, "theirs");
    let (code, report) = import(sandbox);
    assert_eq!(
        (code, &report["problems"], &report["repositories"]),
        (0, &json!([]), &json!([])),
        "{report}"
    );
    pulls::by_skopeo_and_docker(sandbox, &sandbox.server.host, &after);
    tree::assert_unchanged(&files, &tree::snapshot(sandbox, "theirs"));
}
