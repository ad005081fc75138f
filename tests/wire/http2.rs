//! HTTP/2, negotiated in TLS or with prior knowledge.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use super::Secure;
use super::pki::secure;
use crate::load::memory;
use crate::support::client::dial_tcp;
use crate::support::{Image, Server, noise, sha256};

/// An HTTP/2 connection.
pub struct Second {
    sender: SendRequest<BoxBody<Bytes, Infallible>>,
    scheme: &'static str,
}

impl Second {
    async fn plain(server: &Server) -> Self {
        Self::plain_with(server, None).await
    }

    pub async fn plain_with(server: &Server, window: Option<u32>) -> Self {
        let stream = TcpStream::connect(server.address())
            .await
            .expect("a connection");
        Self {
            sender: Self::handshake(TokioIo::new(stream), window).await,
            scheme: "http",
        }
    }

    async fn encrypted(server: &Secure, window: Option<u32>) -> Self {
        let config = Arc::new(server.authority.client_config(None, &["h2", "http/1.1"]));
        let stream = TcpStream::connect(server.server.address())
            .await
            .expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, stream)
            .await
            .expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self {
            sender: Self::handshake(TokioIo::new(stream), window).await,
            scheme: "https",
        }
    }

    async fn handshake<T>(stream: T, window: Option<u32>) -> SendRequest<BoxBody<Bytes, Infallible>>
    where
        T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(window)
            .initial_connection_window_size(window.map(|_| 1 << 30));
        let (sender, connection) = builder.handshake(stream).await.expect("a preface");
        tokio::spawn(connection);
        sender
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Request<BoxBody<Bytes, Infallible>> {
        let uri = format!("{}://localhost{path}", self.scheme);
        Request::builder()
            .method(method)
            .uri(uri)
            .body(Full::new(Bytes::copy_from_slice(body)).boxed())
            .expect("a request")
    }

    async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> hyper::Result<Response<Incoming>> {
        let request = self.request(method, path, body);
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    /// Sends a request at once, whatever is open already; returns what waits for its answer.
    pub fn ask(
        &self,
        path: &str,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        let mut sender = self.sender.clone();
        sender.send_request(self.request("GET", path, b""))
    }

    pub async fn exchange(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Bytes) {
        let response = self.send(method, path, body).await.expect("an answer");
        assert_eq!(response.version(), Version::HTTP_2);
        if path.starts_with("/v2/") {
            let headers = response.headers();
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert!(headers.contains_key("content-security-policy"));
        }
        let status = response.status().as_u16();
        (
            status,
            response
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes(),
        )
    }

    async fn push(&mut self, repository: &str, blob: &[u8]) {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={}", sha256(blob));
        assert_eq!(self.exchange("POST", &path, blob).await.0, 201);
    }
}

/// Pushes and pulls an image, and requests absent content.
async fn push_and_pull_image(mut second: Second) {
    let image = Image::new(
        "second",
        vec![noise(1, 100), noise(2, 80_000), noise(3, (9 << 20) + 1)],
    );
    for blob in image.layers.iter().chain([&image.config]) {
        second.push("a", blob).await;
    }
    let mut request = second.request("PUT", "/v2/a/manifests/v1", &image.manifest);
    request.headers_mut().insert(
        "content-type",
        crate::support::OCI_MANIFEST.parse().expect("a value"),
    );
    second.sender.ready().await.expect("a connection");
    assert_eq!(
        second
            .sender
            .send_request(request)
            .await
            .expect("an answer")
            .status(),
        201
    );
    let (status, manifest) = second.exchange("GET", "/v2/a/manifests/v1", b"").await;
    assert!(status == 200 && manifest == image.manifest);
    // all concurrently
    let mut answers = Vec::new();
    for _ in 0..3 {
        for layer in &image.layers {
            answers.push((
                second
                    .send("GET", &format!("/v2/a/blobs/{}", sha256(layer)), b"")
                    .await
                    .expect("an answer"),
                layer,
            ));
        }
    }
    for (answer, layer) in answers {
        assert!(
            answer
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes()
                == **layer
        );
    }
    let (status, body) = second.exchange("GET", "/v2/a/manifests/v2", b"").await;
    assert!(status == 404 && String::from_utf8_lossy(&body).contains("MANIFEST_UNKNOWN"));
    // refused before its body is sent; the connection continues
    let (status, _) = second
        .exchange("PUT", "/v2/UPPER/manifests/v1", &noise(4, 200_000))
        .await;
    assert_eq!(status, 400);
    assert_eq!(
        second.exchange("GET", "/v2/", b"").await,
        (200, Bytes::from("{}"))
    );
}

