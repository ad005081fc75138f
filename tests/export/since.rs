//! Exports of what an earlier one does not hold.

use std::fs;

use serde_json::Value;

use super::{
    assert_whole, content_of, export, files_in, files_of, push_everything, refusal, unpack,
};
use crate::support::{Image, Server, noise, sha256};

#[test]
fn only_what_is_new_is_written() {
    let server = Server::start();
    let mut client = server.client();
    push_everything(&mut client);
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    export(&server, &["team/app", &path("base.tar")]);
    export(&server, &["team/app", &path("base")]);
    let new = Image::new("three", vec![noise(1, 50_000), noise(3, 9000)]);
    new.push(&mut client, "team/app", "v2");
    let archive = export(&server, &["team/app", "-", "--since", &path("base.tar")]).stdout;
    let mut content = content_of(&files_of(&archive));
    let mut wanted = vec![new.digest(), sha256(&new.config), sha256(&new.layers[1])];
    content.sort();
    wanted.sort();
    assert_eq!(content, wanted);
    // the earlier export as a directory, and one that tar has made of it
    let packed = path("packed.tar");
    let mut tar = std::process::Command::new("tar");
    let packing = tar
        .args(["-cf", &packed, "-C", &path("base"), "."])
        .status();
    assert!(packing.expect("tar runs").success());
    for base in [path("base"), packed] {
        let again = export(&server, &["team/app", "-", "--since", &base]).stdout;
        assert_eq!(again, archive, "{base}");
    }
    // both together are the whole
    unpack(&archive, &directory.path().join("base"));
    let joined = files_in(&directory.path().join("base"));
    assert_whole(&joined);
    assert_eq!(
        joined,
        files_of(&export(&server, &["team/app", "-"]).stdout)
    );

    fs::write(directory.path().join("delta.tar"), &archive).expect("a file");
    let nothing = export(
        &server,
        &[
            "team/app",
            "-",
            "--since",
            &path("base.tar"),
            "--since",
            &path("delta.tar"),
            "-o",
            "json",
        ],
    );
    let report: Value = serde_json::from_slice(&nothing.stderr).expect("JSON");
    assert_eq!(report["written"]["size"], 0);
    assert_eq!(report["held"]["manifestCount"], 7);
}

#[test]
fn an_earlier_export_must_be_whole_and_stay() {
    let server = Server::start();
    push_everything(&mut server.client());
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    export(&server, &["team/app", &path("base.tar")]);
    let whole = fs::read(path("base.tar")).expect("an archive");
    for length in [0, 100, 512, 1536, whole.len() / 2, whole.len() - 1024] {
        fs::write(path("cut.tar"), &whole[..length]).expect("a file");
        let said = refusal(&server, &["team/app", "-", "--since", &path("cut.tar")]);
        assert!(said.contains("no earlier export"), "{length}: {said}");
    }
    fs::write(path("other.tar"), [0; 1024]).expect("a file");
    fs::write(path("text.tar"), "text".repeat(1000)).expect("a file");
    for other in ["other.tar", "text.tar", "none.tar", ""] {
        let said = refusal(&server, &["team/app", "-", "--since", &path(other)]);
        assert!(said.contains("no earlier export"), "{other}: {said}");
    }
    let said = refusal(
        &server,
        &["team/app", &path("base.tar"), "--since", &path("base.tar")],
    );
    assert!(said.contains("would be replaced"), "{said}");
    assert_eq!(fs::read(path("base.tar")).expect("an archive"), whole);
}
