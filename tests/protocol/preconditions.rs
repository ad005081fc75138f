//! `If-Match` and `If-None-Match` of requests that change something (RFC 9110, section 13).

use super::concurrency::at_once;
use super::{digest_of, image, media_type, push, push_image};
use crate::support::{Client, Response, Server, noise, sha256};

/// Values of a condition on what has the digest, with whether `If-Match` and `If-None-Match` hold.
fn values(stored: &str, other: &str) -> Vec<(String, bool, bool)> {
    vec![
        ("*".to_owned(), true, false),
        (format!("\"{stored}\""), true, false),
        (stored.to_owned(), true, false),
        (format!("\"{other}\", \"{stored}\""), true, false),
        (format!("\"{stored}-gzip\""), true, false),
        // no weak tag equals another in the strong comparison of If-Match
        (format!("W/\"{stored}\""), false, false),
        (format!("\"{other}\""), false, true),
        (format!("W/\"{other}\""), false, true),
        (String::new(), false, true),
    ]
}

/// Conditions with whether they hold for what has the digest.
fn conditions(stored: &str, other: &str) -> Vec<(&'static str, String, bool)> {
    let of = |(value, matches, differs): (String, bool, bool)| {
        [
            ("If-Match", value.clone(), matches),
            ("If-None-Match", value, differs),
        ]
    };
    values(stored, other).into_iter().flat_map(of).collect()
}

/// Conditions with whether they hold for what is absent.
fn absent_conditions(other: &str) -> Vec<(&'static str, String, bool)> {
    ["*".to_owned(), format!("\"{other}\""), String::new()]
        .into_iter()
        .flat_map(|value| {
            [
                ("If-Match", value.clone(), false),
                ("If-None-Match", value, true),
            ]
        })
        .collect()
}

fn assert_answer(response: &Response, holds: bool, success: u16, what: &str) {
    if holds {
        assert_eq!(response.status, success, "{what} {response:?}");
    } else {
        response.refused(412, "UNSUPPORTED");
    }
}

struct Images {
    _server: Server,
    client: Client,
    one: serde_json::Value,
    two: serde_json::Value,
}

impl Images {
    /// Two images under the tags `one` and `two`.
    fn start() -> Self {
        let server = Server::start();
        let mut client = server.client();
        let [one, two] = ["one", "two"].map(|tag| push_image(&mut client, "a", tag, tag));
        Self {
            _server: server,
            client,
            one,
            two,
        }
    }

    /// Pushes the second image under a reference, with a condition.
    fn put(&mut self, reference: &str, header: &str, value: &str) -> Response {
        self.client
            .request("PUT", &format!("/v2/a/manifests/{reference}"))
            .header("Content-Type", media_type(&self.two))
            .header(header, value)
            .body(self.two.to_string().as_bytes())
            .send()
    }

    fn delete(&mut self, reference: &str, header: &str, value: &str) -> Response {
        self.client
            .request("DELETE", &format!("/v2/a/manifests/{reference}"))
            .header(header, value)
            .send()
    }

    /// Digest that a reference names, if any.
    fn target(&mut self, reference: &str) -> Option<String> {
        let head = self.client.head(&format!("/v2/a/manifests/{reference}"));
        head.header("docker-content-digest").map(str::to_owned)
    }
}

#[test]
fn a_tag_moves_only_if_the_condition_holds() {
    let mut images = Images::start();
    let (one, two) = (digest_of(&images.one), digest_of(&images.two));
    let first = images.one.clone();
    for (header, value, holds) in conditions(&one, &two) {
        push(&mut images.client, "a", "moving", &first);
        let answer = images.put("moving", header, &value);
        assert_answer(&answer, holds, 201, &format!("{header}: {value}"));
        let target = images.target("moving");
        assert_eq!(target.as_ref(), Some(if holds { &two } else { &one }));
    }
    for (header, value, holds) in absent_conditions(&two) {
        let answer = images.put("new?tag=also", header, &value);
        assert_answer(&answer, holds, 201, &format!("{header}: {value}"));
        for tag in ["new", "also"] {
            assert_eq!(images.target(tag).is_some(), holds, "{header}: {value}");
            let path = format!("/v2/a/manifests/{tag}");
            assert_eq!(images.client.delete(&path).status == 202, holds);
        }
    }
}

