//! `registry import URL`: a registry that is running, imported with tags, children and referrers.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::command::{assert_verified, import, imported};
use super::tags;
use crate::login::machine_tokens::fill;
use crate::login::{Guarded, line};
use crate::support::hub::{Hub, Part};
use crate::support::{
    Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, eventually, noise, sha256,
};

/// Imports from a registry; returns the exit code and the report.
#[track_caller]
fn fetched(server: &Server, url: &str, flags: &[&str]) -> (i32, Value) {
    imported(server.directory(), Path::new(url), flags)
}

/// A signature of some content.
pub fn signature(subject: &[u8]) -> Vec<u8> {
    let signature = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
        "artifactType": "application/vnd.example.signature",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "subject": descriptor(OCI_MANIFEST, subject),
    });
    signature.to_string().into_bytes()
}

/// A registry with an index of two images, a signature, a tag of cosign's kind, and another repository.
pub fn hub() -> (Hub, [Image; 3], Vec<u8>) {
    let hub = Hub::start();
    let images = [1, 2, 3].map(Image::small);
    for (image, tag) in images[..2].iter().zip(["v1", "v2"]) {
        hub.add("team/app", tag, image);
    }
    let children = images[..2].iter();
    let children = children.map(|image| descriptor(OCI_MANIFEST, &image.manifest));
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children.collect::<Vec<_>>() });
    let index = index.to_string().into_bytes();
    hub.add_manifest("team/app", Some("both"), OCI_INDEX, &index);
    hub.change("team/app", |held| {
        held.tags.remove("v2");
        held.blobs.insert(sha256(b"{}"), b"{}".to_vec());
    });
    hub.add_manifest(
        "team/app",
        None,
        OCI_MANIFEST,
        &signature(&images[0].manifest),
    );
    let cosign = images[0].digest().replace(':', "-") + ".sig";
    hub.add("team/app", &cosign, &images[2]);
    hub.add("other", "v1", &images[2]);
    (hub, images, index)
}

#[test]
fn a_running_registry_comes_whole_and_the_second_run_fetches_nothing() {
    let (hub, images, index) = hub();
    hub.behave(|behaviour| behaviour.page = 1);
    let server = Server::start();
    let (code, plan) = fetched(&server, &hub.url(), &["--dry-run"]);
    assert_eq!((code, &plan["problems"]), (0, &json!([])), "{plan}");
    assert!(hub.seen_by(Part::Store).is_empty());
    let (code, report) = fetched(&server, &hub.url(), &[]);
    assert_eq!((code, &report["problems"]), (0, &json!([])), "{report}");
    for key in ["repositories", "blobCount", "size"] {
        assert_eq!(report[key], plan[key], "{key}");
    }
    let mut client = server.client();
    images[0].assert_pulls(&mut client, "team/app", "v1");
    images[1].assert_pulls(&mut client, "team/app", &images[1].digest());
    images[2].assert_pulls(&mut client, "other", "v1");
    assert_eq!(client.get("/v2/team/app/manifests/both").body, index);
    let cosign = images[0].digest().replace(':', "-") + ".sig";
    assert_eq!(tags(&mut client, "team/app"), json!(["both", cosign, "v1"]));
    let about = client.get(&format!("/v2/team/app/referrers/{}", images[0].digest()));
    let about = about.json()["manifests"][0]["digest"].clone();
    assert_eq!(about, sha256(&signature(&images[0].manifest)));
    assert_verified(server.directory());
    hub.seen();
    let (code, again) = fetched(&server, &hub.url(), &[]);
    assert_eq!((code, &again["repositories"]), (0, &json!([])), "{again}");
    let seen = hub.seen();
    let is_fetch = |path: &str| path.contains("/blobs/") || path.contains("/manifests/sha256:");
    assert!(!seen.iter().any(|seen| is_fetch(&seen.path)), "{seen:?}");
}

