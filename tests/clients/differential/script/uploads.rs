//! Uploads in every order, the wrong ones too.

use super::Script;
use crate::support::content::{noise, sha256};

pub fn add(script: &mut Script) {
    whole(script);
    in_pieces(script);
    out_of_order(script);
    wrong_ends(script);
    cancelled(script);
    strange_sessions(script);
    other_digests(script);
}

const REPOSITORY: &str = "up/app";

fn whole(script: &mut Script) {
    let content = noise(1, 5000);
    script.blob("whole", REPOSITORY, &content);
    script.get(
        "whole-get",
        format!("/v2/{REPOSITORY}/blobs/{}", sha256(&content)),
    );
    script.blob("whole-again", REPOSITORY, &content);
    script.blob("empty", REPOSITORY, b"");
    script.get(
        "empty-get",
        format!("/v2/{REPOSITORY}/blobs/{}", sha256(b"")),
    );
    script.begin("chunked-post", REPOSITORY, "chunked");
    script
        .ask(
            "chunked-put",
            "PUT",
            format!("{{chunked}}digest={}", sha256(b"in chunks")),
        )
        .chunked(b"in chunks");
    script.begin("octets-post", REPOSITORY, "octets");
    let octets = script.ask(
        "octets-put",
        "PUT",
        format!("{{octets}}digest={}", sha256(b"octets")),
    );
    octets
        .header("Content-Type", "application/octet-stream")
        .body(b"octets");
    posts(script);
}

fn posts(script: &mut Script) {
    script.ask(
        "post-bare",
        "POST",
        format!("/v2/{REPOSITORY}/blobs/uploads"),
    );
    script
        .ask(
            "post-length",
            "POST",
            format!("/v2/{REPOSITORY}/blobs/uploads/"),
        )
        .body(b"");
    script
        .ask(
            "post-body",
            "POST",
            format!("/v2/{REPOSITORY}/blobs/uploads/"),
        )
        .body(b"some");
    script
        .ask(
            "post-digest",
            "POST",
            format!(
                "/v2/{REPOSITORY}/blobs/uploads/?digest={}",
                sha256(b"at once")
            ),
        )
        .body(b"at once");
    script.get(
        "post-digest-get",
        format!("/v2/{REPOSITORY}/blobs/{}", sha256(b"at once")),
    );
    script
        .ask(
            "post-digest-wrong",
            "POST",
            format!(
                "/v2/{REPOSITORY}/blobs/uploads/?digest={}",
                sha256(b"other")
            ),
        )
        .body(b"at once");
    script
        .ask(
            "post-digest-none",
            "POST",
            format!("/v2/{REPOSITORY}/blobs/uploads/?digest=nonsense"),
        )
        .body(b"at once");
    script.ask(
        "post-algorithm",
        "POST",
        format!("/v2/{REPOSITORY}/blobs/uploads/?digest-algorithm=sha512"),
    );
    script.ask(
        "post-algorithm-none",
        "POST",
        format!("/v2/{REPOSITORY}/blobs/uploads/?digest-algorithm=md5"),
    );
}

fn in_pieces(script: &mut Script) {
    let content = noise(2, 3000);
    script.begin("pieces-post", REPOSITORY, "pieces");
    script.get("pieces-status-0", "{pieces}").keep("pieces");
    script.ask("pieces-status-0-head", "HEAD", "{pieces}");
    script
        .ask("pieces-patch-1", "PATCH", "{pieces}")
        .body(&content[..1])
        .keep("pieces");
    script.get("pieces-status-1", "{pieces}").keep("pieces");
    script
        .ask("pieces-patch-2", "PATCH", "{pieces}")
        .header("Content-Range", "1-999")
        .body(&content[1..1000])
        .keep("pieces");
    script.get("pieces-status-1000", "{pieces}").keep("pieces");
    script
        .ask("pieces-patch-3", "PATCH", "{pieces}")
        .chunked(&content[1000..2000])
        .keep("pieces");
    script
        .ask("pieces-patch-empty", "PATCH", "{pieces}")
        .body(b"")
        .keep("pieces");
    script
        .ask(
            "pieces-put",
            "PUT",
            format!("{{pieces}}digest={}", sha256(&content)),
        )
        .body(&content[2000..]);
    script.get("pieces-status-after", "{pieces}");
    script
        .ask("pieces-patch-after", "PATCH", "{pieces}")
        .body(b"more");
    script.ask(
        "pieces-put-after",
        "PUT",
        format!("{{pieces}}digest={}", sha256(&content)),
    );
    script.ask("pieces-delete-after", "DELETE", "{pieces}");
    script.get(
        "pieces-get",
        format!("/v2/{REPOSITORY}/blobs/{}", sha256(&content)),
    );

    script.begin("patched-post", REPOSITORY, "patched");
    script
        .ask("patched-patch", "PATCH", "{patched}")
        .header("Content-Type", "application/octet-stream")
        .body(b"patched")
        .keep("patched");
    script
        .ask(
            "patched-put",
            "PUT",
            format!("{{patched}}digest={}", sha256(b"patched")),
        )
        .body(b"");
    script.begin("bare-post", REPOSITORY, "bare");
    script
        .ask("bare-patch", "PATCH", "{bare}")
        .body(b"patched, too")
        .keep("bare");
    script.ask(
        "bare-put",
        "PUT",
        format!("{{bare}}digest={}", sha256(b"patched, too")),
    );
}

