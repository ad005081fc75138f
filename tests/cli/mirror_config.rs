//! `registry mirror-config`.

use std::process::{Command, Output};

use serde_json::{Value, json};

fn run(config: &Value, arguments: &[&str]) -> Output {
    let directory = tempfile::TempDir::new().expect("a directory");
    let file = directory.path().join("config.yml");
    std::fs::write(&file, config.to_string()).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    let path = format!("--config={}", file.display());
    command.arg("mirror-config").args(arguments).arg(path);
    command.output().expect("it runs")
}

#[track_caller]
fn printed(config: &Value, arguments: &[&str]) -> String {
    let output = run(config, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn two() -> Value {
    json!({ "version": "0.1", "http": { "host": "https://r.example:5000" }, "upstreams": [
        { "prefix": "hub", "ns": "docker.io", "url": "https://registry-1.docker.io", "listen": ":5001" },
        { "prefix": "ghcr", "ns": "ghcr.io", "url": "https://ghcr.io" },
        { "prefix": "none", "url": "https://none.example" },
    ]})
}

#[test]
fn each_client_gets_its_files() {
    let config = two();
    assert_eq!(
        printed(&config, &["docker"]),
        "{\n  \"registry-mirrors\": [\n    \"https://r.example:5001\"\n  ]\n}\n"
    );
    assert_eq!(
        printed(&config, &["containerd"]),
        "# /etc/containerd/certs.d/docker.io/hosts.toml\nserver = \"https://registry-1.docker.io\"\n\n[host.\"https://r.example:5000/v2/hub\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n\
         \n# /etc/containerd/certs.d/ghcr.io/hosts.toml\nserver = \"https://ghcr.io\"\n\n[host.\"https://r.example:5000/v2/ghcr\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n"
    );
    assert_eq!(
        printed(&config, &["k3s"]),
        "mirrors:\n  docker.io:\n    endpoint:\n      - \"https://r.example:5000\"\n  ghcr.io:\n    endpoint:\n      - \"https://r.example:5000\"\n"
    );
    let podman = printed(&config, &["podman", "--host", "http://10.0.0.1:5000"]);
    assert!(
        podman.contains("[[registry.mirror]]\nlocation = \"10.0.0.1:5000/hub\"\ninsecure = true\n"),
        "{podman}"
    );
    let buildkit = printed(&config, &["buildkit", "--host", "http://10.0.0.1:5000"]);
    assert!(
        buildkit.contains("[registry.\"ghcr.io\"]\n  mirrors = [\"10.0.0.1:5000/ghcr\"]\n")
            && buildkit.ends_with("[registry.\"10.0.0.1:5000\"]\n  http = true\n"),
        "{buildkit}"
    );
    let json: Value =
        serde_json::from_str(&printed(&config, &["containerd", "--output=json"])).expect("JSON");
    let path = "/etc/containerd/certs.d/docker.io/hosts.toml";
    assert_eq!(json["files"][0]["path"], path);
}

/// A cache as a whole is Docker's mirror at its own address.
#[test]
fn a_cache_is_a_mirror_by_itself() {
    let config = json!({ "version": "0.1", "http": { "addr": "10.0.0.1:5000" },
        "proxy": { "remoteurl": "https://registry-1.docker.io" } });
    let docker: Value = serde_json::from_str(&printed(&config, &["docker"])).expect("JSON");
    assert_eq!(
        docker,
        json!({ "registry-mirrors": ["http://10.0.0.1:5000"], "insecure-registries": ["10.0.0.1:5000"] })
    );
    let containerd = printed(&config, &["containerd"]);
    assert!(
        containerd.contains("[host.\"http://10.0.0.1:5000/v2\"]"),
        "{containerd}"
    );
}

/// A cache of another registry is no mirror for Docker, unless that has the images of Docker Hub.
#[test]
fn what_docker_asks_a_mirror_for_is_said() {
    for (url, is_said) in [("https://ghcr.io", true), ("https://docker.io", false)] {
        let config = json!({ "version": "0.1", "http": { "addr": "10.0.0.1:5000" },
            "proxy": { "remoteurl": url } });
        let output = run(&config, &["docker"]);
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{shown}");
        let sentence = "Docker asks a mirror for images of Docker Hub only";
        assert_eq!(shown.contains(sentence), is_said, "{shown}");
    }
}

#[test]
fn what_is_missing_is_said() {
    let everywhere = json!({ "version": "0.1", "http": { "addr": ":5000" },
        "upstreams": [{ "prefix": "a", "ns": "ghcr.io", "url": "https://ghcr.io" }] });
    let nothing = json!({ "version": "0.1" });
    for (config, arguments, said) in [
        (
            &everywhere,
            &["k3s"][..],
            "--host registry.example.com:5000",
        ),
        (&everywhere, &["docker", "--host=a"], "add listen: ':5001'"),
        (&nothing, &["podman"], "no upstream has a namespace"),
    ] {
        let output = run(config, arguments);
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && shown.contains(said), "{shown}");
    }
}
