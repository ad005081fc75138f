//! Garbage collection beside a real Docker, and by the commands that people know.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::engines::docker::pushed;
use crate::harness::api::text;
use crate::harness::engine;
use crate::harness::engine_version::Engine;
use crate::harness::sandbox::Sandbox;
use crate::support::content::noise;

/// Each of so many images is pulled by docker; of all of them every byte is looked at.
const PULLED: usize = 10;

/// Number of images; fewer with 29, because the server does the same for both.
const fn images(engine: Engine) -> usize {
    match engine {
        Engine::Debian => 100,
        Engine::V29 => 40,
    }
}

/// Settings of the server in `beside_pushes`: unreferenced content is removed within seconds.
pub const HASTY: &[(&str, &str)] = &[
    ("REGISTRY_GC_LEASE", "5s"),
    ("REGISTRY_GC_GRACE", "1s"),
    ("REGISTRY_GC_KEEPUNTAGGED", "1s"),
    ("REGISTRY_GC_INTERVAL", "50ms"),
];

/// Settings of the server in `by_the_manuals`: nothing is removed in the background, and leases are zero.
pub const BY_HAND: &[(&str, &str)] = &[
    ("REGISTRY_GC_ENABLED", "false"),
    ("REGISTRY_GC_LEASE", "0s"),
    ("REGISTRY_GC_GRACE", "0s"),
];

/// Many images, each pushed under a tag of its own and over `latest`, while `registry gc --online` runs in a loop.
pub fn beside_pushes(sandbox: &Sandbox) {
    let _engine = engine::start(sandbox);
    let host = &sandbox.server.host;
    let images = images(sandbox.engine);
    let (stop, passes) = (AtomicBool::new(false), AtomicU32::new(0));
    let collect = sandbox.registry(&["gc", "--online", "--data-dir", "data"]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut collect = collect;
            while !stop.load(Ordering::Relaxed) {
                let output = collect.output().unwrap();
                assert!(
                    output.status.success(),
                    "{}",
                    String::from_utf8_lossy(&output.stderr)
                );
                passes.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _stops = Stops(&stop);
        for number in 0..images {
            let seed = number as u64;
            // a layer of its own, and one that it shares with a few others
            sandbox.write("image/own", noise(seed, 3000));
            sandbox.write("image/shared", noise(1000 + seed / 7, 3000));
            sandbox.write(
                "image/Dockerfile",
                "FROM scratch\nCOPY shared /\nCOPY own /\n",
            );
            let image = format!("{host}/loop/app:n{number}");
            sandbox.run(format!(
                "docker build --quiet --tag {image} --tag {host}/loop/app:latest image"
            ));
            pushed(sandbox, &image);
            pushed(sandbox, &format!("{host}/loop/app:latest"));
            if number % 3 == 2 {
                // and some garbage: the image of two pushes ago goes
                sandbox.run(format!(
                    "curl --silent --fail --request DELETE http://{host}/v2/loop/app/manifests/n{}",
                    number - 2
                ));
            }
        }
    });
    let kept: Vec<usize> = (0..images)
        .filter(|number| number % 3 != 0 || number + 2 >= images)
        .collect();
    assert_eq!(sandbox.server.tags("loop/app").len(), kept.len() + 1);
    for number in &kept {
        assert_eq!(
            sandbox
                .server
                .content("loop/app", &format!("n{number}"))
                .len(),
            4,
            "image {number}"
        );
    }
    sandbox.run("docker image prune --all --force");
    for number in kept.iter().step_by(kept.len() / PULLED) {
        sandbox.run(format!("docker pull {host}/loop/app:n{number}"));
    }
    println!(
        "{images} images pushed beside {} passes",
        passes.load(Ordering::Relaxed)
    );
}

/// Sets its flag when it goes, on the way out of a panic as well.
struct Stops<'s>(&'s AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Returns the digest of a manifest as the manuals get it.
fn digest_by_head(sandbox: &Sandbox, url: &str) -> String {
    let accept = "Accept:application/vnd.docker.distribution.manifest.v2+json";
    let head = sandbox
        .run(format!("curl --silent --head --header {accept} {url}"))
        .stdout;
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("docker-content-digest"))
        .unwrap_or_else(|| panic!("{head}"))
        .1
        .trim()
        .to_owned()
}

/// Runs registry:2's collection, and returns what it printed.
fn collect_by_hand(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let output = sandbox
        .registry(&[&["garbage-collect"], arguments, &["config.yml"]].concat())
        .envs(BY_HAND.iter().copied())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Follows the manuals of registry:2: push, get the digest, DELETE, garbage-collect; the disk is
/// free again.
pub fn by_the_manuals(sandbox: &Sandbox) {
    let _engine = engine::start(sandbox);
    let host = &sandbox.server.host;
    for (name, size) in [("big", 8 << 20), ("small", 1000)] {
        sandbox.write(&format!("{name}/content"), noise(size as u64, size));
        sandbox.write(
            &format!("{name}/Dockerfile"),
            "FROM scratch\nCOPY content /\n",
        );
        sandbox.run(format!(
            "docker build --quiet --tag {host}/app:{name} {name}"
        ));
        pushed(sandbox, &format!("{host}/app:{name}"));
    }
    let before = disk(sandbox);
    let digest = digest_by_head(sandbox, &format!("http://{host}/v2/app/manifests/big"));
    let code = "--silent --output /dev/null --write-out %{http_code}";
    assert_eq!(
        sandbox
            .run(format!(
                "curl {code} --request DELETE http://{host}/v2/app/manifests/{digest}"
            ))
            .line(),
        "202"
    );
    sandbox.write(
        "config.yml",
        format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n",
            sandbox.path("data").display()
        ),
    );

    let planned = collect_by_hand(sandbox, &["--dry-run"]);
    assert!(
        planned.contains("3 blobs marked, 2 blobs and 0 manifests eligible for deletion\n"),
        "{planned}"
    );
    assert_eq!(disk(sandbox), before);
    let printed = collect_by_hand(sandbox, &[]);
    assert_eq!(printed, planned);
    assert_eq!(
        printed
            .matches("blob eligible for deletion: sha256:")
            .count(),
        2,
        "{printed}"
    );
    let after = disk(sandbox);
    assert!(
        before - after > 8 << 10,
        "{before} KiB before, {after} KiB after"
    );
    assert_eq!(sandbox.server.tags("app"), ["small"]);
    sandbox.run("docker image prune --all --force");
    sandbox.run(format!("docker pull {host}/app:small"));
    let gone = text(
        &sandbox
            .run(format!(
                "curl --silent http://{host}/v2/app/manifests/{digest}"
            ))
            .json()["errors"][0]["code"],
    );
    assert_eq!(gone, "MANIFEST_UNKNOWN");
    // and a push brings everything back, for nothing says that it is there when it is not
    sandbox.run(format!("docker build --quiet --tag {host}/app:big big"));
    pushed(sandbox, &format!("{host}/app:big"));
    assert_eq!(sandbox.server.content("app", "big").len(), 3);
}

/// Size of the blobs by `du`, in KiB.
fn disk(sandbox: &Sandbox) -> u64 {
    assert!(fs::exists(sandbox.path("data/blobs")).unwrap());
    sandbox
        .run("du --summarize --block-size=1024 data/blobs")
        .line()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}
