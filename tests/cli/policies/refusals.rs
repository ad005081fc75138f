//! Invalid policies.

use super::super::refusal;
use super::configuration;
use crate::support::Server;

#[test]
fn an_invalid_pattern_is_reported() {
    let server = Server::start();
    let config = configuration(
        &server,
        "\npolicies: [{repositories: 'a[', keepuntagged: 0s}]\n",
    );
    assert!(refusal(&server, &["policy", "preview", "--config", &config]).contains("'a['"));
}

#[test]
fn the_former_spelling_is_refused_with_what_it_meant() {
    let server = Server::start();
    for (text, words) in [
        (
            "gc: {untagged: never}",
            &[
                "gc.untagged",
                "keepuntagged",
                "0s to remove",
                "forever to keep",
            ][..],
        ),
        ("gc: {untagged: 3d}", &["write keepuntagged: 3d"]),
        (
            "gc: {keepuntagged: never}",
            &["gc.keepuntagged", "0s to remove", "forever to keep"],
        ),
        (
            "policies: [{repositories: a, untagged: forever}]",
            &["policies[0].untagged", "write keepuntagged: forever"],
        ),
    ] {
        let config = configuration(&server, &format!("\n{text}\n"));
        let sentence = refusal(&server, &["ls", "--config", &config]);
        for word in words {
            assert!(sentence.contains(word), "{text}: {sentence}");
        }
    }
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["ls", "--data-dir"])
        .arg(server.directory())
        .env("REGISTRY_GC_UNTAGGED", "never")
        .output()
        .expect("it runs");
    let sentence = String::from_utf8(output.stderr).expect("text");
    assert!(
        !output.status.success()
            && sentence.contains("the variable REGISTRY_GC_UNTAGGED")
            && sentence.contains("0s to remove"),
        "{sentence}"
    );
}
