//! The image of our Dockerfile, run as `registry:2` is run.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::engines::docker::pushed;
use crate::harness::engine;
use crate::harness::sandbox::{Printed, Sandbox};

const TARGET: &str = "x86_64-unknown-linux-musl";
const PATIENCE: Duration = Duration::from_secs(30);

/// The static binary: the one named by a variable, or this source built as the tests are.
fn binary() -> PathBuf {
    if let Some(given) = std::env::var_os("STATIC_BINARY") {
        return given.into();
    }
    let ours = Path::new(env!("CARGO_BIN_EXE_registry"));
    let target_dir = ours.ancestors().nth(2).unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--bin", "registry", "--target", TARGET])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.env("CARGO_TARGET_DIR", target_dir).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    target_dir.join(TARGET).join("debug/registry")
}

/// The missing tool without which a static binary cannot be compiled.
pub fn lacks() -> Option<String> {
    let found = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .ok();
    let directory = found
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    let is_there =
        std::env::var_os("STATIC_BINARY").is_some() || Path::new(directory.trim()).is_dir();
    (!is_there).then(|| format!("the target {TARGET} is not installed: rustup target add {TARGET}"))
}

/// Builds the images `tarkeep` and `tarkeep:bare` from the Dockerfile.
pub fn build(sandbox: &Sandbox) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join(".ci/image-files"))
        .arg(binary())
        .arg(sandbox.path("image/files"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::copy(root.join("Dockerfile"), sandbox.path("image/Dockerfile")).unwrap();
    for target in ["--tag tarkeep", "--target bare --tag tarkeep:bare"] {
        sandbox.run(format!(
            "docker build --quiet --build-arg FILES=given {target} image"
        ));
    }
}

/// A port that was free a moment ago.
pub fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A container that goes with its value.
pub struct Container<'b> {
    sandbox: &'b Sandbox,
    name: &'static str,
}

impl<'b> Container<'b> {
    /// `docker run` with the network of the host, until it answers at `address`.
    pub fn run(sandbox: &'b Sandbox, name: &'static str, rest: &str, address: &str) -> Self {
        sandbox.run(format!(
            "docker run --detach --name {name} --network host {rest}"
        ));
        let container = Self { sandbox, name };
        let start = Instant::now();
        while sandbox.status("GET", &format!("http://{address}/v2/"), "") == "000" {
            assert!(
                start.elapsed() < PATIENCE,
                "{}",
                sandbox.run(format!("docker logs {name}")).both()
            );
        }
        container
    }

