//! `docs/json.md`, compared with what every command prints.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::{FAST, inspecting, push_index};
use crate::import::Store;
use crate::login::line;
use crate::support::{Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, sha256};

/// Objects that other tests compare.
const ELSEWHERE: [&str; 1] = ["registry gc --accept-clock"];

/// Type of a key: its documented words.
pub type Types = BTreeMap<String, String>;

/// Reads the keys of each object, by heading.
pub fn documented() -> BTreeMap<String, Types> {
    let page = include_str!("../../docs/json.md");
    let mut objects: BTreeMap<String, Types> = BTreeMap::new();
    let mut heading = String::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title.trim_matches('`').to_owned();
        }
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let ["", key, kind, _, ""] = cells[..]
            && let Some(key) = key.strip_prefix('`')
        {
            let types = objects.entry(heading.clone()).or_default();
            types.insert(key.trim_end_matches('`').to_owned(), kind.to_owned());
        }
    }
    objects
}

/// Checks an object against its keys, and collects those that it has.
fn check(place: &str, value: &Value, types: &Types, seen: &mut BTreeSet<String>) {
    let members = value
        .as_object()
        .unwrap_or_else(|| panic!("{place} is {value}"));
    for (key, member) in members {
        let place = if place.is_empty() {
            key.clone()
        } else {
            format!("{place}.{key}")
        };
        let kind = types
            .get(&place)
            .unwrap_or_else(|| panic!("{place} is not documented: {member}"));
        seen.insert(place.clone());
        check_value(&place, member, kind, types, seen);
    }
    let prefix = if place.is_empty() {
        String::new()
    } else {
        format!("{place}.")
    };
    for key in types.keys() {
        let is_member = key
            .strip_prefix(&prefix)
            .is_some_and(|rest| !rest.contains(['.', '[']));
        let name = &key[prefix.len().min(key.len())..];
        assert!(
            !is_member || members.contains_key(name),
            "{key} is missing in {value}"
        );
    }
}

fn check_value(place: &str, value: &Value, kind: &str, types: &Types, seen: &mut BTreeSet<String>) {
    if let Some(kind) = kind.strip_suffix(" or null") {
        if !value.is_null() {
            check_value(place, value, kind, types, seen);
        }
        return;
    }
    let is_right = match kind {
        "text" => value.is_string(),
        "number" => value.is_u64(),
        "bool" => value.is_boolean(),
        "time" => value.as_str().is_some_and(|text| {
            text.len() == "2026-11-21T10:29:00.123Z".len()
                && text.parse::<jiff::Timestamp>().is_ok()
        }),
        "who" => {
            let is_text =
                |key| value[key].is_string() || value.get(key).is_some_and(Value::is_null);
            value.as_object().is_some_and(|who| who.len() == 2)
                && is_text("name")
                && is_text("address")
        }
        "raw" => true,
        "list of raw" => value.is_array(),
        "list of text" => value
            .as_array()
            .is_some_and(|list| list.iter().all(Value::is_string)),
        "object" => {
            check(place, value, types, seen);
            true
        }
        "list of objects" => {
            let list = value
                .as_array()
                .unwrap_or_else(|| panic!("{place} is {value}"));
            list.iter()
                .for_each(|item| check(&format!("{place}[]"), item, types, seen));
            true
        }
        other => panic!("{place} has the unknown type {other}"),
    };
    assert!(is_right, "{place} is no {kind}: {value}");
}

