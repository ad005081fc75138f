//! The image of our Dockerfile, run as `registry:2` is run.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::docker::{engine, pushed};

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

/// Builds the image `tarkeep` from the Dockerfile.
fn build(bench: &Bench) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join(".ci/image-files"))
        .arg(binary())
        .arg(bench.path("image/files"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::copy(root.join("Dockerfile"), bench.path("image/Dockerfile")).unwrap();
    bench.run("docker build --quiet --build-arg FILES=given --tag tarkeep image");
}

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A container that goes with its value.
struct Container<'b> {
    bench: &'b Bench,
    name: &'static str,
}

impl<'b> Container<'b> {
    /// `docker run` with the network of the host, until it answers at `address`.
    fn run(bench: &'b Bench, name: &'static str, rest: &str, address: &str) -> Self {
        bench.run(format!(
            "docker run --detach --name {name} --network host {rest}"
        ));
        let container = Self { bench, name };
        let start = Instant::now();
        while bench.status("GET", &format!("http://{address}/v2/"), "") == "000" {
            assert!(
                start.elapsed() < PATIENCE,
                "{}",
                bench.run(format!("docker logs {name}")).both()
            );
        }
        container
    }

    /// Waits for what the image's health check says.
    fn wait_until(&self, health: &str) {
        let start = Instant::now();
        while self
            .bench
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
                self.bench
                    .run(format!("docker inspect {}", self.name))
                    .both()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        self.bench.run(format!("docker logs {}", self.name)).both()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.bench
            .run(format!("docker rm --force --volumes {}", self.name));
    }
}

fn push_and_pull(bench: &Bench, address: &str, name: &str) {
    let image = format!("{address}/{name}:v1");
    bench.write("content/file", name);
    bench.write("content/Dockerfile", "FROM scratch\nCOPY file /\n");
    bench.run(format!("docker build --quiet --tag {image} content"));
    pushed(bench, &image);
    bench.run(format!("docker rmi {image}"));
    bench.run(format!("docker pull {image}"));
}

/// The ways in which people start it.
pub fn in_place_of_registry_2(bench: &Bench) {
    let _engine = engine(bench);
    build(bench);
    let (address, other) = (
        format!("127.0.0.1:{}", port()),
        format!("127.0.0.1:{}", port()),
    );

    // as it is, with a volume and a variable, and what was pushed is there after a restart
    let data = bench.path("volume");
    let plain = format!(
        "--env REGISTRY_HTTP_ADDR={address} --volume {}:/var/lib/registry tarkeep",
        data.display()
    );
    {
        let container = Container::run(bench, "plain", &plain, &address);
        push_and_pull(bench, &address, "team/app");
        assert!(data.join("registry.db").is_file());
        assert!(
            container.log().contains("data in /var/lib/registry"),
            "{}",
            container.log()
        );
        bench.run("docker stop --time 20 plain");
        let state = bench.run("docker inspect --format {{.State.ExitCode}} plain");
        assert_eq!(state.line(), "0");
    }
    // with as little as compose.yml leaves it
    let hardened = format!(
        "--read-only --cap-drop ALL --cap-add DAC_OVERRIDE --security-opt no-new-privileges {plain}"
    );
    let _again = Container::run(bench, "again", &hardened, &address);
    push_and_pull(bench, &address, "team/app");
    assert_eq!(
        bench.run("docker exec again registry health").line(),
        format!("http://{address} is ready")
    );
    assert_eq!(
        bench
            .run(format!("curl --silent --fail http://{address}/v2/_catalog"))
            .line(),
        r#"{"repositories":["team/app"]}"#
    );
    assert_eq!(
        bench
            .run("docker exec again registry ls --output json --data-dir /var/lib/registry")
            .json()[0]["name"],
        "team/app"
    );

    // another configuration in the place of either version's, by the arguments of either version
    bench.write(
        "config.yml",
        format!("version: 0.1\nstorage: {{filesystem: {{rootdirectory: /var/lib/registry}}}}\nhttp: {{addr: '{other}'}}\n"),
    );
    let file = bench.path("config.yml");
    for (place, arguments) in [
        ("/etc/docker/registry/config.yml", ""),
        (
            "/etc/docker/registry/config.yml",
            "/etc/docker/registry/config.yml",
        ),
        (
            "/etc/docker/registry/config.yml",
            "serve /etc/docker/registry/config.yml",
        ),
        (
            "/etc/docker/registry/config.yml",
            "registry serve /etc/docker/registry/config.yml",
        ),
        (
            "/etc/docker/registry/config.yml",
            "/entrypoint.sh /etc/docker/registry/config.yml",
        ),
        (
            "/etc/distribution/config.yml",
            "serve /etc/distribution/config.yml",
        ),
        ("/etc/distribution/config.yml", ""),
        ("/config.yaml", "/config.yaml"),
    ] {
        let rest = format!("--volume {}:{place}:ro tarkeep {arguments}", file.display());
        // looked at more often than the image has it, and healthy whichever configuration it is
        let container = Container::run(
            bench,
            "other",
            &format!("--health-interval 200ms {rest}"),
            &other,
        );
        assert_eq!(
            bench.run("docker exec other registry health").line(),
            format!("http://{other} is ready"),
            "{arguments}"
        );
        container.wait_until("healthy");
    }
    let whoever = format!(
        "--user 12345:12345 --tmpfs /var/lib/registry:uid=12345,mode=700 --volume {}:/config.yml tarkeep /config.yml",
        file.display()
    );
    drop(Container::run(bench, "whoever", &whoever, &other));

    let run = |rest: &str| {
        bench.run(format!(
            "docker run --rm --network host --volume {}:/var/lib/registry {rest}",
            data.display()
        ))
    };
    assert!(run("tarkeep --version").line().starts_with("registry "));
    let user = run("--entrypoint htpasswd tarkeep -Bbn joe secret");
    assert!(user.line().starts_with("joe:$2y$"), "{}", user.both());
    let collected = run("tarkeep garbage-collect --dry-run /etc/docker/registry/config.yml").both();
    assert!(collected.contains("blobs marked"), "{collected}");

    // the store of registry:2 is not touched
    fs::create_dir_all(bench.path("theirs/docker/registry/v2/repositories")).unwrap();
    let refused = bench.refused(format!(
        "docker run --rm --network host --volume {}:/var/lib/registry tarkeep",
        bench.path("theirs").display()
    ));
    assert!(
        refused.both().contains("a store of registry:2"),
        "{}",
        refused.both()
    );
}
