//! Users of a token server, as `docker_auth` is one: this one knows two, of whom one may only pull.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};

use super::{docker, image, refused};
use crate::engines::docker::pushed;
use crate::harness::pki::{Authority, Issued};
use crate::harness::sandbox::Sandbox;
use crate::harness::server::Server;

/// A token signer that sends its certificate along.
struct Signer {
    key: EncodingKey,
    header: Header,
}

impl Signer {
    fn new(authority: &Authority) -> Self {
        let Issued { certificate, key } = authority.issue(&["signer"]);
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let header = Header {
            x5c: Some(vec![STANDARD.encode(&certificate)]),
            ..Header::new(Algorithm::ES256)
        };
        Self {
            key: EncodingKey::from_ec_der(key.secret_pkcs8_der()),
            header,
        }
    }

    fn token(&self, user: &str, access: &[Value]) -> String {
        let now = get_current_timestamp();
        let claims = json!({ "iss": "tokens", "aud": "images", "sub": user, "nbf": now - 1, "exp": now + 60, "access": access });
        encode(&self.header, &claims, &self.key).unwrap()
    }

    /// Scopes granted to `user`; bob never gets more than pull.
    fn grant(&self, user: &str, scopes: &[String]) -> String {
        let access = scopes.iter().map(|scope| {
            let mut parts = scope.splitn(3, ':');
            let [kind, name, actions] = std::array::from_fn(|_| parts.next().unwrap_or_default());
            let actions: Vec<_> = actions
                .split(',')
                .filter(|action| user == "alice" || *action == "pull")
                .collect();
            json!({ "type": kind, "name": name, "actions": actions })
        });
        self.token(user, &access.collect::<Vec<_>>())
    }

    /// Answers one request of a client.
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(&stream).lines();
        let line = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let mut login = None;
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            if let Some((_, value)) = line
                .split_once(": Basic ")
                .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            {
                login = STANDARD
                    .decode(value)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok());
            }
        }
        let query = line
            .split_whitespace()
            .nth(1)
            .and_then(|target| target.split_once('?'))
            .map(|(_, query)| query)
            .unwrap_or_default();
        let asked = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "scope");
        let scopes: Vec<String> = asked
            .flat_map(|(_, scopes)| scopes.split(' ').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let user = match login.as_deref() {
            Some("alice:wonderland") => Some("alice"),
            Some("bob:builder") => Some("bob"),
            _ => None,
        };
        let (status, body) = match (line.starts_with("GET "), user) {
            // clients of OAuth ask once more, by GET
            (false, _) => ("405 Method Not Allowed", json!({})),
            (true, None) => (
                "401 Unauthorized",
                json!({ "details": "incorrect username or password" }),
            ),
            (true, Some(user)) => {
                let token = self.grant(user, &scopes);
                (
                    "200 OK",
                    json!({ "token": &token, "access_token": token, "expires_in": 60 }),
                )
            }
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        (&stream).write_all((head + &body).as_bytes())
    }
}

/// Starts a token server, which ends with the tests; gives its address.
fn serve_tokens(signer: Signer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // a client that leaves is none of this test's business
            let _ = signer.answer(stream);
        }
    });
    address
}

/// Starts a server that takes the tokens of the server at this address.
fn trusting(sandbox: &Sandbox, tokens: &str) -> Server {
    let config = format!(
        "version: 0.1\nauth:\n  token:\n    realm: http://{tokens}/token\n    service: images\n    issuer: tokens\n    \
         rootcertbundle: signers.pem\n"
    );
    sandbox.write("config.yml", config);
    Server::launch(
        sandbox.dir(),
        "closed",
        &[
            "config.yml",
            "--addr",
            "127.0.0.1:0",
            "--data-dir",
            "closed",
        ],
        &[],
    )
}

pub fn of_another_server(sandbox: &Sandbox) {
    let _daemon = docker(sandbox);
    let authority = Authority::new("token signers");
    sandbox.write("signers.pem", authority.pem());
    let tokens = serve_tokens(Signer::new(&authority));
    let server = trusting(sandbox, &tokens.to_string());
    let host = &server.host;
    let remote = image(sandbox, host);

    refused(
        sandbox,
        &format!("docker push {remote}"),
        &[
            "no basic auth credentials",
            "unauthorized",
            "incorrect username",
        ],
    );
    let login = |user: &str| format!("docker login --username {user} --password-stdin {host}");
    assert!(
        !sandbox.succeeds(login("alice"), b"looking-glass"),
        "a wrong password was taken"
    );
    sandbox.run_with(login("alice"), b"wonderland");
    let (digest, _) = pushed(sandbox, &remote);
    sandbox.run(format!("docker tag {remote} {host}/other/app:v1"));
    // mounts ask for tokens of two repositories
    let (_, output) = pushed(sandbox, &format!("{host}/other/app:v1"));
    assert!(output.contains("Mounted from team/app"), "{output}");

    sandbox.run_with(login("bob"), b"builder");
    sandbox.run(format!("docker tag {remote} {host}/team/app:v2"));
    refused(
        sandbox,
        &format!("docker push {host}/team/app:v2"),
        &[
            "denied",
            "unauthorized",
            "authentication required",
            "insufficient_scope",
        ],
    );
    sandbox.run(format!(
        "docker rmi {remote} {host}/team/app:v2 {host}/other/app:v1"
    ));
    sandbox.run(format!("docker pull {remote}"));

    other_clients(sandbox, host, &remote, &digest);
}

/// Looks and deletes with skopeo and podman: alice may delete, bob may not.
fn other_clients(sandbox: &Sandbox, host: &str, remote: &str, digest: &str) {
    let inspect = format!("skopeo inspect --tls-verify=false docker://{remote}");
    assert_eq!(
        sandbox
            .run(inspect.replace("inspect", "inspect --creds bob:builder"))
            .json()["Digest"],
        digest
    );
    refused(
        sandbox,
        &inspect.replace("inspect", "inspect --no-creds"),
        &[
            "unauthorized",
            "authentication required",
            "incorrect username",
        ],
    );
    let delete = format!("skopeo delete --tls-verify=false docker://{remote}");
    refused(
        sandbox,
        &delete.replace("delete", "delete --creds bob:builder"),
        &["unauthorized", "authentication required", "denied"],
    );
    let podman = "podman login --tls-verify=false --authfile auth.json --password-stdin --username";
    assert!(!sandbox.succeeds(format!("{podman} bob {host}"), b"wonderland"));
    sandbox.run_with(format!("{podman} alice {host}"), b"wonderland");
    sandbox.run(delete.replace("delete", "delete --authfile auth.json"));
}