/// Objects that were printed, by heading.
#[derive(Default)]
struct Printed(BTreeMap<&'static str, Vec<Value>>);

impl Printed {
    fn add(&mut self, heading: &'static str, output: &Output) {
        let object = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{heading}: {error}: {output:?}"));
        self.0.entry(heading).or_default().push(object);
    }

    /// Runs a command on a server's directory.
    fn run(&mut self, server: &Server, heading: &'static str, arguments: &[&str]) {
        self.add(heading, &server.cli(&[arguments, &["-o", "json"]].concat()));
    }

    /// Runs a command that takes no data directory.
    fn run_alone(&mut self, heading: &'static str, arguments: &[&str]) {
        self.add(
            heading,
            &alone(&[arguments, &["--output", "json"]].concat()),
        );
    }
}

fn alone(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.args(arguments).output().expect("it runs")
}

/// An index with an attestation.
fn attested(printed: &mut Printed) {
    let server = Server::start();
    inspecting::push_index(&mut server.client());
    printed.run(&server, "registry inspect", &["inspect", "app:v1"]);
}

/// Verification and backup of a store whose files are lost.
fn verify(printed: &mut Printed, server: &Server) {
    let disk = tempfile::TempDir::new().expect("a directory");
    let to = disk.path().join("backup").display().to_string();
    let back_up = ["backup", &to, "--dry-run"];
    printed.run(server, "registry backup --dry-run", &back_up);
    for file in server.blob_files() {
        std::fs::remove_file(file).expect("removed");
    }
    printed.run(server, "registry backup", &back_up[..2]);
    printed.run(server, "registry verify", &["verify"]);
    let lost = sha256(&Image::small(4).layers[0]);
    printed.run(server, "registry ls REPOSITORY", &["ls", "ruled/app"]);
    printed.run(server, "registry inspect", &["inspect", "ruled/app:pr-2"]);
    printed.run(server, "registry why", &["why", &lost]);
}

/// Rules about some repositories.
const RULED: [(&str, &str); 2] = [
    (
        "REGISTRY_POLICIES",
        "[{repositories: 'ruled/**', tags: [{match: ['pr-*'], newest: 1}]}]",
    ),
    (
        "REGISTRY_QUOTAS",
        "[{repositories: 'ruled/**', bytes: 1GB}]",
    ),
];

/// Commands that show, on content of every kind.
fn show(printed: &mut Printed) {
    let server = Server::with(&RULED);
    let mut client = server.client();
    let index = push_index(&mut client);
    for (seed, tag) in [(3, "pr-1"), (4, "pr-2"), (5, "gone")] {
        Image::small(seed).push(&mut client, "ruled/app", tag);
    }
    client.get("/v2/ruled/app/manifests/pr-2");
    client.push_blob("ruled/app", b"leased");
    client.begin_upload("ruled/app");
    let signature = format!("{}.sig", Image::small(6).digest().replace(':', "-"));
    Image::small(8).push(&mut client, "other", &signature);
    Image::small(6).push(&mut client, "other", "v1");
    Image::small(7).push(&mut client, "other", "v2");
    for (heading, arguments) in [
        ("registry ls", &["ls"][..]),
        ("registry ls REPOSITORY", &["ls", "ruled/app"]),
        ("registry inspect", &["inspect", "team/app:v1"]),
        ("registry inspect", &["inspect", "ruled/app:pr-2"]),
        ("registry inspect", &["inspect", "other:v1"]),
        ("registry rm", &["rm", "team/app", "--dry-run"]),
        ("registry rm", &["rm", "ruled/app:gone", "--yes"]),
        ("registry rm", &["rm", "other@sha256:", "--yes"]),
        ("registry restore", &["restore"]),
        ("registry ls --untagged", &["ls", "--untagged"]),
        (
            "registry tag history",
            &["tag", "history", "ruled/app:gone"],
        ),
        ("registry why", &["why", "ruled/app:pr-1"]),
        ("registry why", &["why", &index]),
        ("registry why", &["why", &sha256(b"leased")]),
        ("registry why", &["why", &Image::small(5).digest()]),
        ("registry why", &["why", &Image::small(6).digest()]),
        ("registry quotas", &["quotas"]),
        ("registry du", &["du"]),
        ("registry du", &["du", "ruled/*"]),
        ("registry du REPOSITORY", &["du", "ruled/app"]),
        ("registry policy preview", &["policy", "preview"]),
        ("registry growth", &["growth"]),
        ("registry gc --dry-run", &["gc", "--dry-run"]),
        ("registry gc", &["gc"]),
        ("registry gc --now --dry-run", &["gc", "--now", "--dry-run"]),
        ("registry uploads ls", &["uploads"]),
        ("registry uploads rm", &["uploads", "rm", "**", "--yes"]),
        ("registry restore REPOSITORY", &["restore", "other"]),
        (
            "registry tag restore",
            &["tag", "restore", "ruled/app:gone"],
        ),
        (
            "registry tag",
            &["tag", "ruled/app:gone", "ruled/app:promoted"],
        ),
    ] {
        let by_digest = format!("other@{}", Image::small(6).digest());
        let replaced = arguments.iter().map(|word| match *word {
            "other@sha256:" => &*by_digest,
            word => word,
        });
        let arguments: Vec<_> = replaced.collect();
        printed.run(&server, heading, &arguments);
    }
    // a rule has removed it, and would do so again
    let ruled = ["tag", "restore", "ruled/app:pr-1", "--dry-run"];
    printed.run(&server, "registry tag restore", &ruled);
    printed.run(&server, "registry restore REPOSITORY", &ruled[1..3]);
    verify(printed, &server);
}

/// An export, of a sparse index among others.
fn hand_on(printed: &mut Printed) {
    let server = Server::with(&[("REGISTRY_MANIFESTS_SPARSE", "true")]);
    let mut client = server.client();
    push_index(&mut client);
    let absent = descriptor(OCI_MANIFEST, &Image::small(1).manifest);
    let sparse = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [absent] });
    client.put_manifest("sparse", "v1", OCI_INDEX, sparse.to_string().as_bytes());
    let flags = [
        "export",
        "team/app",
        "sparse:v1",
        "-",
        "--dry-run",
        "-o",
        "json",
    ];
    let mut exported = server.cli(&flags);
    // standard output is for the archive
    exported.stdout = exported.stderr.clone();
    printed.add("registry export", &exported);
}