#[test]
fn a_manifest_is_stored_by_digest_only_if_the_condition_holds() {
    let mut images = Images::start();
    let (one, two) = (digest_of(&images.one), digest_of(&images.two));
    for (header, value, holds) in conditions(&two, &one) {
        let answer = images.put(&format!("{two}?tag=also"), header, &value);
        assert_answer(&answer, holds, 201, &format!("{header}: {value}"));
        assert_eq!(images.target("also").is_some(), holds, "{header}: {value}");
        if holds {
            assert_eq!(images.client.delete("/v2/a/manifests/also").status, 202);
        }
    }
    let path = format!("/v2/a/manifests/{two}");
    assert_eq!(images.client.delete(&path).status, 202);
    for (header, value, holds) in absent_conditions(&one) {
        let answer = images.put(&two, header, &value);
        assert_answer(&answer, holds, 201, &format!("{header}: {value}"));
        assert_eq!(images.target(&two).is_some(), holds);
        let path = format!("/v2/a/manifests/{two}");
        assert_eq!(images.client.delete(&path).status == 202, holds);
    }
}

#[test]
fn a_manifest_is_deleted_only_if_the_condition_holds() {
    let mut images = Images::start();
    let (one, two) = (digest_of(&images.one), digest_of(&images.two));
    let (first, second) = (images.one.clone(), images.two.clone());
    for (header, value, holds) in conditions(&one, &two) {
        let what = format!("{header}: {value}");
        push(&mut images.client, "a", "gone", &first);
        for reference in ["gone", &one] {
            let answer = images.delete(reference, header, &value);
            assert_answer(&answer, holds, 202, &what);
            assert_eq!(images.target(reference).is_some(), !holds, "{what}");
        }
        // what is absent is not found, whatever the condition
        let absent = images.delete("absent", header, &value);
        absent.refused(404, "MANIFEST_UNKNOWN");
    }
    push(&mut images.client, "a", "kept", &second);
}

#[test]
fn a_blob_is_stored_and_deleted_only_if_the_condition_holds() {
    let server = Server::start();
    let mut client = server.client();
    let content = noise(1, 3000);
    let (digest, other) = (sha256(&content), sha256(b"other"));
    let path = format!("/v2/a/blobs/{digest}");
    let absent = absent_conditions(&other).into_iter();
    let stored = conditions(&digest, &other).into_iter();
    let cases = absent.map(|case| (false, case));
    for (is_stored, (header, value, holds)) in cases.chain(stored.map(|case| (true, case))) {
        let what = format!("{header}: {value}, stored: {is_stored}");
        if is_stored {
            client.push_blob("a", &content);
        }
        let location = client.begin_upload("a");
        let patch = client.request("PATCH", &location).body(&content[..1000]);
        assert_eq!(patch.send().status, 202);
        let close = format!("{location}&digest={digest}");
        let mut put = client.request("PUT", &close).body(&content[1000..]);
        put = put.header(header, &value);
        assert_answer(&put.send(), holds, 201, &what);
        assert_eq!(client.head(&path).status == 200, is_stored || holds);
        if !holds {
            // the session is as it was before
            assert_eq!(client.get(&location).header("range"), Some("0-999"));
            let put = client.request("PUT", &close).body(&content[1000..]);
            assert_eq!(put.send().status, 201, "{what}");
        }
        let other = format!("\"{other}\"");
        let request = client.request("DELETE", &path).header("If-Match", &other);
        request.send().refused(412, "UNSUPPORTED");
        assert_eq!(client.head(&path).status, 200);
        let own = format!("\"{digest}\"");
        let request = client.request("DELETE", &path).header("If-Match", &own);
        assert_eq!(request.send().status, 202);
    }
    assert!(server.upload_files().is_empty());
}

/// Writers at once, each with an image of its own and the same condition on one tag.
fn race(server: &Server, header: &str, value: &str, round: u64) {
    let config = b"{}";
    server.client().push_blob("a", config);
    let manifests: Vec<_> = (0..6_u64)
        .map(|number| {
            let layer = noise(round * 10 + number, 100);
            server.client().push_blob("a", &layer);
            image(config, &[&layer])
        })
        .collect();
    let statuses = at_once(6, |number| {
        let manifest = &manifests[number];
        let mut client = server.client();
        let request = client
            .request("PUT", "/v2/a/manifests/raced")
            .header("Content-Type", media_type(manifest))
            .header(header, value);
        let body = manifest.to_string().into_bytes();
        request.body(&body).send().status
    });
    let winners: Vec<_> = (0..6).filter(|number| statuses[*number] == 201).collect();
    let losers = statuses.iter().filter(|status| **status == 412).count();
    assert_eq!((winners.len(), losers), (1, 5), "{statuses:?}");
    let head = server.client().head("/v2/a/manifests/raced");
    let won = digest_of(&manifests[winners[0]]);
    assert_eq!(head.header("docker-content-digest"), Some(&*won));
}

#[test]
fn of_writers_with_the_same_condition_one_wins() {
    let server = Server::start();
    race(&server, "If-None-Match", "*", 0);
    for round in 1..10 {
        let head = server.client().head("/v2/a/manifests/raced");
        let tag = head.header("etag").expect("an entity tag").to_owned();
        race(&server, "If-Match", &tag, round);
    }
}
