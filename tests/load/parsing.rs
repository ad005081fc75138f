//! Small documents that stand for large structures: what parsing takes is bounded.

use super::memory;
use crate::support::{OCI_INDEX, OCI_MANIFEST, Server, sha256};

/// Just below the limit of a manifest, in bytes.
const SIZE: usize = (4 << 20) - 1000;
const CLIENTS: usize = 24;
/// Memory for manifests that are received and parsed at once, in KiB, whatever their number.
const SPACE: u64 = 180 << 10;

/// A document of about [`SIZE`] bytes whose list `key` repeats `element`.
fn repeating(key: &str, element: &str) -> String {
    let elements = vec![element; SIZE / (element.len() + 1)];
    format!(
        r#"{{"schemaVersion":2,"config":{{"digest":"{}"}},"{key}":[{}]}}"#,
        sha256(b"{}"),
        elements.join(",")
    )
}

/// An index of about [`SIZE`] bytes as clients make it, of many children.
fn large_index() -> String {
    let child = |number: usize| {
        format!(
            r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":1234,"platform":{{"architecture":"amd64","os":"linux"}}}}"#,
            sha256(&number.to_le_bytes())
        )
    };
    let children: Vec<_> = (0..SIZE / (child(0).len() + 1)).map(child).collect();
    format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        children.join(",")
    )
}

#[test]
fn parsing_takes_a_bounded_space() {
    let server = Server::start();
    server.client().push_blob("a", b"{}");
    let annotations: Vec<_> = (0..SIZE / 12)
        .map(|number| format!(r#""{number:06x}":"""#))
        .collect();
    let refused = [
        repeating("layers", r#"{"digest":""}"#),
        repeating("layers", "{}"),
        repeating("manifests", r#"{"urls":["","","",""]}"#),
        repeating("x-unknown", "[]"),
        format!(
            r#"{{"schemaVersion":2,"annotations":{{{}}}}}"#,
            annotations.join(",")
        ),
        format!(r#"{{"x":{}{}}}"#, "[".repeat(129), "]".repeat(129)),
    ];
    let index = large_index();
    let before = memory(&server, "VmHWM");
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (server, refused, index) = (&server, &refused, &index);
            scope.spawn(move || {
                let mut client = server.client();
                for document in refused.iter().cycle().skip(number).take(refused.len()) {
                    client
                        .put_manifest("a", "v1", OCI_MANIFEST, document.as_bytes())
                        .refused(400, "MANIFEST_INVALID");
                }
                // parsed in turns: what it lists is missing
                client
                    .put_manifest("a", "v1", OCI_INDEX, index.as_bytes())
                    .refused(400, "MANIFEST_BLOB_UNKNOWN");
            });
        }
    });
    let grown = memory(&server, "VmHWM") - before;
    println!("{grown} KiB for {CLIENTS} clients");
    assert!(grown < SPACE, "{grown} KiB");
}
