//! The request that closes an upload, repeated: after a cut, and after its answer was lost.

use super::{Wire, chunked};
use crate::support::{Client, Response, Server, eventually, noise, sha256};

/// Form in which a client sends the last chunk.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// Bytes that earlier chunks brought.
    start: usize,
    is_chunked: bool,
    has_range: bool,
}

impl Form {
    fn all() -> impl Iterator<Item = Self> {
        [0, 70_000].into_iter().flat_map(|start| {
            [(false, false), (false, true), (true, false), (true, true)].map(
                |(is_chunked, has_range)| Self {
                    start,
                    is_chunked,
                    has_range,
                },
            )
        })
    }

    /// Opens a session with the bytes before the last chunk.
    fn begin(self, client: &mut Client, content: &[u8]) -> String {
        let location = client.begin_upload("a");
        if self.start > 0 {
            let request = client.request("PATCH", &location);
            let response = request.body(&content[..self.start]).send();
            assert_eq!(response.status, 202, "{response:?}");
        }
        location
    }

    fn head(self, location: &str, content: &[u8]) -> String {
        let range = format!("Content-Range: {}-{}\r\n", self.start, content.len() - 1);
        let framing = if self.is_chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {}", content.len() - self.start)
        };
        format!(
            "PUT {location}&digest={} HTTP/1.1\r\nHost: x\r\n{}{framing}\r\n\r\n",
            sha256(content),
            if self.has_range { &range } else { "" }
        )
    }

    fn body(self, content: &[u8]) -> Vec<u8> {
        let rest = &content[self.start..];
        if self.is_chunked {
            chunked(&[rest])
        } else {
            rest.to_owned()
        }
    }

    /// Sends the whole request.
    fn close(self, server: &Server, location: &str, content: &[u8]) -> Response {
        let mut wire = Wire::open(server);
        wire.send(self.head(location, content));
        wire.send(self.body(content));
        wire.answer()
    }

    /// Sends the request and part of its body, and waits until the server has written some of it.
    fn begin_close(self, server: &Server, location: &str, content: &[u8]) -> Wire {
        let mut wire = Wire::open(server);
        wire.send(self.head(location, content));
        wire.send(&self.body(content)[..100_000]);
        eventually("some of it has arrived", || {
            server.upload_length(location) > self.start as u64
        });
        wire
    }
}

fn assert_blob(server: &Server, content: &[u8]) {
    let path = format!("/v2/a/blobs/{}", sha256(content));
    assert!(server.client().get(&path).body == content);
}

#[test]
fn a_cut_off_close_is_sent_again_whole() {
    let server = Server::start();
    for (number, form) in Form::all().enumerate() {
        let content = noise(number as u64, 300_000);
        let location = form.begin(&mut server.client(), &content);
        for _ in 0..2 {
            drop(form.begin_close(&server, &location, &content));
        }
        // at once: the server may not have noticed yet
        let answer = form.close(&server, &location, &content);
        assert_eq!(answer.status, 201, "{form:?} {answer:?}");
        assert_blob(&server, &content);
    }
    assert!(server.upload_files().is_empty());
}

#[test]
fn a_cut_off_close_takes_back_what_it_brought() {
    let server = Server::start();
    for (number, form) in Form::all().enumerate() {
        let content = noise(10 + number as u64, 300_000);
        let location = form.begin(&mut server.client(), &content);
        drop(form.begin_close(&server, &location, &content));
        eventually("only acknowledged bytes are left", || {
            server.upload_length(&location) == form.start as u64
        });
        let status = server.client().get(&location);
        let last = form.start.saturating_sub(1);
        assert_eq!(status.header("range"), Some(&*format!("0-{last}")));
        // the rest in another way
        let mut client = server.client();
        let patch = client.request("PATCH", &location);
        let answer = patch.body(&content[form.start..]).send();
        assert_eq!(answer.status, 202, "{form:?} {answer:?}");
        let path = format!("{location}&digest={}", sha256(&content));
        assert_eq!(client.request("PUT", &path).send().status, 201, "{form:?}");
        assert_blob(&server, &content);
    }
}

#[test]
fn a_close_that_a_restart_cut_off_is_sent_again_whole() {
    let mut server = Server::start();
    for (number, form) in Form::all().enumerate() {
        let content = noise(20 + number as u64, 300_000);
        let location = form.begin(&mut server.client(), &content);
        let wire = form.begin_close(&server, &location, &content);
        server.kill();
        drop(wire);
        server.restart();
        let answer = form.close(&server, &location, &content);
        assert_eq!(answer.status, 201, "{form:?} {answer:?}");
        assert_blob(&server, &content);
    }
    assert!(server.upload_files().is_empty());
}