#[test]
fn tags_follow_until_they_are_changed_here() {
    let (hub, images, _) = hub();
    let server = Server::start();
    fetched(&server, &hub.url(), &[]);
    hub.add("team/app", "v1", &images[1]);
    let (code, report) = fetched(&server, &hub.url(), &[]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["moved"][0]["digest"], images[1].digest());
    let mut client = server.client();
    images[0].push(&mut client, "team/app", "v1");
    hub.add("team/app", "v1", &images[2]);
    let (code, report) = fetched(&server, &hub.url(), &[]);
    assert_eq!(code, 3, "{report}");
    images[0].assert_pulls(&mut client, "team/app", "v1");
    let (code, report) = fetched(&server, &hub.url(), &["--move-tags"]);
    assert_eq!(code, 0, "{report}");
    images[2].assert_pulls(&mut client, "team/app", "v1");
}

#[test]
fn repositories_are_chosen_and_renamed() {
    let (hub, images, _) = hub();
    let server = Server::start();
    let flags = ["--only", "team/**", "--map", "team/**=old/**"];
    let (code, report) = fetched(&server, &hub.url(), &flags);
    assert_eq!(code, 0, "{report}");
    let mut client = server.client();
    images[0].assert_pulls(&mut client, "old/app", "v1");
    let repositories = client.get("/v2/_catalog").json();
    assert_eq!(repositories["repositories"], json!(["old/app"]));
    // a name needs no list of all
    hub.seen();
    let (code, report) = fetched(&server, &hub.url(), &["--only", "other", "--only", "none"]);
    assert_eq!(code, 3, "{report}");
    assert_eq!(report["unmatched"], json!(["--only none"]));
    assert!(!hub.seen().iter().any(|seen| seen.path.contains("_catalog")));
    images[2].assert_pulls(&mut client, "other", "v1");
}

#[test]
fn tags_that_would_overwrite_each_other_are_refused() {
    let (hub, images, _) = hub();
    let server = Server::start();
    let flags = ["--map", "team/app=app", "--map", "other=app"];
    let (code, report) = fetched(&server, &hub.url(), &flags);
    assert_eq!(code, 1, "{report}");
    assert_eq!(
        report["collisions"][0]["sources"],
        json!(["other", "team/app"])
    );
    assert_eq!(
        server.client().get("/v2/_catalog").json()["repositories"],
        json!([])
    );
    hub.add("team/app", "v1", &images[2]);
    let (code, report) = fetched(&server, &hub.url(), &flags);
    assert_eq!((code, &report["collisions"]), (0, &json!([])), "{report}");
    images[2].assert_pulls(&mut server.client(), "app", "v1");
}

#[test]
fn a_blob_that_is_another_reaches_no_store() {
    let hub = Hub::start();
    let image = Image::small(1);
    hub.add("a/b", "v1", &image);
    hub.behave(|behaviour| behaviour.alters_blobs = true);
    let server = Server::start();
    let (code, report) = fetched(&server, &hub.url(), &["--only", "a/b"]);
    assert_eq!(code, 3, "{report}");
    assert_eq!(server.blob_files(), [] as [std::path::PathBuf; 0]);
    let problems = report["problems"].as_array().expect("a list");
    let is_named = |problem: &Value| {
        let text = problem["problem"].as_str().expect("text");
        text.contains("is not the content that its digest says")
    };
    assert!(problems.iter().any(is_named), "{report}");
    // once it is mended, a repetition brings what was missing
    hub.behave(|behaviour| behaviour.alters_blobs = false);
    let (code, report) = fetched(&server, &hub.url(), &["--only", "a/b"]);
    assert_eq!(code, 0, "{report}");
    image.assert_pulls(&mut server.client(), "a/b", "v1");
}

#[test]
fn what_passes_is_waited_for_and_what_stays_ends_the_import() {
    let hub = Hub::start();
    let image = Image::new("patient", vec![noise(1, 300_000), noise(2, 300_000)]);
    hub.add("a/b", "v1", &image);
    hub.behave(|behaviour| {
        behaviour.statuses = [(429, "Retry-After: 0\r\n"), (503, "")].into();
        behaviour.resets = [1000, 100_000, 0].into();
    });
    let server = Server::start();
    let (code, report) = fetched(&server, &hub.url(), &["--only", "a/b"]);
    assert_eq!(code, 0, "{report}");
    image.assert_pulls(&mut server.client(), "a/b", "v1");
    hub.behave(|behaviour| behaviour.statuses = [(429, "Retry-After: 21600\r\n")].into());
    let output = import(
        server.directory(),
        Path::new(&hub.url()),
        &["--only", "a/b"],
    )
    .output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("21600 s") && said.contains("repeat the import"),
        "{said}"
    );
}

