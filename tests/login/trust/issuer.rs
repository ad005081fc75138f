//! An issuer of tokens, over TLS on loopback.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::wire::pki::Authority;

/// A key that signs tokens.
#[derive(Clone)]
pub struct Signer {
    pub id: String,
    pub algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    pub fn new(id: &str, algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let pem = rcgen::KeyPair::generate_for(kind)
            .expect("a key")
            .serialize_pem();
        let key = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        Self {
            id: id.to_owned(),
            algorithm,
            key: key.expect("a key"),
        }
    }

    /// The public key, as the issuer publishes it.
    pub fn published(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).expect("a key");
        jwk.common.key_id = Some(self.id.clone());
        serde_json::to_value(jwk).expect("JSON")
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = Header {
            kid: Some(self.id.clone()),
            ..Header::new(self.algorithm)
        };
        encode(&header, claims, &self.key).expect("a token")
    }
}

/// Documents that the issuer publishes.
struct Published {
    keys: Vec<Value>,
    is_down: bool,
    /// Address that it names for its keys, instead of its own.
    elsewhere: Option<String>,
    /// Codes that can be exchanged for tokens.
    codes: HashMap<String, Code>,
    /// Body and `Authorization` of the last exchange.
    exchanged: Option<(String, Option<String>)>,
}

/// A code that the issuer has given to a browser.
struct Code {
    token: String,
    /// Hash of what whoever exchanges it must know.
    challenge: String,
}

impl Published {
    /// Exchanges a code for its token.
    fn exchange(&mut self, form: &str) -> Option<String> {
        let field = |name: &str| {
            let mut fields = form_urlencoded::parse(form.as_bytes());
            let found = fields.find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        let code = self.codes.remove(&field("code")?)?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier")?));
        (challenge == code.challenge).then_some(code.token)
    }
}

/// A server that describes itself and its keys, and logs people in.
pub struct Issuer {
    pub url: String,
    pub ca: PathBuf,
    published: Arc<Mutex<Published>>,
    _directory: TempDir,
}

impl Issuer {
    pub fn start(keys: &[&Signer]) -> Self {
        let authority = Authority::new("issuers");
        let directory = TempDir::new().expect("a directory");
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, authority.pem()).expect("a file");
        let issued = authority.issue(&["localhost"]);
        let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("a chain");
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let config = Arc::new(config.expect("a certificate"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let issuer = Self {
            url: format!("https://localhost:{port}"),
            ca,
            published: Arc::new(Mutex::new(Published {
                keys: keys.iter().map(|signer| signer.published()).collect(),
                is_down: false,
                elsewhere: None,
                codes: HashMap::new(),
                exchanged: None,
            })),
            _directory: directory,
        };
        let (url, published) = (issuer.url.clone(), Arc::clone(&issuer.published));
        // ends with the process
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &config, &url, &published);
            }
        });
        issuer
    }

    pub fn publish(&self, keys: &[&Signer]) {
        let keys = keys.iter().map(|signer| signer.published());
        self.published.lock().expect("a lock").keys = keys.collect();
    }

    pub fn set_down(&self, is_down: bool) {
        self.published.lock().expect("a lock").is_down = is_down;
    }

    pub fn keep_keys_at(&self, url: &str) {
        self.published.lock().expect("a lock").elsewhere = Some(url.to_owned());
    }

    /// Makes a code that can be exchanged once for a token, by whoever knows what the challenge is the hash of.
    pub fn give(&self, code: &str, token: String, challenge: &str) {
        let challenge = challenge.to_owned();
        let code = (code.to_owned(), Code { token, challenge });
        self.published.lock().expect("a lock").codes.extend([code]);
    }

    /// Returns body and `Authorization` of the last exchange.
    pub fn exchanged(&self) -> (String, Option<String>) {
        let published = self.published.lock().expect("a lock");
        published.exchanged.clone().expect("an exchange")
    }

    /// An entry of the section `trust`.
    pub fn trusted(&self, name: &str, require: Value) -> Value {
        json!({
            "name": name,
            "issuer": self.url,
            "audience": "registry",
            "ca": self.ca,
            "require": require,
        })
    }
}

fn answer(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    url: &str,
    published: &Mutex<Published>,
) -> std::io::Result<()> {
    if published.lock().expect("a lock").is_down {
        return Ok(());
    }
    let connection = ServerConnection::new(Arc::clone(config)).expect("a connection");
    let mut stream = StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    };
    let length = field("content-length").and_then(|length| length.parse().ok());
    let mut sent = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut sent)?;
    let sent = String::from_utf8_lossy(&sent).into_owned();
    let mut published = published.lock().expect("a lock");
    let keys_at = published.elsewhere.clone();
    let body = match head.split(|byte| *byte == b' ').nth(1) {
        Some(b"/.well-known/openid-configuration") => Some(json!({
            "issuer": url,
            "jwks_uri": keys_at.unwrap_or_else(|| format!("{url}/keys")),
            "authorization_endpoint": format!("{url}/authorize?realm=team"),
            "token_endpoint": format!("{url}/token"),
            "end_session_endpoint": format!("{url}/logout"),
        })),
        Some(b"/token") => {
            let token = published.exchange(&sent);
            published.exchanged = Some((sent, field("authorization")));
            Some(match token {
                Some(token) => {
                    json!({ "id_token": token, "access_token": "x", "token_type": "Bearer" })
                }
                None => json!({ "error": "invalid_grant" }),
            })
        }
        Some(b"/keys") => Some(json!({ "keys": published.keys })),
        _ => None,
    };
    let (status, body) = match body {
        Some(body) if body["error"].is_string() => ("400 Bad Request", body.to_string()),
        Some(body) => ("200 OK", body.to_string()),
        None => ("404 Not Found", String::new()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}
