//! Damaged stores: each kind of damage is named and stops nothing, sound images are served, and a push heals.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::api::{Api, Manifest};
use crate::harness::engine;
use crate::harness::fixture::{Layout, tar};
use crate::harness::peer::Peer;
use crate::harness::sandbox::Sandbox;
use crate::moving::growing::import;
use crate::moving::in_place::taken_over;
use crate::moving::pushes::{self, SKOPEO_COPY};
use crate::moving::served::Served;
use crate::moving::{pulls, tree};
use crate::support::content::noise;

/// A repository with an image `v1` that is damaged in one way.
struct Kind {
    name: &'static str,
    damage: fn(&Victim),
    /// Part of what is said of it.
    problem: &'static str,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Served whole, all the same.
    Whole,
    /// The tag leads nowhere.
    Gone,
    /// The manifest is served, and a layer is not.
    Gap,
    /// As [`Self::Gap`], once blobs have been compared with their digests.
    GapOnceChecked,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "empty-tag",
        damage: |victim| victim.write(&victim.tag(), b""),
        problem: "the link is empty",
        fate: Fate::Gone,
    },
    Kind {
        name: "odd-tag",
        damage: |victim| victim.write(&victim.tag(), b"latest"),
        problem: "does not hold a digest",
        fate: Fate::Gone,
    },
    Kind {
        name: "tag-without-target",
        damage: |victim| victim.remove(&victim.tag()),
        problem: "the tag has no target",
        fate: Fate::Gone,
    },
    Kind {
        name: "empty-links",
        damage: |victim| {
            victim.write(&victim.revision(), b"");
            victim.write(&victim.link("_layers", &victim.layer()), b"");
        },
        problem: "the link is empty, but its path names its content",
        fate: Fate::Whole,
    },
    Kind {
        name: "missing-revision",
        damage: |victim| victim.remove(&victim.revision()),
        problem: "is not in the repository",
        fate: Fate::Gone,
    },
    Kind {
        name: "dangling-revision",
        damage: |victim| victim.remove(&victim.data(&victim.manifest.digest)),
        problem: "is missing",
        fate: Fate::Gone,
    },
    Kind {
        name: "empty-manifest",
        damage: |victim| victim.write(&victim.data(&victim.manifest.digest), b""),
        problem: "the manifest is empty",
        fate: Fate::Gone,
    },
    Kind {
        name: "no-json",
        damage: |victim| {
            let layer = victim.layer();
            victim.write(
                &victim.link("_manifests/revisions", &layer),
                layer.as_bytes(),
            );
            victim.write(&victim.tag(), layer.as_bytes());
        },
        problem: "the manifest is not accepted",
        fate: Fate::Gone,
    },
    Kind {
        name: "other-digest",
        damage: |victim| {
            let mut altered = victim.manifest.bytes.clone();
            altered.push(b'\n');
            victim.write(&victim.data(&victim.manifest.digest), &altered);
        },
        problem: "not the one that names it",
        fate: Fate::Gone,
    },
    Kind {
        name: "unlinked-layer",
        damage: |victim| victim.remove(&victim.link("_layers", &victim.layer())),
        problem: "an image with a gap",
        fate: Fate::Gap,
    },
    Kind {
        name: "missing-layer",
        damage: |victim| victim.remove(&victim.data(&victim.layer())),
        problem: "is missing",
        fate: Fate::Gap,
    },
    Kind {
        name: "short-layer",
        damage: |victim| {
            let path = victim.data(&victim.layer());
            let content = fs::read(&path).unwrap();
            victim.write(&path, &content[..100]);
        },
        problem: "is not the content that its digest says",
        fate: Fate::Gap,
    },
    Kind {
        name: "altered-layer",
        damage: |victim| {
            let path = victim.data(&victim.layer());
            let mut content = fs::read(&path).unwrap();
            content[1000] ^= 1;
            victim.write(&path, &content);
        },
        problem: "the file has digest",
        fate: Fate::GapOnceChecked,
    },
    Kind {
        name: "foreign-file",
        damage: |victim| victim.write(&victim.repository().join("notes.txt"), b"mine"),
        problem: "it belongs to no store of registry:2",
        fate: Fate::Whole,
    },
];

/// An image in the store whose files are damaged.
struct Victim<'s> {
    sandbox: &'s Sandbox,
    repository: &'static str,
    manifest: Manifest,
}

impl Victim<'_> {
    fn store(&self) -> PathBuf {
        self.sandbox.path("theirs/docker/registry/v2")
    }

    fn repository(&self) -> PathBuf {
        self.store().join("repositories").join(self.repository)
    }

    fn tag(&self) -> PathBuf {
        self.repository().join("_manifests/tags/v1/current/link")
    }

    fn link(&self, kind: &str, digest: &str) -> PathBuf {
        let digest = digest.replace(':', "/");
        self.repository().join(kind).join(digest).join("link")
    }

    fn revision(&self) -> PathBuf {
        self.link("_manifests/revisions", &self.manifest.digest)
    }

    fn layer(&self) -> String {
        self.manifest.layers()[0].clone()
    }

    fn data(&self, digest: &str) -> PathBuf {
        let hex = digest.replace("sha256:", "");
        self.store()
            .join("blobs/sha256")
            .join(&hex[..2])
            .join(&hex)
            .join("data")
    }

    fn write(&self, path: &PathBuf, content: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn remove(&self, path: &PathBuf) {
        fs::remove_file(path).unwrap();
    }
}

/// Pushes an image of noise in a layout of that name.
fn push(sandbox: &Sandbox, host: &str, name: &str, seed: u64) {
    let layout = Layout::new(sandbox.path(name));
    let built = layout.image(name, &[tar("file", &noise(seed, 50_000))]);
    layout.tag("v1", &built);
    push_again(sandbox, host, name);
}