#[test]
fn an_import_that_was_killed_goes_on() {
    let hub = Hub::start();
    let images =
        [1, 2, 3, 4].map(|seed| Image::new(&format!("killed {seed}"), vec![noise(seed, 50_000)]));
    for (number, image) in images.iter().enumerate() {
        hub.add("a/b", &format!("v{number}"), image);
    }
    let stalling = sha256(&images[2].layers[0]);
    hub.behave(|behaviour| behaviour.stalling = Some(stalling.clone()));
    let server = Server::start();
    let mut import = import(
        server.directory(),
        Path::new(&hub.url()),
        &["--only", "a/b"],
    );
    let import = import.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut import = import.expect("it runs");
    eventually("the import is in the middle", || {
        let seen = hub.seen_by(Part::Store);
        seen.iter().any(|seen| seen.path.contains(&stalling))
    });
    import.kill().expect("it is killed");
    import.wait().expect("it ends");
    hub.behave(|behaviour| behaviour.stalling = None);
    let (code, report) = fetched(&server, &hub.url(), &["--only", "a/b"]);
    assert_eq!(code, 0, "{report}");
    let first = sha256(&images[0].layers[0]);
    let seen = hub.seen();
    assert!(
        !seen.iter().any(|seen| seen.path.contains(&first)),
        "it goes on"
    );
    for (number, image) in images.iter().enumerate() {
        image.assert_pulls(&mut server.client(), "a/b", &format!("v{number}"));
    }
    assert_verified(server.directory());
}

#[test]
fn a_registry_with_logins_is_imported() {
    let rules = json!({ "rules": [
        { "repositories": "**", "who": "ann", "may": "admin" },
        { "repositories": "other/**", "who": "anonymous", "may": "pull" },
    ] });
    let variables = [("REGISTRY_ACCESS", &*rules.to_string())];
    let old = Guarded::set_up(&line("ann", "secret"), &variables);
    let image = fill(&old);
    let files = tempfile::TempDir::new().expect("a directory");
    let password = files.path().join("password");
    std::fs::write(&password, "secret\n").expect("a file");
    let server = Server::start();
    let url = format!("http://{}", old.server.address());
    let login = [
        "--username",
        "ann",
        "--password-file",
        password.to_str().expect("a path"),
    ];
    let (code, report) = fetched(&server, &url, &login);
    assert_eq!(code, 0, "{report}");
    for repository in ["team/app", "other/app"] {
        image.assert_pulls(&mut server.client(), repository, "v1");
    }
    // without the login, what everybody may see
    let another = Server::start();
    let (code, report) = fetched(&another, &url, &["--only", "other/app"]);
    assert_eq!(code, 0, "{report}");
    image.assert_pulls(&mut another.client(), "other/app", "v1");
    let (code, report) = fetched(&another, &url, &["--only", "team/app"]);
    assert_eq!(code, 3, "{report}");
}

#[test]
fn flags_about_another_registry_need_its_url() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.args(["import", "--rate", "5", "--data-dir"]);
    let output = command.arg(directory.path()).arg(directory.path()).output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("need its URL"),
        "{output:?}"
    );
}

/// Error of an import that fails.
#[track_caller]
fn refused(server: &Server, source: &str) -> String {
    let output = import(server.directory(), Path::new(source), &[]).output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_registry_that_is_not_there_is_not_waited_for() {
    let server = Server::start();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = closed.local_addr().expect("an address").to_string();
    drop(closed);
    let begun = std::time::Instant::now();
    let said = refused(&server, &format!("http://{address}"));
    assert!(
        said.contains("was not reached") && said.contains("whether it runs there"),
        "{said}"
    );
    // the waits of nine attempts take two minutes
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    let said = refused(&server, &address);
    assert!(
        said.contains(&format!("import https://{address}")),
        "{said}"
    );
}

#[test]
fn a_registry_that_wants_a_login_is_no_registry_without_a_list() {
    let (server, hub) = (Server::start(), Hub::start());
    hub.behave(|behaviour| behaviour.wants_basic = true);
    let said = refused(&server, &hub.url());
    assert!(
        said.contains("wants a login") && said.contains("--password-file"),
        "{said}"
    );
    assert!(!said.contains("does not list"), "{said}");
}