/// Go's clients end bodies with an empty DATA frame, and may send one at any time.
#[test]
fn empty_data_frames_are_accepted() {
    let server = Secure::start();
    wait_for(async {
        let mut second = Second::encrypted(&server, None).await;
        for pieces in [&[""][..], &["", ""], &["", "a", "", "bc", ""]] {
            let path = format!(
                "/v2/a/blobs/uploads/?digest={}",
                sha256(pieces.concat().as_bytes())
            );
            let frames: Vec<_> = pieces
                .iter()
                .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece.as_bytes()))))
                .collect();
            let request = second
                .request("POST", &path, b"")
                .map(|_| StreamBody::new(futures_util::stream::iter(frames)).boxed());
            second.sender.ready().await.expect("a connection");
            let answer = second
                .sender
                .send_request(request)
                .await
                .expect("an answer");
            assert_eq!(answer.status(), 201, "{pieces:?}");
        }
    });
}

pub fn wait_for<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

#[test]
fn images_are_pushed_and_pulled_over_tls() {
    let server = Secure::start();
    wait_for(async { push_and_pull_image(Second::encrypted(&server, None).await).await });
}

#[test]
fn bodies_that_end_with_a_whole_frame_arrive_at_once_over_tls() {
    /// Size of a frame's content.
    const FRAME: usize = 16 << 10;
    let server = Secure::start();
    wait_for(async {
        // with room for one frame, the client says nothing before it has come
        let mut second = Second::encrypted(&server, Some(FRAME as u32)).await;
        for size in [FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 3 * FRAME, 4 * FRAME] {
            let blob = noise(size as u64, size);
            second.push("a", &blob).await;
            let path = format!("/v2/a/blobs/{}", sha256(&blob));
            let pull = second.exchange("GET", &path, b"");
            let (status, body) = tokio::time::timeout(Duration::from_secs(20), pull)
                .await
                .unwrap_or_else(|_| panic!("{size} bytes are not sent to their end"));
            assert_eq!((status, body == blob), (200, true), "{size} bytes");
        }
    });
}

#[test]
fn images_are_pushed_and_pulled_without_tls_if_enabled() {
    let server = Server::with(&[("REGISTRY_HTTP_H2C_ENABLED", "true")]);
    wait_for(async { push_and_pull_image(Second::plain(&server).await).await });
    // HTTP/1.1 still works, even with unusual beginnings
    assert_eq!(server.client().get("/v2/").status, 200);
    assert_eq!(server.client().request("PRI", "/v2/").send().status, 405);
}

