//! Upload sessions: every way to push a blob.

use std::cell::RefCell;

use proptest::prelude::*;

use crate::protocol::{check, chunked, sha512};
use crate::support::{Client, Response, Server, noise, sha256, upload_id};

/// Asserts that a session is open and has received `length` bytes.
fn assert_progress(response: &Response, status: u16, location: &str, length: usize) {
    assert_eq!(
        (response.status, response.header("location")),
        (status, Some(location)),
        "{response:?}"
    );
    assert_eq!(
        response.header("range"),
        Some(&*format!("0-{}", length.saturating_sub(1)))
    );
    assert_eq!(
        response.header("docker-upload-uuid"),
        Some(upload_id(location))
    );
}

fn assert_created(response: &Response, repository: &str, digest: &str) {
    assert_eq!(
        response.status,
        201,
        "{}",
        String::from_utf8_lossy(&response.body)
    );
    assert_eq!(
        response.header("location"),
        Some(&*format!("/v2/{repository}/blobs/{digest}"))
    );
    assert_eq!(response.header("docker-content-digest"), Some(digest));
    assert_eq!(response.header("content-length"), Some("0"));
}

/// Asserts that there is no such session, for a digest that was never stored either.
fn assert_closed(client: &mut Client, location: &str) {
    client.get(location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    client
        .request("PATCH", location)
        .body(b"more")
        .send()
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    client.delete(location).refused(404, "BLOB_UPLOAD_UNKNOWN");
    client
        .request("PUT", &format!("{location}&digest={}", sha256(b"never")))
        .send()
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn a_session_opens_at_a_relative_path_under_v2() {
    let server = Server::start();
    let mut client = server.client();
    for path in ["/v2/team/app/blobs/uploads/", "/v2/team/app/blobs/uploads"] {
        let response = client.request("POST", path).send();
        let location = response.header("location").unwrap().to_owned();
        assert!(
            location.starts_with("/v2/team/app/blobs/uploads/"),
            "{location}"
        );
        assert_progress(&response, 202, &location, 0);
        assert_eq!(
            client
                .request("PATCH", &location)
                .body(b"dropped")
                .send()
                .status,
            202
        );
        let cancelled = client.delete(&location);
        assert_eq!(
            (cancelled.status, cancelled.header("docker-upload-uuid")),
            (204, Some(upload_id(&location)))
        );
        assert_closed(&mut client, &location);
    }
    assert!(server.upload_files().is_empty());
}

/// Sends the piece of a blob that begins at `start`, in one of four forms of PATCH.
fn patch(client: &mut Client, location: &str, start: usize, piece: &[u8], form: u8) -> Response {
    let range = format!("{start}-{}", (start + piece.len()).saturating_sub(1));
    let request = client.request("PATCH", location);
    match form {
        0 if !piece.is_empty() => request.header("Content-Range", &range).body(piece).send(),
        1 if !piece.is_empty() => request
            .header("Content-Range", &format!("bytes {range}/*"))
            .body(piece)
            .send(),
        2 => {
            let (first, second) = piece.split_at(piece.len() / 2);
            let halves: Vec<_> = [first, second]
                .into_iter()
                .filter(|half| !half.is_empty())
                .collect();
            request
                .header("Transfer-Encoding", "chunked")
                .body(&chunked(&halves))
                .send()
        }
        _ => request
            .header("Content-Type", "application/octet-stream")
            .body(piece)
            .send(),
    }
}

/// Any mixture of PATCH forms, with or without a last part in the PUT.
#[test]
fn a_blob_may_be_sent_in_any_chunks() {
    let server = Server::start();
    let client = RefCell::new(server.client());
    let piece = (
        prop_oneof![
            Just(0_usize),
            1_usize..50,
            60_000_usize..70_000,
            Just(300_000)
        ],
        0_u8..4,
    );
    let any = (
        prop::collection::vec(piece, 0..6),
        any::<bool>(),
        any::<bool>(),
        any::<u64>(),
    );
    check(50, &any, |(pieces, last_with_put, is_sha512, seed)| {
        let mut client = client.borrow_mut();
        let content = noise(seed, pieces.iter().map(|(size, _)| size).sum());
        let digest = if is_sha512 {
            sha512(&content)
        } else {
            sha256(&content)
        };
        let location = client.begin_upload("a");
        let (mut sent, count) = (0, pieces.len());
        let mut put_body = &content[..0];
        for (number, (size, form)) in pieces.into_iter().enumerate() {
            let piece = &content[sent..sent + size];
            if last_with_put && number + 1 == count {
                put_body = piece;
                break;
            }
            let response = patch(&mut client, &location, sent, piece, form);
            sent += size;
            assert_progress(&response, 202, &location, sent);
            assert_progress(&client.get(&location), 204, &location, sent);
        }
        let response = client
            .request("PUT", &format!("{location}&digest={digest}"))
            .body(put_body)
            .send();
        assert_created(&response, "a", &digest);
        assert!(client.get(&format!("/v2/a/blobs/{digest}")).body == content);
        assert_closed(&mut client, &location);
    });
    assert!(server.upload_files().is_empty());
}

#[test]
fn a_blob_may_be_sent_in_one_request() {
    let server = Server::start();
    let mut client = server.client();
    for (seed, size) in (1..).zip([0, 1, 70_000, (3 << 20) + 1]) {
        let content = noise(seed, size);
        for digest in [sha256(&content), sha512(&content)] {
            let path = format!("/v2/a/blobs/uploads/?digest={digest}");
            for _ in 0..2 {
                assert_created(
                    &client.request("POST", &path).body(&content).send(),
                    "a",
                    &digest,
                );
            }
            let streamed = client
                .request("POST", &path)
                .header("Transfer-Encoding", "chunked")
                .body(&chunked(&[b"x"]))
                .send();
            streamed.refused(400, "DIGEST_INVALID");
            assert!(client.get(&format!("/v2/a/blobs/{digest}")).body == content);
        }
    }
    assert!(server.upload_files().is_empty());
    assert_eq!(server.blob_files().len(), 8);
}

#[test]
fn chunks_out_of_order_are_refused_with_the_current_offset() {
    let server = Server::start();
    let mut client = server.client();
    let location = client.begin_upload("a");
    for range in ["1-4", "bytes 1-4/*"] {
        let response = client
            .request("PATCH", &location)
            .header("Content-Range", range)
            .body(b"four")
            .send();
        response.refused(416, "RANGE_INVALID");
        assert_progress_headers(&response, &location, "0-0");
    }
    assert_eq!(
        client
            .request("PATCH", &location)
            .header("Content-Range", "0-3")
            .body(b"four")
            .send()
            .status,
        202
    );
    for (method, range) in [
        ("PATCH", "0-3"),
        ("PATCH", "3-6"),
        ("PATCH", "5-8"),
        ("PUT", "5-8"),
    ] {
        let path = if method == "PUT" {
            format!("{location}&digest={}", sha256(b"fourfour"))
        } else {
            location.clone()
        };
        let response = client
            .request(method, &path)
            .header("Content-Range", range)
            .body(b"four")
            .send();
        response.refused(416, "RANGE_INVALID");
        assert_progress_headers(&response, &location, "0-3");
        assert_progress(&client.get(&location), 204, &location, 4);
    }
    let digest = sha256(b"fourfour");
    let path = format!("{location}&digest={digest}");
    assert_created(
        &client
            .request("PUT", &path)
            .header("Content-Range", "4-7")
            .body(b"four")
            .send(),
        "a",
        &digest,
    );
}

fn assert_progress_headers(response: &Response, location: &str, range: &str) {
    assert_eq!(
        (response.header("location"), response.header("range")),
        (Some(location), Some(range))
    );
}

#[test]
fn a_chunk_of_another_length_is_discarded() {
    let server = Server::start();
    let mut client = server.client();
    let location = client.begin_upload("a");
    assert_eq!(
        client
            .request("PATCH", &location)
            .body(b"kept")
            .send()
            .status,
        202
    );
    for (range, body) in [
        ("4-9", "four"),
        ("4-5", "four"),
        ("4-4", ""),
        ("bytes 4-99/100", "four"),
    ] {
        let response = client
            .request("PATCH", &location)
            .header("Content-Range", range)
            .body(body.as_bytes())
            .send();
        response.refused(400, "SIZE_INVALID");
        assert_progress(&client.get(&location), 204, &location, 4);
        let coded = chunked(&[b"fo", b"ur"]);
        let request = client
            .request("PATCH", &location)
            .header("Content-Range", "4-9")
            .header("Transfer-Encoding", "chunked");
        request.body(&coded).send().refused(400, "SIZE_INVALID");
    }
    // some clients announce an empty chunk as one that ends before its start
    let empty = client
        .request("PATCH", &location)
        .header("Content-Range", "4-3")
        .send();
    assert_progress(&empty, 202, &location, 4);
    for range in [
        "",
        "4",
        "-",
        "4-",
        "-7",
        "a-b",
        "7-4",
        "4-7-9",
        "-1--4",
        "4-99999999999999999999999",
        "\u{e9}-1",
    ] {
        let response = client
            .request("PATCH", &location)
            .header("Content-Range", range)
            .body(b"four")
            .send();
        response.refused(400, "BLOB_UPLOAD_INVALID");
    }
    let digest = sha256(b"kept");
    assert_created(
        &client
            .request("PUT", &format!("{location}&digest={digest}"))
            .send(),
        "a",
        &digest,
    );
}

#[test]
fn a_wrong_digest_leaves_nothing() {
    let server = Server::start();
    let mut client = server.client();
    for (sent, wrong) in [
        (&b"content"[..], sha256(b"other")),
        (b"content", sha512(b"other")),
        (b"", sha256(b"other")),
    ] {
        for with_patch in [true, false] {
            let location = client.begin_upload("a");
            let mut request = client.request("PATCH", &location);
            if with_patch {
                assert_eq!(request.body(sent).send().status, 202);
                request = client.request("PUT", &format!("{location}&digest={wrong}"));
            } else {
                request = client
                    .request("PUT", &format!("{location}&digest={wrong}"))
                    .body(sent);
            }
            request.send().refused(400, "DIGEST_INVALID");
            assert_closed(&mut client, &location);
        }
        client
            .request("POST", &format!("/v2/a/blobs/uploads/?digest={wrong}"))
            .body(sent)
            .send()
            .refused(400, "DIGEST_INVALID");
        for digest in [&wrong, &sha256(sent), &sha512(sent)] {
            assert_eq!(client.head(&format!("/v2/a/blobs/{digest}")).status, 404);
        }
    }
    assert!(server.upload_files().is_empty() && server.blob_files().is_empty());
}

#[test]
fn the_algorithm_may_be_given_first_or_last() {
    let server = Server::start();
    let mut client = server.client();
    let content = noise(9, 200_000);
    for (query, digest) in [
        ("?digest-algorithm=sha512", sha512(&content)),
        ("", sha512(&content)),
        ("?digest-algorithm=sha256", sha256(&content)),
        ("?digest-algorithm=sha512", sha256(&content)),
    ] {
        let response = client
            .request("POST", &format!("/v2/a/blobs/uploads/{query}"))
            .send();
        let location = response.header("location").unwrap().to_owned();
        assert_progress(&response, 202, &location, 0);
        assert_eq!(
            client
                .request("PATCH", &location)
                .body(&content[..100_000])
                .send()
                .status,
            202
        );
        let finished = client
            .request("PUT", &format!("{location}&digest={digest}"))
            .body(&content[100_000..])
            .send();
        assert_created(&finished, "a", &digest);
        assert!(client.get(&format!("/v2/a/blobs/{digest}")).body == content);
    }
    for query in [
        "digest-algorithm=md5",
        "digest-algorithm=",
        "digest=",
        "digest=sha256",
        "digest=md5:00",
    ] {
        client
            .request("POST", &format!("/v2/a/blobs/uploads/?{query}"))
            .send()
            .refused(400, "DIGEST_INVALID");
    }
}

#[test]
fn a_session_belongs_to_its_repository() {
    let server = Server::start();
    let mut client = server.client();
    let location = client.begin_upload("a");
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    assert_closed(&mut client, &elsewhere);
    assert_eq!(
        client.request("PATCH", &location).body(b"x").send().status,
        202
    );
    assert_closed(&mut client, &elsewhere);
    assert_progress(&client.get(&location), 204, &location, 1);
    let id = upload_id(&location);
    for other in [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        "..%2f..%2fregistry.db".into(),
        "0".into(),
    ] {
        client.get(&format!("/v2/a/blobs/uploads/{other}")).refused(
            404,
            if other.contains("%2f") {
                "UNSUPPORTED"
            } else {
                "BLOB_UPLOAD_UNKNOWN"
            },
        );
    }
    client
        .request("PUT", &location)
        .send()
        .refused(400, "DIGEST_INVALID");
    assert_eq!(client.head(&location).status, 204);
}
