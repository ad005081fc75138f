//! Bytes that are no request, or only nearly.

use super::Script;

const HOST: &str = "Host: localhost\r\nConnection: close\r\n";

fn post(headers: &str, body: &str) -> String {
    format!("POST /v2/un/app/blobs/uploads/ HTTP/1.1\r\n{HOST}{headers}\r\n\r\n{body}")
}

fn put(header: &str, body: &str) -> String {
    format!("PUT /v2/un/app/manifests/v1 HTTP/1.1\r\n{HOST}{header}\r\n\r\n{body}")
}

pub fn add(script: &mut Script) {
    let many: String = (0..90).map(|number| format!("X-{number}: y\r\n")).collect();
    let get = |headers: &str| format!("GET /v2/ HTTP/1.1\r\n{HOST}{headers}\r\n");
    let line = |line: &str| format!("{line}\r\n{HOST}\r\n");
    for (name, text) in [
        ("http-1.0", "GET /v2/ HTTP/1.0\r\n\r\n".to_owned()),
        (
            "http-1.0-host",
            "GET /v2/ HTTP/1.0\r\nHost: localhost\r\n\r\n".to_owned(),
        ),
        ("http-0.9", "GET /v2/\r\n\r\n".to_owned()),
        ("http-1.2", line("GET /v2/ HTTP/1.2")),
        ("http-2.0", line("GET /v2/ HTTP/2.0")),
        ("http-9.9", line("GET /v2/ HTTP/9.9")),
        ("not-http", line("GET /v2/ FTP/1.1")),
        (
            "no-host",
            "GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(),
        ),
        (
            "empty-host",
            "GET /v2/ HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n".to_owned(),
        ),
        ("two-hosts", get("Host: a\r\n")),
        (
            "odd-host",
            "GET /v2/ HTTP/1.1\r\nHost: a b/c\r\nConnection: close\r\n\r\n".to_owned(),
        ),
        (
            "line-feeds",
            "GET /v2/ HTTP/1.1\nHost: localhost\nConnection: close\n\n".to_owned(),
        ),
        ("empty-line-first", line("\r\nGET /v2/ HTTP/1.1")),
        ("no-target", line("GET HTTP/1.1")),
        ("two-spaces", line("GET  /v2/ HTTP/1.1")),
        ("space-in-target", line("GET /v2/ x HTTP/1.1")),
        ("relative-target", line("GET v2/ HTTP/1.1")),
        ("odd-method", line("G(T /v2/ HTTP/1.1")),
        ("nul-in-target", line("GET /v2/\0 HTTP/1.1")),
        ("tab-in-target", line("GET /v2/\tx HTTP/1.1")),
        ("no-colon", get("Nonsense\r\n")),
        ("space-before-colon", get("X-A : b\r\n")),
        ("no-name", get(": b\r\n")),
        ("folded", get("X-A: b\r\n c\r\n")),
        ("nul-in-header", get("X-A: b\0c\r\n")),
        ("bare-cr", get("X-A: b\rc\r\n")),
        ("ninety-headers", get(&many)),
        ("length-negative", post("Content-Length: -1", "")),
        ("preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("noise", "\u{1}\u{2}\u{3}\u{4}\r\n\r\n".to_owned()),
        (
            "long-target",
            line(&format!("GET /v2/{} HTTP/1.1", "a".repeat(100_000))),
        ),
        (
            "long-header",
            get(&format!("X-A: {}\r\n", "a".repeat(100_000))),
        ),
    ] {
        script.raw(name, text);
    }
    bodies(script);
    cut_off(script);
}

fn bodies(script: &mut Script) {
    for (name, text) in [
        ("length-word", post("Content-Length: one", "")),
        ("length-plus", post("Content-Length: +1", "a")),
        (
            "length-huge",
            post("Content-Length: 99999999999999999999", ""),
        ),
        (
            "length-twice",
            post("Content-Length: 1\r\nContent-Length: 2", "ab"),
        ),
        (
            "length-twice-same",
            post("Content-Length: 1\r\nContent-Length: 1", "a"),
        ),
        (
            "length-and-chunked",
            post(
                "Content-Length: 5\r\nTransfer-Encoding: chunked",
                "0\r\n\r\n",
            ),
        ),
        ("encoding-unknown", post("Transfer-Encoding: gzip", "")),
        (
            "encoding-two",
            post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
        ),
        (
            "encoding-hidden",
            post("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ),
        (
            "chunk-size-odd",
            put("Transfer-Encoding: chunked", "xyz\r\n\r\n"),
        ),
    ] {
        script.raw(name, text);
    }
}

fn cut_off(script: &mut Script) {
    for (name, text) in [
        ("manifest-cut-off", put("Content-Length: 100", "{\"schema")),
        (
            "chunks-cut-off",
            put("Transfer-Encoding: chunked", "5\r\nabc"),
        ),
        (
            "tls",
            "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03".to_owned(),
        ),
        ("ssh", "SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
        ("redis", "*1\r\n$4\r\nPING\r\n".to_owned()),
        ("nothing", String::new()),
    ] {
        script.cut_off(name, text);
    }
}