/// An import with a blob that is damaged and a link that is empty.
fn import(printed: &mut Printed) {
    let source = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(source.path());
    let image = Image::small(1);
    store.image("app", "v1", &image);
    let mut altered = image.layers[0].clone();
    altered[7] ^= 1;
    store.write(&store.blob_path(&sha256(&image.layers[0])), &altered);
    store.write(&store.tag_path("app", "empty"), b"");
    let path = source.path().to_str().expect("text");
    let server = Server::start();
    printed.run(&server, "registry import", &["import", path]);
    store.image("app", "v1", &Image::small(2));
    printed.run(&server, "registry import", &["import", path]);
    store.image("app", "v1", &image);
    printed.run(&server, "registry import", &["import", path]);
    store.image("other", "v1", &Image::small(3));
    let collide = ["import", path, "--map", "other=app"];
    printed.run(&server, "registry import", &collide);
    std::fs::remove_file(store.blob_path(&sha256(&Image::small(3).layers[0]))).expect("removed");
    printed.run(&server, "registry import", &["import", path]);
    let disk = tempfile::TempDir::new().expect("a directory");
    let to = disk.path().join("backup").display().to_string();
    printed.run(&server, "registry backup", &["backup", &to]);
}

/// Commands that need no server, by heading.
const OTHERS: &[(&str, &str)] = &[
    ("registry garbage-collect", "garbage-collect -m config.yml"),
    (
        "registry garbage-collect",
        "garbage-collect --config config.yml",
    ),
    ("registry config check", "config check config.yml"),
    ("registry config check", "config check --config wrong.yml"),
    ("registry config show", "config show --config config.yml"),
    ("registry config show --example", "config show --example"),
    (
        "registry access check",
        "access check joe push app config.yml",
    ),
    (
        "registry access check",
        "access check joe pull app --from 10.0.0.1 --config config.yml",
    ),
    (
        "registry access show",
        "access show joe --from 10.0.0.1 --config config.yml",
    ),
    (
        "registry access show",
        "access show @team --config config.yml",
    ),
    (
        "registry access check",
        "access check token:ci push team/app --config config.yml",
    ),
    (
        "registry access show",
        "access show token:ci --config config.yml",
    ),
    ("registry htpasswd", "htpasswd -nbC 4 joe secret"),
    ("registry htpasswd", "htpasswd -cbC 4 users joe secret"),
    ("registry htpasswd", "htpasswd -D users ann"),
    ("registry completions", "completions bash"),
];

