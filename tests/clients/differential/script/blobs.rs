//! Reading blobs: ranges, conditions, digests that are none.

use super::Script;
use crate::support::content::{noise, sha256};

pub fn add(script: &mut Script) {
    let content = noise(3, 1000);
    let known = script.blob("source", "blob/app", &content);
    let path = format!("/v2/blob/app/blobs/{known}");
    let ranges = [
        ("first", "bytes=0-9"),
        ("all", "bytes=0-999"),
        ("open", "bytes=0-"),
        ("middle", "bytes=500-"),
        ("suffix", "bytes=-10"),
        ("long-suffix", "bytes=-5000"),
        ("beyond", "bytes=990-5000"),
        ("one", "bytes=999-999"),
        ("outside", "bytes=1000-"),
        ("far-outside", "bytes=5000-6000"),
        ("backwards", "bytes=9-0"),
        ("no-suffix", "bytes=-0"),
        ("none", "bytes="),
        ("words", "bytes=a-b"),
        ("minus", "bytes=-"),
        ("unit", "lines=0-9"),
        ("no-unit", "0-9"),
        ("upper-unit", "Bytes=0-9"),
        ("spaces", "bytes= 0-9 "),
        ("huge", "bytes=0-99999999999999999999999"),
        ("huge-first", "bytes=99999999999999999999999-"),
        ("two", "bytes=0-9,20-29"),
        ("two-spaced", "bytes=0-9, 20-29"),
        ("overlapping", "bytes=0-9,5-14"),
        ("half-outside", "bytes=0-9,5000-"),
        ("both-outside", "bytes=4000-,5000-"),
        ("twice-all", "bytes=0-999,0-999"),
        ("trailing-comma", "bytes=0-9,"),
        ("many", "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14"),
    ];
    for (name, range) in ranges {
        script
            .get(&format!("range-{name}"), &path)
            .header("Range", range);
    }
    for (name, range) in &ranges[..10] {
        script
            .ask(&format!("range-{name}-head"), "HEAD", &path)
            .header("Range", range);
    }
    conditions(script, &path, &known);
    digests(script, &known);
}

fn conditions(script: &mut Script, path: &str, known: &str) {
    let quoted = format!("\"{known}\"");
    for (name, header, value) in [
        ("none-match", "If-None-Match", quoted.clone()),
        ("none-match-bare", "If-None-Match", known.to_owned()),
        ("none-match-weak", "If-None-Match", format!("W/{quoted}")),
        (
            "none-match-list",
            "If-None-Match",
            format!("\"a\", {quoted}"),
        ),
        ("none-match-any", "If-None-Match", "*".to_owned()),
        ("none-match-other", "If-None-Match", "\"other\"".to_owned()),
        ("none-match-empty", "If-None-Match", String::new()),
        ("match", "If-Match", quoted.clone()),
        ("match-any", "If-Match", "*".to_owned()),
        ("match-other", "If-Match", "\"other\"".to_owned()),
        (
            "modified",
            "If-Modified-Since",
            "Fri, 01 Jan 2100 00:00:00 GMT".to_owned(),
        ),
        (
            "modified-long-ago",
            "If-Modified-Since",
            "Thu, 01 Jan 1970 00:00:00 GMT".to_owned(),
        ),
        (
            "modified-malformed",
            "If-Modified-Since",
            "yesterday".to_owned(),
        ),
        (
            "unmodified",
            "If-Unmodified-Since",
            "Thu, 01 Jan 1970 00:00:00 GMT".to_owned(),
        ),
        ("gzip", "Accept-Encoding", "gzip, zstd".to_owned()),
        ("accept", "Accept", "application/json".to_owned()),
        ("accept-none", "Accept", "text/html;q=0".to_owned()),
        ("expect", "Expect", "100-continue".to_owned()),
        ("expect-other", "Expect", "200-ok".to_owned()),
        ("body", "Content-Type", "application/json".to_owned()),
    ] {
        script
            .get(&format!("if-{name}"), path)
            .header(header, &value);
        script
            .ask(&format!("if-{name}-head"), "HEAD", path)
            .header(header, &value);
    }
    for (name, value) in [
        ("same", quoted.as_str()),
        ("other", "\"other\""),
        ("bare", known),
        ("weak", "W/\"a\""),
    ] {
        script
            .get(&format!("if-range-{name}"), path)
            .header("If-Range", value)
            .header("Range", "bytes=0-9");
    }
    script.get("with-body", path).body(b"{}");
    script
        .get("twice-range", path)
        .header("Range", "bytes=0-1")
        .header("Range", "bytes=2-3");
}

fn digests(script: &mut Script, known: &str) {
    let hex = known.trim_start_matches("sha256:");
    for (name, digest) in [
        ("absent", sha256(b"never pushed")),
        ("encoded", known.replace(':', "%3a")),
        ("bare", hex.to_owned()),
        ("short", known[..40].to_owned()),
        ("long", format!("{known}0")),
        ("upper", format!("sha256:{}", hex.to_uppercase())),
        ("upper-algorithm", format!("SHA256:{hex}")),
        ("no-hex", "sha256:".to_owned()),
        ("no-algorithm", format!(":{hex}")),
        (
            "sha1",
            "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709".to_owned(),
        ),
        ("sha512-absent", format!("sha512:{}", "a".repeat(128))),
        ("plus", format!("sha256+b64:{hex}")),
        ("tag", "latest".to_owned()),
        ("dash", format!("sha256-{hex}")),
        ("not-hex", format!("sha256:{}", "z".repeat(64))),
        ("space", format!("sha256:%20{hex}")),
        ("unicode", "sha256:%C3%A4".to_owned()),
        ("up", "sha256:..%2f..%2fregistry.db".to_owned()),
    ] {
        script.get(
            &format!("digest-{name}"),
            format!("/v2/blob/app/blobs/{digest}"),
        );
        script.ask(
            &format!("digest-{name}-head"),
            "HEAD",
            format!("/v2/blob/app/blobs/{digest}"),
        );
        script.ask(
            &format!("digest-{name}-delete"),
            "DELETE",
            format!("/v2/blob/other/blobs/{digest}"),
        );
    }
    script.get("elsewhere", format!("/v2/blob/other/blobs/{known}"));
}
