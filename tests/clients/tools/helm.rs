//! Helm: charts in the registry.

use crate::harness::api::list;
use crate::harness::sandbox::Sandbox;
use crate::support::content::{OCI_MANIFEST, sha256};

const CHART_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

pub fn charts(sandbox: &Sandbox) {
    let charts = format!("oci://{}/team/charts", sandbox.server.host);
    sandbox.run("helm create web");
    for version in ["1.0.0", "1.1.0"] {
        sandbox.run(format!("helm package web --version {version}"));
        let push = format!("helm push --plain-http web-{version}.tgz {charts}");
        let printed = sandbox.run(push).both();
        let manifest = sandbox.server.manifest("team/charts/web", version);
        assert_eq!(manifest.media_type, OCI_MANIFEST);
        assert!(
            printed.contains(&format!("Digest: {}", manifest.digest)),
            "{printed}"
        );
        let json = manifest.json();
        assert_eq!(json["config"]["mediaType"], CHART_CONFIG);
        let layer = &list(&json["layers"])[0];
        assert_eq!(layer["mediaType"], CHART_LAYER);
        assert_eq!(
            layer["digest"],
            sha256(&sandbox.read(&format!("web-{version}.tgz")))
        );
        sandbox.server.content("team/charts/web", version);
    }
    assert_eq!(sandbox.server.tags("team/charts/web"), ["1.0.0", "1.1.0"]);

    sandbox.write("pulled/.keep", "");
    let pull = format!("helm pull --plain-http --destination pulled {charts}/web");
    sandbox.run(format!("{pull} --version 1.0.0"));
    assert!(sandbox.read("pulled/web-1.0.0.tgz") == sandbox.read("web-1.0.0.tgz"));
    // without a version: the tags are listed, and the newest taken
    sandbox.run(&pull);
    assert!(sandbox.read("pulled/web-1.1.0.tgz") == sandbox.read("web-1.1.0.tgz"));

    let show = format!("helm show chart --plain-http {charts}/web");
    let shown = sandbox.run(format!("{show} --version ^1.0.0")).stdout;
    assert!(shown.contains("version: 1.1.0"), "{shown}");
    let rendered = sandbox.run(format!(
        "helm template --plain-http site {charts}/web --version 1.0.0"
    ));
    assert!(
        rendered.stdout.contains("kind: Deployment"),
        "{}",
        rendered.stdout
    );
    sandbox.refused(format!("{show} --version 2.0.0"));
}