/// Commands that collect, and those about a server.
fn run_others(printed: &mut Printed) {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("owners"), line("joe", "secret")).expect("a file");
    let owners = path("owners");
    let login = [
        ("REGISTRY_AUTH_HTPASSWD_REALM", "x"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", &*owners),
    ];
    let settings = [&FAST[..], &login].concat();
    let mut server = Server::at(&directory.path().join("data"), &settings);
    printed.run_alone("registry health", &["health", "--addr", server.address()]);
    printed.run(&server, "registry gc", &["gc"]);
    machines(printed, &server);
    assert!(server.stop().success());
    // nobody listens there
    printed.run_alone("registry health", &["health", "--addr", server.address()]);
    let config = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\naccess: {{groups: {{team: joe}}, rules: [{{repositories: '**', who: '@team', may: pull, from: 10.0.0.0/8}}]}}\n",
        path("data")
    );
    std::fs::write(path("config.yml"), config).expect("a file");
    std::fs::write(
        path("wrong.yml"),
        "version: 0.1\nhttp: {addr: 7, nothing: 1}\n",
    )
    .expect("a file");
    let patient = Server::at(&directory.path().join("data"), &[]);
    Image::small(1).push(&mut patient.client(), "app", "v1");
    assert!(patient.cli(&["rm", "app:v1", "--yes"]).status.success());
    drop(patient);
    for (heading, words) in OTHERS {
        let words: Vec<_> = words
            .split(' ')
            .map(|word| {
                if word == "users" || word.ends_with(".yml") {
                    path(word)
                } else {
                    word.to_owned()
                }
            })
            .collect();
        // flags of htpasswd come first
        let (command, rest) = words.split_first().expect("a command");
        let words = [&[command.clone(), "-o".to_owned(), "json".to_owned()], rest].concat();
        let has_commands = command == "config" || command == "access";
        let words: Vec<_> = if has_commands {
            [rest, &["-o".to_owned(), "json".to_owned()]].concat()
        } else {
            words
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = if has_commands {
            alone(&[&[command.as_str()][..], &words].concat())
        } else {
            alone(&words)
        };
        printed.add(heading, &output);
    }
    printed.add("registry serve", &first_line(&path("data")));
}

/// Tokens: one that works, one that was rotated, one that was revoked.
fn machines(printed: &mut Printed, server: &Server) {
    for (heading, words) in [
        (
            "registry token create",
            "token create ci --repositories team/** --may push --for joe",
        ),
        (
            "registry token create",
            "token create old --repositories ** --may pull --expires never",
        ),
        ("registry token rotate", "token rotate ci"),
        ("registry token revoke", "token revoke old"),
        ("registry token ls", "token ls --all"),
        ("registry audit", "audit --limit 0"),
    ] {
        printed.run(server, heading, &words.split(' ').collect::<Vec<_>>());
    }
}