fn push_again(sandbox: &Sandbox, host: &str, name: &str) {
    sandbox.run(format!(
        "{SKOPEO_COPY} --preserve-digests oci:{name}:v1 docker://{host}/{name}:v1"
    ));
}

/// Fills the store in `theirs` with sound images and one damaged in each way; returns what is sound of it.
fn damaged_store(sandbox: &Sandbox) -> Served {
    let peer = Peer::start(sandbox.dir(), &Value::Null);
    let host = &peer.address;
    pushes::docker_image(sandbox, &format!("{host}/docker/app:v1"), "sound", "amd64");
    pushes::skopeo(sandbox, host);
    for (seed, kind) in (200..).zip(KINDS) {
        push(sandbox, host, kind.name, seed);
    }
    let sound = Served::of(&peer, SOUND);
    for kind in KINDS {
        (kind.damage)(&Victim {
            sandbox,
            repository: kind.name,
            manifest: peer.manifest(kind.name, "v1"),
        });
    }
    sound
}

const SOUND: &[&str] = &["docker/app", "skopeo/app"];

/// What the clients find of the damaged images.
fn assert_fates(sandbox: &Sandbox, api: &Api, host: &str) {
    for kind in KINDS {
        let image = format!("docker://{host}/{}:v1", kind.name);
        let copy = format!("{SKOPEO_COPY} {image} dir:damaged-{}", kind.name);
        let is_served = api.get(&format!("{}/manifests/v1", kind.name)).status() == 200;
        assert_eq!(is_served, kind.fate != Fate::Gone, "{}", kind.name);
        if kind.fate == Fate::Whole {
            sandbox.run(copy);
        } else {
            sandbox.refused(copy);
        }
    }
}

/// Pushes every damaged image again, and pulls it whole.
fn heal(sandbox: &Sandbox, api: &Api, host: &str) {
    for kind in KINDS {
        push_again(sandbox, host, kind.name);
        let manifest = api.manifest(kind.name, "v1");
        pulls::by_skopeo(
            sandbox,
            &format!("{host}/{}:v1", kind.name),
            &manifest.bytes,
        );
        api.content(kind.name, "v1");
    }
}

/// Waits until blobs have been compared with their digests; returns the log.
fn checked(sandbox: &Sandbox) -> String {
    loop {
        let log = String::from_utf8_lossy(&sandbox.read("ours.log")).into_owned();
        if log.contains("checked the blobs that were taken over") {
            return log;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

pub fn damaged_store_taken_over(sandbox: &Sandbox) {
    let _engine = engine::start(sandbox);
    let sound = damaged_store(sandbox);
    let files = tree::snapshot(sandbox, "theirs");
    {
        let server = taken_over(sandbox);
        let log = checked(sandbox);
        for kind in KINDS {
            let is_named = log.lines().any(|line| {
                let place = [format!("/{}/", kind.name), format!("{}:v1", kind.name)];
                line.contains(kind.problem) && place.iter().any(|place| line.contains(place))
            });
            assert!(is_named, "{} is not in\n{log}", kind.name);
        }
        Served::of(&server, SOUND).assert_same_as(&sound);
        pulls::by_skopeo_and_docker(sandbox, &server.host, &sound);
        assert_fates(sandbox, &server, &server.host);
        heal(sandbox, &server, &server.host);
    }
    tree::assert_unchanged(&files, &tree::snapshot(sandbox, "theirs"));
    let peer = Peer::start(sandbox.dir(), &Value::Null);
    Served::of(&peer, SOUND).assert_same_as(&sound);
    pulls::by_skopeo_and_docker(sandbox, &peer.address, &sound);
}

/// Asserts that a report of an import names a kind of damage.
#[track_caller]
fn assert_named(report: &Value, list: &str, kind: &Kind, problem: &str) {
    let list = report[list].as_array().unwrap();
    let is_named = list.iter().map(Value::to_string).any(|line| {
        let place = [format!("/{}/", kind.name), format!("\"{}\"", kind.name)];
        line.contains(problem) && place.iter().any(|place| line.contains(place))
    });
    assert!(is_named, "{report:#}\n{} is not in it", kind.name);
}

pub fn damaged_store_imported(sandbox: &Sandbox) {
    let _engine = engine::start(sandbox);
    let sound = damaged_store(sandbox);
    let server = &sandbox.server;
    let (code, report) = import(sandbox);
    assert_eq!(code, 3, "{report}");
    for kind in KINDS {
        let list = match kind.fate {
            Fate::GapOnceChecked => "damagedBlobs",
            _ => "problems",
        };
        assert_named(&report, list, kind, kind.problem);
    }
    Served::of(server, SOUND).assert_same_as(&sound);
    pulls::by_skopeo_and_docker(sandbox, &server.host, &sound);
    assert_fates(sandbox, server, &server.host);

    // the old registry goes on with what it has
    let peer = Peer::start(sandbox.dir(), &Value::Null);
    pushes::docker_image(
        sandbox,
        &format!("{}/docker/app:v2", peer.address),
        "later",
        "amd64",
    );
    let grown = Served::of(&peer, SOUND);
    let (code, report) = import(sandbox);
    assert_eq!(code, 3, "{report}");
    for kind in KINDS {
        match kind.fate {
            Fate::Whole => {}
            // known to be damaged, it is compared before it is served
            Fate::GapOnceChecked => {
                assert_named(
                    &report,
                    "problems",
                    kind,
                    "is not the content that its digest says",
                );
            }
            Fate::Gone | Fate::Gap => assert_named(&report, "problems", kind, kind.problem),
        }
    }
    Served::of(server, SOUND).assert_same_as(&grown);
    heal(sandbox, server, &server.host);
}