fn out_of_order(script: &mut Script) {
    for (name, range, body) in [
        ("gap", "10-13", "abcd"),
        ("overlap", "0-3", "abcd"),
        ("with-unit", "bytes 5-8", "abcd"),
        ("with-total", "bytes 5-8/9", "abcd"),
        ("equals", "bytes=5-8", "abcd"),
        ("too-short", "5-9", "abcd"),
        ("too-long", "5-6", "abcd"),
        ("backwards", "8-5", "abcd"),
        ("empty-value", "", "abcd"),
        ("words", "some", "abcd"),
        ("one-number", "5", "abcd"),
        ("open", "5-", "abcd"),
        ("negative", "-5", "abcd"),
        ("star", "bytes */9", "abcd"),
        ("huge", "5-99999999999999999999999", "abcd"),
        ("spaces", " 5 - 8 ", "abcd"),
        ("no-body", "5-4", ""),
    ] {
        script.begin(&format!("range-{name}-post"), REPOSITORY, "range");
        script
            .ask(&format!("range-{name}-first"), "PATCH", "{range}")
            .body(b"12345")
            .keep("range");
        script
            .ask(&format!("range-{name}-patch"), "PATCH", "{range}")
            .header("Content-Range", range)
            .body(body.as_bytes())
            .keep("range");
        script.get(&format!("range-{name}-status"), "{range}");
    }
    script.begin("range-chunked-post", REPOSITORY, "range");
    script
        .ask("range-chunked-patch", "PATCH", "{range}")
        .header("Content-Range", "0-3")
        .chunked(b"abcd");
    script.begin("range-last-post", REPOSITORY, "range");
    script
        .ask("range-last-patch", "PATCH", "{range}")
        .body(b"12345")
        .keep("range");
    let last = script.ask(
        "range-last-put",
        "PUT",
        format!("{{range}}digest={}", sha256(b"12345abcd")),
    );
    last.header("Content-Range", "5-8").body(b"abcd");
    script.begin("range-last-wrong-post", REPOSITORY, "range");
    let last = script.ask(
        "range-last-wrong-put",
        "PUT",
        format!("{{range}}digest={}", sha256(b"abcd")),
    );
    last.header("Content-Range", "5-8").body(b"abcd");
}

