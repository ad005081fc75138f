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

/// Our own chart: every form of it is a valid description of what Kubernetes 1.37 runs, with a valid configuration, and it
/// passes through the registry.
pub fn own_chart(sandbox: &Sandbox) {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/deploy/chart");
    sandbox.run(format!("helm lint --strict {chart}"));
    let forms = [
        "",
        "--set ingress.enabled=true,ingress.className=nginx,ingress.tlsSecret=t,htpasswd=ann:x",
        "--set persistence.existingClaim=old,existingSecret=users,service.type=NodePort",
        "--set config.http.addr=0.0.0.0:8080,image.repository=host/tarkeep,imagePullSecrets[0].name=a",
        "--set persistence.storageClass=fast,nodeSelector.disk=ssd,podAnnotations.a=b",
    ];
    for form in forms {
        let rendered = sandbox
            .run(format!("helm template site {chart} {form}"))
            .stdout;
        sandbox.write("rendered.yaml", &rendered);
        sandbox.run("kubernetes-validate --strict rendered.yaml");
        let lines = rendered
            .lines()
            .skip_while(|line| !line.starts_with("  config.yml: |"));
        let config = lines.skip(1).take_while(|line| line.starts_with("    "));
        let config: Vec<_> = config.map(|line| &line[4..]).collect();
        sandbox.write("config.yml", config.join("\n"));
        let checked = sandbox
            .registry(&["config", "show", "config.yml"])
            .output()
            .unwrap();
        assert!(checked.status.success(), "{checked:?}");
    }
    sandbox.run(format!(
        "kubernetes-validate --strict {chart}/../kubernetes.yml"
    ));
    sandbox.refused(format!(
        "helm template site {chart} --set htpasswd=a,existingSecret=b"
    ));

    let charts = format!("oci://{}/charts", sandbox.server.host);
    sandbox.run(format!("helm package {chart} --version 1.2.3"));
    sandbox.run(format!("helm push --plain-http tarkeep-1.2.3.tgz {charts}"));
    let installed = format!("helm template --plain-http site {charts}/tarkeep --version 1.2.3");
    assert!(sandbox.run(installed).stdout.contains("kind: StatefulSet"));
}