    /// Waits for what the image's health check says.
    fn wait_until(&self, health: &str) {
        let start = Instant::now();
        while self
            .sandbox
            .run(format!(
                "docker inspect --format {{{{.State.Health.Status}}}} {}",
                self.name
            ))
            .line()
            != health
        {
            assert!(
                start.elapsed() < PATIENCE,
                "{}",
                self.sandbox
                    .run(format!("docker inspect {}", self.name))
                    .both()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        self.sandbox
            .run(format!("docker logs {}", self.name))
            .both()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.sandbox
            .run(format!("docker rm --force --volumes {}", self.name));
    }
}

fn push_and_pull(sandbox: &Sandbox, address: &str, name: &str) {
    let image = format!("{address}/{name}:v1");
    sandbox.write("content/file", name);
    sandbox.write("content/Dockerfile", "FROM scratch\nCOPY file /\n");
    sandbox.run(format!("docker build --quiet --tag {image} content"));
    pushed(sandbox, &image);
    sandbox.run(format!("docker rmi {image}"));
    sandbox.run(format!("docker pull {image}"));
}

/// Starts of containers, as people start `registry:2`.
pub fn in_place_of_registry_2(sandbox: &Sandbox) {
    let _engine = engine::start(sandbox);
    build(sandbox);
    keeps_content_over_a_restart(sandbox);
    for image in ["tarkeep", "tarkeep:bare"] {
        reads_a_mounted_configuration(sandbox, image);
        runs_commands(sandbox, image);
    }
    runs_programs(sandbox);
    has_no_shell_in_the_bare_image(sandbox);
    keeps_away_from_an_old_store(sandbox);
}

fn volume(sandbox: &Sandbox) -> String {
    format!(
        "--volume {}:/var/lib/registry",
        sandbox.path("volume").display()
    )
}

fn keeps_content_over_a_restart(sandbox: &Sandbox) {
    let address = format!("127.0.0.1:{}", port());
    let plain = format!(
        "--env REGISTRY_HTTP_ADDR={address} {} tarkeep",
        volume(sandbox)
    );
    {
        let container = Container::run(sandbox, "plain", &plain, &address);
        push_and_pull(sandbox, &address, "team/app");
        assert!(sandbox.path("volume/registry.db").is_file());
        assert!(
            container.log().contains("data in /var/lib/registry"),
            "{}",
            container.log()
        );
        sandbox.run("docker stop --time 20 plain");
        let state = sandbox.run("docker inspect --format {{.State.ExitCode}} plain");
        assert_eq!(state.line(), "0");
    }
    // with as little as compose.yml leaves it
    let hardened = format!(
        "--read-only --cap-drop ALL --cap-add DAC_OVERRIDE --security-opt no-new-privileges {plain}"
    );
    let _again = Container::run(sandbox, "again", &hardened, &address);
    push_and_pull(sandbox, &address, "team/app");
    assert_eq!(
        sandbox.run("docker exec again registry health").line(),
        format!("http://{address} is ready")
    );
    assert_eq!(
        sandbox
            .run(format!("curl --silent --fail http://{address}/v2/_catalog"))
            .line(),
        r#"{"repositories":["team/app"]}"#
    );
    assert_eq!(
        sandbox
            .run("docker exec again registry ls --output json --data-dir /var/lib/registry")
            .json()["repositories"][0]["repository"],
        "team/app"
    );
}

/// Mounts a configuration where either version of distribution reads its own, and names it by either version's arguments.
fn reads_a_mounted_configuration(sandbox: &Sandbox, image: &str) {
    let address = format!("127.0.0.1:{}", port());
    sandbox.write(
        "config.yml",
        format!("version: 0.1\nstorage: {{filesystem: {{rootdirectory: /var/lib/registry}}}}\nhttp: {{addr: '{address}'}}\n"),
    );
    let file = sandbox.path("config.yml");
    let (second, third) = (
        "/etc/docker/registry/config.yml",
        "/etc/distribution/config.yml",
    );
    for (path, arguments) in [
        (second, String::new()),
        (second, second.to_owned()),
        (second, format!("serve {second}")),
        (second, format!("registry serve {second}")),
        (second, format!("/entrypoint.sh {second}")),
        (third, format!("serve {third}")),
        (third, String::new()),
        ("/config.yaml", "/config.yaml".to_owned()),
    ] {
        // checked more often than the image sets, and healthy whichever configuration it is
        let rest = format!(
            "--health-interval 200ms --volume {}:{path}:ro {image} {arguments}",
            file.display()
        );
        let container = Container::run(sandbox, "other", &rest, &address);
        assert_eq!(
            sandbox.run("docker exec other registry health").line(),
            format!("http://{address} is ready"),
            "{image} {arguments}"
        );
        container.wait_until("healthy");
    }
    let rest = format!(
        "--user 12345:12345 --tmpfs /var/lib/registry:uid=12345,mode=700 --volume {}:/config.yml {image} /config.yml",
        file.display()
    );
    drop(Container::run(sandbox, "unprivileged", &rest, &address));
    let rest = format!(
        "--entrypoint /entrypoint.sh --volume {}:{second} {image} {second}",
        file.display()
    );
    drop(Container::run(sandbox, "entrypoint", &rest, &address));
}

/// Runs a container to its end on the volume.
fn run_once(sandbox: &Sandbox, rest: &str) -> Printed {
    sandbox.run(format!(
        "docker run --rm --network host {} {rest}",
        volume(sandbox)
    ))
}

fn runs_commands(sandbox: &Sandbox, image: &str) {
    let version = run_once(sandbox, &format!("{image} --version"));
    assert!(version.line().starts_with("registry "));
    // a builtin of the shell has this name
    let help = run_once(sandbox, &format!("{image} help"));
    assert!(help.stdout.contains("garbage-collect"), "{}", help.both());
    let user = run_once(
        sandbox,
        &format!("--entrypoint htpasswd {image} -Bbn joe secret"),
    );
    assert!(user.line().starts_with("joe:$2y$"), "{}", user.both());
    let collected = run_once(
        sandbox,
        &format!("{image} garbage-collect --dry-run /etc/docker/registry/config.yml"),
    )
    .both();
    assert!(collected.contains("blobs marked"), "{collected}");
    // a command of the registry, although the default image has a program of this name
    let listed = run_once(
        sandbox,
        &format!("{image} ls --output json --data-dir /var/lib/registry"),
    );
    assert_eq!(listed.json()["repositories"][0]["repository"], "team/app");
}

/// Runs what people run in a container of `registry:2` beside the registry: a shell, and health checks by `wget`.
fn runs_programs(sandbox: &Sandbox) {
    // by name, as most compose files do
    let address = format!("localhost:{}", port());
    sandbox.set(
        "CHECK",
        format!("wget --spider -q http://{address}/v2/ || exit 1"),
    );
    sandbox.write(
        "checked",
        "#!/bin/sh\nexec docker run --health-cmd \"$CHECK\" \"$@\"\n",
    );
    let rest = format!(
        "--detach --name checked --network host --health-interval 200ms --env REGISTRY_HTTP_ADDR={address} tarkeep"
    );
    sandbox.run(format!("sh checked {rest}"));
    let container = Container {
        sandbox,
        name: "checked",
    };
    container.wait_until("healthy");
    for program in ["sh", "/bin/sh", "ash"] {
        let printed = sandbox.run(format!("docker exec checked {program} -c pwd"));
        assert_eq!(printed.line(), "/");
    }
    sandbox.run(format!(
        "docker exec checked wget --spider -q http://{address}/v2/"
    ));
    sandbox.refused(format!(
        "docker exec checked wget --spider -q http://{address}/absent"
    ));
    assert_eq!(run_once(sandbox, "tarkeep sh -c pwd").line(), "/");
    let shown = run_once(sandbox, "tarkeep cat /etc/docker/registry/config.yml");
    assert!(shown.stdout.contains("rootdirectory: /var/lib/registry"));
    let entered = run_once(sandbox, "--entrypoint /entrypoint.sh tarkeep sh -c pwd");
    assert_eq!(entered.line(), "/");
    let shell = run_once(sandbox, "--entrypoint sh tarkeep -c pwd");
    assert_eq!(shell.line(), "/");
}

fn has_no_shell_in_the_bare_image(sandbox: &Sandbox) {
    for program in ["sh", "busybox", "wget"] {
        sandbox.refused(format!(
            "docker run --rm --network none --entrypoint {program} tarkeep:bare"
        ));
    }
}

/// Refuses to start on a store of `registry:2` that is not to be taken over, and leaves it as it is.
fn keeps_away_from_an_old_store(sandbox: &Sandbox) {
    fs::create_dir_all(sandbox.path("theirs/docker/registry/v2/repositories")).unwrap();
    let refused = sandbox.refused(format!(
        "docker run --rm --network host --env REGISTRY_STORAGE_IMPORT=off --volume {}:/var/lib/registry tarkeep",
        sandbox.path("theirs").display()
    ));
    assert!(
        refused.both().contains("a store of registry:2"),
        "{}",
        refused.both()
    );
}