/// A webhook that nobody listens to.
fn webhooks(printed: &mut Printed) {
    let webhooks = "[{name: deploy, url: 'http://127.0.0.1:1/hook'}]";
    let server = Server::with(&[("REGISTRY_WEBHOOKS", webhooks)]);
    crate::support::Image::small(1).push(&mut server.client(), "team/app", "v1");
    let failed = ["webhook", "deliveries", "deploy", "--failed", "-o", "json"];
    let delivery = crate::support::eventually_some("an attempt fails", || {
        let object: Value = serde_json::from_slice(&server.cli(&failed).stdout).ok()?;
        object["deliveries"].get(0).cloned()
    });
    let event = delivery["event"].to_string();
    for (heading, words) in [
        ("registry webhook ls", &["webhook", "ls"][..]),
        ("registry webhook deliveries", &["webhook", "deliveries"]),
        (
            "registry webhook resend",
            &["webhook", "resend", "deploy", &event],
        ),
    ] {
        printed.run(&server, heading, words);
    }
    let unknown = server.cli(&["webhook", "resend", "deploy", "4711"]);
    assert!(!unknown.status.success(), "{unknown:?}");
    let mut test = Command::new(env!("CARGO_BIN_EXE_registry"));
    test.env("REGISTRY_WEBHOOKS", webhooks);
    test.args(["webhook", "test", "deploy", "-o", "json"]);
    printed.add("registry webhook test", &test.output().expect("it runs"));
}

/// Files for a client of an upstream.
fn mirrors(printed: &mut Printed) {
    let mut files = Command::new(env!("CARGO_BIN_EXE_registry"));
    let upstreams = "[{prefix: hub, ns: docker.io, url: 'https://registry-1.docker.io'}]";
    files.env("REGISTRY_UPSTREAMS", upstreams);
    files.args(["mirror-config", "containerd", "-o", "json"]);
    printed.add("registry mirror-config", &files.output().expect("it runs"));
    let hub = crate::support::hub::Hub::start();
    hub.add("a/b", "v1", &crate::support::Image::small(1));
    let broken = crate::support::Image::small(2);
    hub.add("broken", "v1", &broken);
    hub.change("broken", |held| {
        held.blobs.remove(&sha256(&broken.layers[0]));
    });
    let upstreams = format!(
        "[{{prefix: hub, url: '{0}', fresh: 0s, sync: [{{repository: broken, tags: ['*']}}]}}, {{prefix: old, url: '{0}', adopt: true}}]",
        hub.url()
    );
    let mut server = Server::with(&[("REGISTRY_UPSTREAMS", &upstreams)]);
    crate::support::eventually("a walk ends", || {
        crate::upstream::adopt::adoptions(&server)[1]["problemCount"] == 2
    });
    crate::support::eventually("something is fetched ahead", || {
        server.log().contains("fetched ahead")
    });
    crate::support::Image::small(1).assert_pulls(&mut server.client(), "hub/a/b", "v1");
    let keep = ["upstream", "keep", "hub/a/b:v1", "own/app:v1"];
    // a client has the last byte before the blob is recorded
    crate::support::eventually("it is stored", || server.cli(&keep).status.success());
    printed.run(&server, "registry upstream keep", &keep);
    hub.change("a/b", |held| held.tags.clear());
    let served = server.client().get("/v2/hub/a/b/manifests/v1");
    assert_eq!(served.status, 200);
    for (heading, command) in [("registry inspect", "inspect"), ("registry why", "why")] {
        printed.run(&server, heading, &[command, "hub/a/b:v1"]);
    }
    server.stop();
    printed.run(&server, "registry upstream ls", &["upstream", "ls"]);
}