#[test]
fn the_negotiated_protocol_follows_the_settings() {
    for (environment, offered, expected) in [
        (&[][..], &["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&[], &["http/1.1"], Some(b"http/1.1")),
        (&[], &[], None),
        (
            &[("REGISTRY_HTTP_HTTP2_DISABLED", "true")],
            &["h2", "http/1.1"],
            Some(b"http/1.1"),
        ),
    ] {
        let server = Secure::with(environment);
        let config = Arc::new(server.authority.client_config(None, offered));
        let stream = secure(server.server.address(), &config).expect("a handshake");
        assert_eq!(
            stream.conn.alpn_protocol(),
            expected,
            "{environment:?} {offered:?}"
        );
    }
}

#[test]
fn a_version_below_the_minimum_is_refused() {
    let server = Secure::with(&[("REGISTRY_HTTP_TLS_MINIMUMTLS", "tls1.3")]);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    let authority =
        <rustls::pki_types::CertificateDer as rustls::pki_types::pem::PemObject>::from_pem_slice(
            server.authority.pem().as_bytes(),
        );
    roots
        .add(authority.expect("a certificate"))
        .expect("an authority");
    let old = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("a version");
    let old = Arc::new(old.with_root_certificates(roots).with_no_client_auth());
    assert!(secure(server.server.address(), &old).is_err());
    assert!(
        secure(Secure::start().server.address(), &old).is_err(),
        "another authority's"
    );
}

/// A client that stops opening its window loses only the answers it requested.
#[test]
fn an_unread_answer_is_dropped() {
    const WINDOW: u32 = 100_000;
    let server = Secure::with(&[("REGISTRY_HTTP_LIMITS_IDLE", "2s")]);
    let blob = noise(1, 5 << 20);
    let path = format!("/v2/a/blobs/{}", server.client().push_blob("a", &blob));
    wait_for(async {
        let mut second = Second::encrypted(&server, Some(WINDOW)).await;
        let stalled = second.send("GET", &path, b"").await.expect("an answer");
        let start = Instant::now();
        // other requests on the same connection are answered meanwhile
        while start.elapsed() < Duration::from_secs(4) {
            assert_eq!(second.exchange("GET", "/v2/", b"").await.0, 200);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(stalled.into_body().collect().await.is_err(), "it went on");
        assert!(second.exchange("GET", &path, b"").await.1 == blob);
    });
}

/// Answers that a client does not read are not read from their files either.
#[test]
fn many_unread_answers_cost_little_memory() {
    let server = Secure::start();
    let blob = noise(1, 4 << 20);
    let path = format!("/v2/a/blobs/{}", server.client().push_blob("a", &blob));
    // with windows of one byte, with many parts each, and with windows that open for a while
    for (window, ranges) in [(1, 0), (1, 1024), (100_000, 0)] {
        wait_for(async {
            let mut second = Second::encrypted(&server, Some(window)).await;
            assert_eq!(second.exchange("GET", "/v2/", b"").await.0, 200);
            let before = memory(&server.server, "RssAnon");
            let mut answers = Vec::new();
            for _ in 0..120 {
                let mut request = second.request("GET", &path, b"");
                if ranges > 0 {
                    request.headers_mut().insert(
                        "range",
                        format!("bytes={}", "-1,".repeat(ranges))
                            .parse()
                            .expect("a value"),
                    );
                }
                second.sender.ready().await.expect("a connection");
                answers.push(
                    second
                        .sender
                        .send_request(request)
                        .await
                        .expect("an answer"),
                );
            }
            // started answers are read by the time that another request was answered a few times
            for _ in 0..50 {
                assert_eq!(second.exchange("GET", "/livez", b"").await.0, 200);
            }
            let grown = memory(&server.server, "RssAnon").saturating_sub(before);
            println!(
                "window {window}, {ranges} ranges: {grown} KiB for {} answers",
                answers.len()
            );
            assert!(
                grown < 12 << 10,
                "window {window}, {ranges} ranges: {grown} KiB"
            );
            // clients that read get all their answers
            let mut bodies = Vec::new();
            for answer in answers.drain(..).take(if window == 1 { 0 } else { 20 }) {
                bodies.push(tokio::spawn(answer.into_body().collect()));
            }
            for body in bodies {
                assert!(body.await.expect("no panic").expect("a body").to_bytes() == *blob);
            }
        });
    }
}

/// A request that closes an upload is reset, with its connection or alone, and sent again.
#[test]
fn a_cut_off_close_is_sent_again_whole() {
    let server = Server::with(&[("REGISTRY_HTTP_H2C_ENABLED", "true")]);
    for (seed, start, is_alone) in [(1, 0, true), (2, 50_000, true), (3, 50_000, false)] {
        let content = noise(seed, 300_000);
        let location = server.client().begin_upload("a");
        let path = format!("{location}&digest={}", sha256(&content));
        wait_for(async {
            let mut second = Second::plain(&server).await;
            if start > 0 {
                let patched = second.exchange("PATCH", &location, &content[..start]).await;
                assert_eq!(patched.0, 202);
            }
            let part = Bytes::copy_from_slice(&content[start..start + 100_000]);
            let (part, rest) = (
                futures_util::stream::iter([Ok(Frame::data(part))]),
                futures_util::stream::pending(),
            );
            let stalled = futures_util::StreamExt::chain(part, rest);
            let request = second
                .request("PUT", &path, b"")
                .map(|_| StreamBody::new(stalled).boxed());
            second.sender.ready().await.expect("a connection");
            let cut = tokio::spawn(second.sender.send_request(request));
            while server.upload_length(&location) <= start as u64 {
                tokio::task::yield_now().await;
            }
            // dropping the request resets its stream
            cut.abort();
            if !is_alone {
                second = Second::plain(&server).await;
            }
            let rest = &content[start..];
            for _ in 0..2 {
                assert_eq!(second.exchange("PUT", &path, rest).await.0, 201);
            }
            let blob = format!("/v2/a/blobs/{}", sha256(&content));
            assert!(second.exchange("GET", &blob, b"").await.1 == content);
        });
    }
    assert!(server.upload_files().is_empty());
}

/// The access log keeps a request's data until its response has been read.
#[test]
fn long_user_agents_cost_little_memory() {
    let server = Server::with(&[
        ("REGISTRY_HTTP_H2C_ENABLED", "true"),
        ("REGISTRY_LOG_ACCESSLOG_DISABLED", "false"),
    ]);
    wait_for(async {
        let mut second = Second::plain_with(&server, Some(0)).await;
        let agent = http::HeaderValue::from_bytes(&vec![0x80; 30_000]).expect("a value");
        let before = memory(&server, "RssAnon");
        let mut answers = Vec::new();
        for _ in 0..120 {
            let mut request = second.request("GET", "/v2/", b"");
            request.headers_mut().insert("user-agent", agent.clone());
            second.sender.ready().await.expect("a connection");
            answers.push(
                second
                    .sender
                    .send_request(request)
                    .await
                    .expect("an answer"),
            );
        }
        let grown = memory(&server, "RssAnon").saturating_sub(before);
        println!("{grown} KiB for {} requests", answers.len());
        assert!(grown < 6 << 10, "{grown} KiB");
    });
}

/// A request that waits for its client costs about as much as a connection, and is counted.
#[test]
fn requests_per_address_are_limited() {
    let server = Server::with(&[
        ("REGISTRY_HTTP_H2C_ENABLED", "true"),
        ("REGISTRY_HTTP_LIMITS_CONNECTIONSPERADDRESS", "2"),
    ]);
    wait_for(async {
        let mut connections = [
            Second::plain_with(&server, Some(0)).await,
            Second::plain_with(&server, Some(0)).await,
        ];
        let mut held = Vec::new();
        for number in 0..8 {
            let answer = connections[number % 2]
                .send("GET", "/v2/", b"")
                .await
                .expect("an answer");
            assert_eq!(answer.status(), 200, "{number}");
            held.push(answer);
        }
        let refused = connections[0]
            .send("GET", "/v2/", b"")
            .await
            .expect("an answer");
        assert_eq!(
            (
                refused.status().as_u16(),
                refused.headers()["retry-after"].as_bytes()
            ),
            (429, &b"1"[..])
        );
        // reading an answer frees its slot
        drop(held.pop());
        let start = Instant::now();
        while connections[0]
            .send("GET", "/v2/", b"")
            .await
            .expect("an answer")
            .status()
            != 200
        {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "no room was made"
            );
        }
    });
}

#[test]
fn a_connection_without_requests_is_closed() {
    let server = Secure::with(&[("REGISTRY_HTTP_LIMITS_KEEPALIVE", "1s")]);
    wait_for(async {
        let mut second = Second::encrypted(&server, None).await;
        assert_eq!(second.exchange("GET", "/v2/", b"").await.0, 200);
        let ended = async {
            while !second.sender.is_closed() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended)
            .await
            .expect("it stays open");
    });
}

#[test]
fn a_stop_waits_for_requests_but_not_for_connections() {
    let mut server = Secure::start();
    let blob = noise(1, 20 << 20);
    let path = format!("/v2/a/blobs/{}", server.client().push_blob("a", &blob));
    wait_for(async {
        let mut idle = Second::encrypted(&server, None).await;
        assert_eq!(idle.exchange("GET", "/v2/", b"").await.0, 200);
        let mut busy = Second::encrypted(&server, None).await;
        let answer = busy.send("GET", &path, b"").await.expect("an answer");
        server.server.terminate();
        assert!(
            answer
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes()
                == *blob
        );
    });
    assert!(server.server.wait().success());
}

/// Client preface and settings.
pub const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// hyper enforces the settings that it announces (RFC 9113, section 6.5).
#[test]
fn the_limits_are_announced_to_clients() {
    let server = Server::with(&[("REGISTRY_HTTP_H2C_ENABLED", "true")]);
    let mut stream = dial_tcp(server.address()).expect("a connection");
    stream.write_all(HELLO).expect("bytes are taken");
    let mut head = [0; 9];
    stream.read_exact(&mut head).expect("a frame");
    assert_eq!(head[3], 4, "settings come first");
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).expect("settings");
    let value = |id: u8| {
        let found = settings
            .chunks(6)
            .find(|entry| entry[..2] == [0, id])
            .unwrap_or_else(|| panic!("{id} is not in {settings:?}"));
        u32::from_be_bytes([found[2], found[3], found[4], found[5]])
    };
    let (streams, window, head_size) = (value(3), value(4), value(6));
    assert_eq!((streams, window, head_size), (128, 1 << 20, 128 << 10));
}

/// A silent client does not keep the server from stopping.
#[test]
fn a_stop_does_not_wait_for_clients_to_close() {
    let mut server = Server::with(&[
        ("REGISTRY_HTTP_H2C_ENABLED", "true"),
        ("REGISTRY_HTTP_DRAINTIMEOUT", "2m"),
    ]);
    let mut stream = dial_tcp(server.address()).expect("a connection");
    stream.write_all(HELLO).expect("bytes are taken");
    stream.read_exact(&mut [0; 9]).expect("a frame");
    let start = Instant::now();
    assert!(server.stop().success());
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
}

/// Work may take longer than the timeout, which applies to clients that do not read.
#[test]
fn an_answer_may_take_longer_than_the_client_timeout() {
    let files = tempfile::TempDir::new().expect("a directory");
    let path = files.path().join("htpasswd");
    // known only to take long to hash
    let hash = "$2y$14$ZzHhZzHhZzHhZzHhZzHhZu0000000000000000000000000000000";
    std::fs::write(&path, format!("joe:{hash}\n")).expect("a file");
    let auth = format!("{{htpasswd: {{realm: r, path: {}}}}}", path.display());
    let server = Server::with(&[
        ("REGISTRY_HTTP_H2C_ENABLED", "true"),
        ("REGISTRY_HTTP_LIMITS_IDLE", "100ms"),
        ("REGISTRY_AUTH", &auth),
    ]);
    wait_for(async {
        let mut second = Second::plain(&server).await;
        let mut request = second.request("GET", "/v2/", b"");
        request.headers_mut().insert(
            "authorization",
            "Basic am9lOnNlY3JldA==".parse().expect("a value"),
        );
        let start = Instant::now();
        second.sender.ready().await.expect("a connection");
        let answer = second
            .sender
            .send_request(request)
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 401);
        assert!(
            start.elapsed() > Duration::from_millis(200),
            "the machine is too fast for this: {:?}",
            start.elapsed()
        );
    });
}