#[test]
fn a_close_whose_answer_was_lost_is_answered_again() {
    let mut server = Server::start();
    for (number, form) in Form::all().enumerate() {
        let content = noise(30 + number as u64, 300_000);
        let location = form.begin(&mut server.client(), &content);
        let first = form.close(&server, &location, &content);
        assert_eq!(first.status, 201);
        let again = form.close(&server, &location, &content);
        assert_eq!(again.status, 201, "{form:?} {again:?}");
        for header in ["location", "docker-content-digest"] {
            assert_eq!(again.header(header), first.header(header));
        }
        if number % 2 == 0 {
            server.kill();
            server.restart();
        }
        let path = format!("{location}&digest={}", sha256(&content));
        let again = server.client().request("PUT", &path).send();
        assert_eq!(again.status, 201, "{form:?} {again:?}");
        assert_blob(&server, &content);
    }
    assert!(server.upload_files().is_empty());
}

/// A client that reads the answer only after it has sent everything gets it.
#[test]
fn the_body_of_a_repeated_close_is_read() {
    let server = Server::start();
    let content = noise(40, 12 << 20);
    let mut client = server.client();
    client.push_blob("a", &content);
    let location = client.begin_upload("a");
    let path = format!("{location}&digest={}", sha256(&content));
    for _ in 0..2 {
        // on one connection
        let answer = client.request("PUT", &path).body(&content).send();
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header("connection"), None);
    }
}

#[test]
fn a_close_is_answered_again_only_where_the_blob_is() {
    let server = Server::start();
    let mut client = server.client();
    let content = b"content";
    let location = client.begin_upload("a");
    let close = |location: &str, content: &[u8]| format!("{location}&digest={}", sha256(content));
    let request = client.request("PUT", &close(&location, content));
    assert_eq!(request.body(content).send().status, 201);
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    for path in [close(&location, b"other"), close(&elsewhere, content)] {
        let refusal = client.request("PUT", &path).body(content).send();
        refusal.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    // nor is it for other requests
    let refusal = client.request("PATCH", &location).body(content).send();
    refusal.refused(404, "BLOB_UPLOAD_UNKNOWN");
    let digest = sha256(content);
    assert_eq!(
        client.delete(&format!("/v2/a/blobs/{digest}")).status,
        202,
        "the blob is in use"
    );
    let path = close(&location, content);
    let refusal = client.request("PUT", &path).body(content).send();
    refusal.refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn an_empty_close_may_repeat_the_range_of_what_is_there() {
    let server = Server::start();
    let mut client = server.client();
    let content = noise(50, 3000);
    for (first, last) in [(0, 2999), (1000, 2999), (2999, 2999)] {
        for is_chunked in [false, true] {
            let location = client.begin_upload("a");
            for part in content.chunks(1000) {
                let request = client.request("PATCH", &location).body(part);
                assert_eq!(request.send().status, 202);
            }
            let path = format!("{location}&digest={}", sha256(&content));
            let range = format!("{first}-{last}");
            let refusal = client
                .request("PUT", &path)
                .header("Content-Range", &range)
                .body(&content[first..])
                .send();
            refusal.refused(416, "RANGE_INVALID");
            assert_eq!(refusal.header("range"), Some("0-2999"));
            for wrong in ["0-2998", "0-3000", "3000-3000", "1000-1999"] {
                let request = client.request("PUT", &path).header("Content-Range", wrong);
                assert!(matches!(request.send().status, 400 | 416), "{wrong}");
            }
            let mut request = client.request("PUT", &path).header("Content-Range", &range);
            if is_chunked {
                request = request
                    .header("Transfer-Encoding", "chunked")
                    .body(&chunked(&[]));
            }
            assert_eq!(request.send().status, 201, "{range}");
            assert_blob(&server, &content);
        }
    }
}

/// Clients append `&digest=` or `?digest=` without looking, or build the query anew.
#[test]
fn the_query_of_a_location_takes_a_digest_in_any_way() {
    let server = Server::start();
    let mut client = server.client();
    let content = noise(60, 3000);
    let digest = sha256(&content);
    let encoded = digest.replace(':', "%3A");
    for query in [
        format!("?_state=open&digest={digest}"),
        format!("?_state=open?digest={digest}"),
        format!("?_state=open&digest={encoded}"),
        format!("?digest={digest}"),
        format!("?digest={digest}&_state=open"),
        format!("?a=b&digest={digest}&_state=open&c"),
        format!("?_state=other&digest={digest}"),
    ] {
        let location = client.begin_upload("a");
        let (path, state) = location.split_once('?').expect("a query");
        assert_eq!(state, "_state=open");
        for at in [&*location, path] {
            let status = client.get(at);
            assert_eq!(status.header("location"), Some(&*location));
        }
        let patched = client.request("PATCH", path).body(&content[..1000]).send();
        assert_eq!(
            (patched.status, patched.header("location")),
            (202, Some(&*location))
        );
        for none in ["", "?_state=open", "?_state=open&digests=x", "?digest"] {
            let refusal = client.request("PUT", &format!("{path}{none}")).send();
            refusal.refused(400, "DIGEST_INVALID");
        }
        let close = client.request("PUT", &format!("{path}{query}"));
        assert_eq!(close.body(&content[1000..]).send().status, 201, "{query}");
        assert_blob(&server, &content);
    }
    let location = client.begin_upload("a");
    assert_eq!(client.delete(&location).status, 204);
}