/// Starts a server and returns what it says first.
fn first_line(data: &str) -> Output {
    let mut serve = crate::support::server::command(std::path::Path::new(data));
    let mut serve = serve
        .args(["-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let out = serve.stdout.take().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
    serve.kill().expect("it ends");
    let output = serve.wait_with_output().expect("it ends");
    Output {
        stdout: line.into_bytes(),
        ..output
    }
}

#[test]
fn every_command_prints_what_is_documented() {
    let mut printed = Printed::default();
    show(&mut printed);
    attested(&mut printed);
    hand_on(&mut printed);
    import(&mut printed);
    webhooks(&mut printed);
    mirrors(&mut printed);
    run_others(&mut printed);
    let documented = documented();
    for (heading, types) in &documented {
        if ELSEWHERE.contains(&&**heading) {
            continue;
        }
        let objects = printed
            .0
            .get(&**heading)
            .unwrap_or_else(|| panic!("{heading} was not run"));
        let mut seen = BTreeSet::new();
        for object in objects {
            println!("{heading}: {object}");
            check("", object, types, &mut seen);
        }
        let unseen: Vec<_> = types.keys().filter(|key| !seen.contains(*key)).collect();
        assert!(unseen.is_empty(), "{heading} never printed {unseen:?}");
    }
    for heading in printed.0.keys() {
        assert!(
            documented.contains_key(*heading),
            "{heading} is not documented"
        );
    }
}

#[test]
fn a_key_has_the_same_type_everywhere() {
    let mut kinds: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (heading, types) in documented() {
        for (key, kind) in types {
            let name = key.rsplit(['.', ']']).next().expect("a name").to_owned();
            let class = match kind.trim_end_matches(" or null") {
                list if list.starts_with("list") => "list".to_owned(),
                other => other.to_owned(),
            };
            let place = format!("{heading}: {key}");
            let (other, first) = kinds
                .entry(name)
                .or_insert((class.clone(), place.clone()))
                .clone();
            assert_eq!(other, class, "{place} and {first}");
        }
    }
}

/// Subcommands of a command, from its help.
fn subcommands(command: &[String]) -> Vec<String> {
    let words: Vec<&str> = command
        .iter()
        .map(String::as_str)
        .chain(["--help"])
        .collect();
    let help = String::from_utf8(alone(&words).stdout).expect("text");
    let list = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_takes_the_flag_and_is_documented() {
    let documented = documented();
    let mut left = vec![Vec::new()];
    let mut number = 0;
    while let Some(command) = left.pop() {
        let below = subcommands(&command);
        if !below.is_empty() {
            left.extend(
                below
                    .into_iter()
                    .map(|name| [&command[..], &[name]].concat()),
            );
            continue;
        }
        number += 1;
        let words: Vec<&str> = command
            .iter()
            .map(String::as_str)
            .chain(["--help"])
            .collect();
        let help = String::from_utf8(alone(&words).stdout).expect("text");
        assert!(
            help.contains("-o, --output <text|json>"),
            "{command:?}: {help}"
        );
        let name = format!("registry {}", command.join(" "));
        assert!(
            documented
                .keys()
                .any(|heading| heading == &name || heading.starts_with(&format!("{name} "))),
            "{name} is not documented"
        );
    }
    assert!(number >= 16, "only {number} commands were found");
}

#[test]
fn a_configuration_is_given_in_either_way() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let server = Server::at(&directory.path().join("data"), &[]);
    Image::small(1).push(&mut server.client(), "app", "v1");
    let config = directory.path().join("config.yml");
    let text = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n",
        server.directory().display()
    );
    std::fs::write(&config, text).expect("a file");
    let config = config.display().to_string();
    for arguments in [
        &["ls"][..],
        &["ls", "app"],
        &["inspect", "app:v1"],
        &["du"],
        &["rm", "app:v1", "--dry-run"],
        &["restore"],
        &["tag", "history", "app:v1"],
        &["why", "app:v1"],
        &["policy", "preview"],
        &["gc", "--dry-run"],
        &["garbage-collect", "--dry-run"],
        &["config", "check"],
        &["config", "show"],
    ] {
        let by_position = alone(&[arguments, &[&*config]].concat());
        let by_flag = alone(&[arguments, &["--config", &config]].concat());
        assert!(
            by_position.status.success() && !by_position.stdout.is_empty(),
            "{arguments:?}: {by_position:?}"
        );
        assert_eq!(
            by_position.stdout.len(),
            by_flag.stdout.len(),
            "{arguments:?}"
        );
    }
    assert_eq!(
        alone(&["config", "check", &config, "--config", &config])
            .status
            .code(),
        Some(2)
    );
}
