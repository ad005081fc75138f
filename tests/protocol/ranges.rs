//! Ranges of blobs and manifests (RFC 9110, section 14), against a reference that slices memory.

use std::cell::RefCell;
use std::ops::Range;

use proptest::prelude::*;

use super::{check, image, push};
use crate::support::{Response, Server, noise};

/// A requested range of content of a known size.
#[derive(Clone, Debug)]
enum RequestedRange {
    Closed(u64, u64),
    Open(u64),
    Suffix(u64),
}

impl RequestedRange {
    fn text(&self) -> String {
        match self {
            Self::Closed(first, last) => format!("{first}-{last}"),
            Self::Open(first) => format!("{first}-"),
            Self::Suffix(length) => format!("-{length}"),
        }
    }

    /// The selected range of `size` bytes; `None` if it is unsatisfiable.
    fn selects(&self, size: u64) -> Option<Range<u64>> {
        let range = match *self {
            Self::Closed(first, last) if first > last => return None,
            Self::Closed(first, last) => first..last.saturating_add(1).min(size),
            Self::Open(first) => first..size,
            Self::Suffix(length) => size.saturating_sub(length)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// Positions around the sizes at which the server changes its method of sending.
fn position() -> impl Strategy<Value = u64> {
    let edges = prop::sample::select(vec![
        0_u64,
        256,
        65_536,
        262_144,
        1 << 20,
        2 << 20,
        4 << 20,
        5 << 20,
        u64::MAX - 8,
    ]);
    prop_oneof![4 => (edges, -4_i64..5).prop_map(|(edge, off)| edge.saturating_add_signed(off)), 1 => 0_u64..6_000_000]
}

fn asked() -> impl Strategy<Value = RequestedRange> {
    prop_oneof![
        4 => (position(), position()).prop_map(|(a, b)| RequestedRange::Closed(a.min(b), a.max(b))),
        2 => (position(), 0_u64..600).prop_map(|(first, more)| RequestedRange::Closed(first, first.saturating_add(more))),
        1 => (position(), position()).prop_map(|(a, b)| RequestedRange::Closed(a, b)),
        1 => position().prop_map(RequestedRange::Open),
        1 => position().prop_map(RequestedRange::Suffix),
    ]
}

/// Asserts that an answer to `ranges` follows RFC 9110. A total above the content's size returns
/// the whole content.
fn assert_answers(
    response: &Response,
    content: &[u8],
    media_type: &str,
    ranges: &[RequestedRange],
) {
    let size = content.len() as u64;
    let selected: Vec<_> = ranges
        .iter()
        .filter_map(|range| range.selects(size))
        .collect();
    let slice = |range: &Range<u64>| &content[range.start as usize..range.end as usize];
    let described = |range: &Range<u64>| format!("bytes {}-{}/{size}", range.start, range.end - 1);
    if selected.is_empty() {
        response.refused(416, "RANGE_INVALID");
        assert_eq!(
            response.header("content-range"),
            Some(&*format!("bytes */{size}"))
        );
    } else if selected
        .iter()
        .map(|range| range.end - range.start)
        .sum::<u64>()
        > size
    {
        assert_eq!(
            (response.status, response.header("content-type")),
            (200, Some(media_type))
        );
        assert!(response.body == content);
    } else if let [range] = &selected[..] {
        assert_eq!(
            (response.status, response.header("content-type")),
            (206, Some(media_type))
        );
        assert_eq!(response.header("content-range"), Some(&*described(range)));
        assert!(response.body == slice(range), "other bytes");
    } else {
        assert_eq!(
            (response.status, response.header("content-range")),
            (206, None)
        );
        let parts = parse_multipart(response);
        assert_eq!(parts.len(), selected.len());
        for ((headers, body), range) in parts.iter().zip(&selected) {
            assert!(
                headers.contains(&format!("content-range: {}", described(range))),
                "{headers:?}"
            );
            assert!(
                headers.contains(&format!("content-type: {media_type}")),
                "{headers:?}"
            );
            assert!(*body == slice(range), "other bytes in part {range:?}");
        }
    }
}

/// Parses a `multipart/byteranges` body (RFC 2046, section 5.1): lower-cased header lines and bytes
/// of each part.
fn parse_multipart(response: &Response) -> Vec<(Vec<String>, &[u8])> {
    let media_type = response.header("content-type").expect("a content type");
    let boundary = media_type
        .strip_prefix("multipart/byteranges; boundary=")
        .expect("a boundary");
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let mut rest = &response.body[..];
    // the first delimiter needs no line break before it
    rest = rest
        .strip_prefix(b"\r\n")
        .unwrap_or(rest)
        .strip_prefix(&delimiter[2..])
        .expect("a first delimiter");
    let mut parts = Vec::new();
    while rest != b"--\r\n" && rest != b"--" {
        let after_line = rest
            .strip_prefix(b"\r\n")
            .expect("a line break after the delimiter");
        let head_end = find(after_line, b"\r\n\r\n").expect("the end of a part's headers");
        let headers = String::from_utf8(after_line[..head_end].to_vec())
            .expect("header text")
            .to_lowercase();
        let body = &after_line[head_end + 4..];
        let end = find(body, &delimiter).expect("a delimiter after the part");
        parts.push((headers.lines().map(str::to_owned).collect(), &body[..end]));
        rest = &body[end + delimiter.len()..];
    }
    parts
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn header(ranges: &[RequestedRange]) -> String {
    format!(
        "bytes={}",
        ranges
            .iter()
            .map(RequestedRange::text)
            .collect::<Vec<_>>()
            .join(", ")
    )
}

#[test]
fn ranges_of_blobs_match_the_reference() {
    let server = Server::start();
    let mut client = server.client();
    let sizes = [
        1,
        255,
        65_535,
        65_536,
        65_537,
        262_145,
        (2 << 20) - 1,
        2 << 20,
        (2 << 20) + 1,
        (5 << 20) + 3,
    ];
    let blobs: Vec<_> = (1..)
        .zip(sizes)
        .map(|(seed, size)| noise(seed, size))
        .collect();
    let paths: Vec<_> = blobs
        .iter()
        .map(|blob| format!("/v2/a/blobs/{}", client.push_blob("a", blob)))
        .collect();
    // one connection for all, so that leftovers of one answer would corrupt the next
    let client = RefCell::new(client);
    let any = (0..blobs.len(), prop::collection::vec(asked(), 1..5));
    check(150, &any, |(which, ranges)| {
        let response = client
            .borrow_mut()
            .request("GET", &paths[which])
            .header("Range", &header(&ranges))
            .send();
        assert_answers(
            &response,
            &blobs[which],
            "application/octet-stream",
            &ranges,
        );
    });
}

#[test]
fn ranges_of_manifests_match_the_reference() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let mut manifest = image(b"{}", &[]);
    manifest["annotations"] = serde_json::json!({ "padding": "x".repeat(70_000) });
    let digest = push(&mut client, "a", "v1", &manifest);
    let media_type = manifest["mediaType"].as_str().unwrap().to_owned();
    let content = manifest.to_string().into_bytes();
    let client = RefCell::new(client);
    check(
        60,
        &(prop::collection::vec(asked(), 1..4), any::<bool>()),
        |(ranges, by_tag)| {
            let path = format!("/v2/a/manifests/{}", if by_tag { "v1" } else { &digest });
            let response = client
                .borrow_mut()
                .request("GET", &path)
                .header("Range", &header(&ranges))
                .send();
            assert_answers(&response, &content, &media_type, &ranges);
            assert_eq!(
                response.header("docker-content-digest").is_some(),
                response.status != 416
            );
        },
    );
}

#[test]
fn unsatisfiable_ranges_are_refused_and_malformed_ones_ignored() {
    let server = Server::start();
    let mut client = server.client();
    let content = noise(1, 100_000);
    let path = format!("/v2/a/blobs/{}", client.push_blob("a", &content));
    for (range, status) in [
        ("bytes=500-0", 416),
        ("bytes=100000-", 416),
        ("bytes=-0", 416),
        ("bytes=100000-100001, 200000-", 416),
        ("bytes=99999999999999999999999999-", 416),
        ("bytes=0-99999999999999999999999999", 206),
        ("bytes=-99999999999999999999999999", 206),
        ("bytes=0-0,-1", 206),
        ("bytes=0-0,100000-", 206),
        ("bytes=", 200),
        ("bytes=a-b", 200),
        ("bytes=1", 200),
        ("bytes=--1", 200),
        ("bytes=0-1-2", 200),
        ("bytes=+1-2", 200),
        ("lines=0-1", 200),
        ("0-1", 200),
        ("bytes=0-99999,0-99999", 200),
    ] {
        let response = client.request("GET", &path).header("Range", range).send();
        assert_eq!(response.status, status, "{range}");
        match status {
            200 => assert!(response.body == content, "{range}"),
            416 => assert_eq!(
                response.header("content-range"),
                Some("bytes */100000"),
                "{range}"
            ),
            _ => assert!(
                response.header("content-range").is_some() || range.contains("0-0,-1"),
                "{range}"
            ),
        }
    }
    let empty = format!("/v2/a/blobs/{}", client.push_blob("a", b""));
    let response = client
        .request("GET", &empty)
        .header("Range", "bytes=0-")
        .send();
    assert!(
        matches!(response.status, 200 | 416)
            && (response.status == 416 || response.body.is_empty())
    );
}

/// A short request must not make the server hold and send far more than the content.
#[test]
fn thousands_of_ranges_are_not_answered_one_by_one() {
    let server = Server::start();
    let mut client = server.client();
    let content = noise(3, 100_000);
    let path = format!("/v2/a/blobs/{}", client.push_blob("a", &content));
    for ranges in [
        vec!["0-0"; 20_000],
        vec!["-1"; 20_000],
        ["5-5", "7-7"].repeat(10_000),
    ] {
        let response = client
            .request("GET", &path)
            .header("Range", &format!("bytes={}", ranges.join(",")))
            .send();
        assert!(response.status < 500, "{}", response.status);
        assert!(
            response.body.len() <= content.len() + 65_536,
            "{} bytes for a blob of {}",
            response.body.len(),
            content.len()
        );
    }
}

#[test]
fn a_range_conditional_on_another_version_returns_everything() {
    let server = Server::start();
    let mut client = server.client();
    let content = noise(2, 70_000);
    let digest = client.push_blob("a", &content);
    let path = format!("/v2/a/blobs/{digest}");
    for (condition, status, length) in [
        (format!("\"{digest}\""), 206, 10),
        ("\"other\"".to_owned(), 200, 70_000),
        ("Sat, 29 Oct 1994 19:43:31 GMT".to_owned(), 200, 70_000),
    ] {
        let response = client
            .request("GET", &path)
            .header("Range", "bytes=0-9")
            .header("If-Range", &condition)
            .send();
        assert_eq!(
            (response.status, response.body.len()),
            (status, length),
            "{condition}"
        );
    }
    let held = client
        .request("GET", &path)
        .header("Range", "bytes=0-9")
        .header("If-None-Match", &digest)
        .send();
    assert_eq!((held.status, held.body.len()), (304, 0));
}
