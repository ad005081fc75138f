//! An issuer of tokens, over TLS on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
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
}

/// A server that describes itself and its keys.
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
    let published = published.lock().expect("a lock");
    let keys_at = published.elsewhere.clone();
    let body = match head.split(|byte| *byte == b' ').nth(1) {
        Some(b"/.well-known/openid-configuration") => Some(json!({
            "issuer": url,
            "jwks_uri": keys_at.unwrap_or_else(|| format!("{url}/keys")),
        })),
        Some(b"/keys") => Some(json!({ "keys": published.keys })),
        _ => None,
    };
    let (status, body) = match body {
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