fn wrong_ends(script: &mut Script) {
    script.begin("wrong-post", REPOSITORY, "wrong");
    script
        .ask(
            "wrong-put",
            "PUT",
            format!("{{wrong}}digest={}", sha256(b"other")),
        )
        .body(b"one");
    script.get("wrong-status", "{wrong}");
    script
        .ask(
            "wrong-put-right",
            "PUT",
            format!("{{wrong}}digest={}", sha256(b"one")),
        )
        .body(b"one");
    script.get(
        "wrong-get",
        format!("/v2/{REPOSITORY}/blobs/{}", sha256(b"other")),
    );
    let hex = "a".repeat(64);
    for (name, query) in [
        ("no-digest", String::new()),
        ("empty-digest", "digest=".to_owned()),
        ("malformed", "digest=nonsense".to_owned()),
        ("no-algorithm", format!("digest={hex}")),
        ("unknown-algorithm", format!("digest=sha999:{hex}")),
        (
            "md5",
            "digest=md5:0cc175b9c0f1b6a831c399e269772661".to_owned(),
        ),
        ("short", "digest=sha256:abcdef".to_owned()),
        ("upper", format!("digest=sha256:{}", hex.to_uppercase())),
        ("not-hex", format!("digest=sha256:{}", "g".repeat(64))),
        (
            "twice",
            format!("digest={}&digest={}", sha256(b"end"), sha256(b"other")),
        ),
        (
            "encoded",
            format!("digest={}", sha256(b"end").replace(':', "%3A")),
        ),
    ] {
        script.begin(&format!("end-{name}-post"), REPOSITORY, "end");
        script
            .ask(&format!("end-{name}-put"), "PUT", format!("{{end}}{query}"))
            .body(b"end");
    }
    script.begin("short-post", REPOSITORY, "short");
    script
        .ask("short-patch", "PATCH", "{short}")
        .body(b"part")
        .keep("short");
    script.ask(
        "short-put",
        "PUT",
        format!("{{short}}digest={}", sha256(b"part of it")),
    );
    script.get("short-status", "{short}");
}

fn cancelled(script: &mut Script) {
    script.begin("cancel-post", REPOSITORY, "cancel");
    script
        .ask("cancel-patch", "PATCH", "{cancel}")
        .body(b"part")
        .keep("cancel");
    script.ask("cancel-delete", "DELETE", "{cancel}");
    script.ask("cancel-delete-again", "DELETE", "{cancel}");
    script.get("cancel-status", "{cancel}");
    script
        .ask("cancel-patch-after", "PATCH", "{cancel}")
        .body(b"more");
    script.ask(
        "cancel-put-after",
        "PUT",
        format!("{{cancel}}digest={}", sha256(b"part")),
    );
}

fn strange_sessions(script: &mut Script) {
    script.begin("stateless-post", REPOSITORY, "stateless");
    script.get("stateless-status", "{stateless!}");
    script
        .ask("stateless-patch", "PATCH", "{stateless!}")
        .body(b"abc");
    script.ask(
        "stateless-put",
        "PUT",
        format!("{{stateless!}}?digest={}", sha256(b"abc")),
    );
    script.begin("forged-post", REPOSITORY, "forged");
    script
        .ask("forged-patch", "PATCH", "{forged!}?_state=forged")
        .body(b"abc");
    script.begin("method-post", REPOSITORY, "method");
    script.ask("method-post-session", "POST", "{method}");
    script.ask("method-options", "OPTIONS", "{method}");
    for (name, id) in [
        ("upper", "6BA7B810-9DAD-41D1-80B4-00C04FD430C8"),
        ("nil", "00000000-0000-0000-0000-000000000000"),
        ("word", "latest"),
        ("short", "6ba7b810"),
        ("dots", ".."),
        ("encoded-dots", "%2e%2e"),
        ("encoded-up", "..%2f..%2fregistry.db"),
        ("number", "1"),
        ("base64", "YWJjZA=="),
        ("space", "a%20b"),
    ] {
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            script.ask(
                &format!("id-{name}-{}", method.to_lowercase()),
                method,
                format!("/v2/{REPOSITORY}/blobs/uploads/{id}"),
            );
        }
    }
    // of another repository
    script.begin("elsewhere-post", "up/one", "elsewhere");
    script.get("elsewhere-status", "/v2/up/two/blobs/uploads/{elsewhere#}");
    script.ask(
        "elsewhere-delete",
        "DELETE",
        "/v2/up/two/blobs/uploads/{elsewhere#}",
    );
}

fn other_digests(script: &mut Script) {
    script.begin("sha512-wrong-post", REPOSITORY, "sha512");
    script
        .ask(
            "sha512-wrong-put",
            "PUT",
            format!("{{sha512}}digest=sha512:{}", "a".repeat(128)),
        )
        .body(b"other");
    script.begin("sha512-post", REPOSITORY, "sha512");
    let empty = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
    script
        .ask(
            "sha512-put",
            "PUT",
            format!("{{sha512}}digest=sha512:{empty}"),
        )
        .body(b"");
    script.get(
        "sha512-get",
        format!("/v2/{REPOSITORY}/blobs/sha512:{empty}"),
    );
    script.ask(
        "sha512-head",
        "HEAD",
        format!("/v2/{REPOSITORY}/blobs/sha512:{empty}"),
    );
}
