//! Gatekeepers whose only user, token and key are known.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};
use tarkeep::auth::{
    Access, Answer, BcryptHash, Challenge, HtpasswdSettings, Login, MIN_COST, Method, Permission,
    Refusal, RefusedLogin, Requester, RequiredScopes, Scope, Settings, SigningKey, Site,
    TokenRecord, TokenSettings, TokenSource,
};
use tarkeep::oci::RepositoryName;
use tokio::runtime::Runtime;

/// The only user and password, in base 64: `joe:secret`.
pub const CREDENTIALS: &str = "am9lOnNlY3JldA==";
/// The only secret of a token.
pub const SECRET: &str = "tk_aaaqeaye_fiim2dbhwlcesudpqatx3srr4okx6s4ww7iztt2ig6tzjemgdrw7smhu";
/// The only key of the token server, and a token that it signed, which is good until 2100.
pub const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"fuzz","x":"O2TQwH9uP0PxBFKESBrHWzJPa7B2-Lm7JejXixvhFYg"}]}"#;
pub const SIGNED: &str = concat!(
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6ImZ1enoifQ.",
    "eyJpc3MiOiJpc3N1ZXIiLCJhdWQiOlsic2VydmljZSJdLCJzdWIiOiJqb2UiLCJleHAiOjQxMDI0NDQ4MDAsImFjY2VzcyI6W3sidHlwZSI6InJlcG9za",
    "XRvcnkiLCJuYW1lIjoidGVhbS9hcHAiLCJhY3Rpb25zIjpbInB1bGwiLCJwdXNoIl19XX0.",
    "PhEbVWIfJvQxZjgCshCIKN2pqvUS_kv_J4rOuQUPXXwGkARW5omlniOtQ8t-FR_vA6dfKa2uZoGc60WKOb_SBA"
);

/// Gatekeepers, and the runtime in which they work.
pub struct Gates {
    pub runtime: Runtime,
    /// Users of a htpasswd file, tokens and a token service.
    pub passwords: Access,
    /// Tokens of another server.
    pub tokens: Access,
}

impl Gates {
    pub fn new(directory: PathBuf) -> Self {
        let (users, keys) = (directory.join("htpasswd"), directory.join("jwks.json"));
        let hash = BcryptHash::of(b"secret", MIN_COST).expect("a hash");
        std::fs::write(&users, format!("joe:{}\n", hash.as_str())).expect("a file");
        std::fs::write(&keys, KEYS).expect("a file");
        let open = |method| {
            let settings = Settings {
                method,
                challenge: Challenge::Bearer,
                rules: None,
                trust: Vec::new(),
                oidc: None,
            };
            Access::open(settings, Arc::new(OneToken)).expect("a gatekeeper")
        };
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            passwords: open(Method::Htpasswd(HtpasswdSettings {
                realm: "realm".to_owned(),
                path: users,
                cache: HtpasswdSettings::DEFAULT_CACHE,
            })),
            tokens: open(Method::Token(TokenSettings {
                realm: "https://auth.example.com/token".to_owned(),
                service: "service".to_owned(),
                issuer: "issuer".to_owned(),
                root_certificates: None,
                jwks: Some(keys),
                algorithms: Vec::new(),
                redirect_path: None,
            })),
        }
    }

    /// Asks to pull from `team/app`, from an address that was never seen.
    pub fn admit(&self, access: &Access, authorization: &[u8]) -> Result<Requester, Refusal> {
        let name = RepositoryName::parse("team/app").expect("a name");
        let scopes = RequiredScopes {
            required: vec![Scope::repository(&name, Permission::Pull)],
            optional: Vec::new(),
        };
        let site = || Site {
            address: "https://registry.example.com".to_owned(),
            base: String::new(),
        };
        self.runtime
            .block_on(access.admit(login(authorization), &scopes, &site))
    }
}

/// Returns a login from an address that was never seen, so that none is locked out.
pub fn login(authorization: &[u8]) -> Login<'_> {
    static CLIENTS: AtomicU32 = AtomicU32::new(0);
    let client = CLIENTS.fetch_add(1, Ordering::Relaxed);
    Login {
        authorization: Some(authorization),
        address: Some(IpAddr::V4(Ipv4Addr::from(client))),
        user_agent: None,
        session: None,
    }
}

/// A source with one token and one key.
struct OneToken;

impl TokenSource for OneToken {
    fn token<'s>(&'s self, id: &'s str) -> Answer<'s, Option<Arc<TokenRecord>>> {
        let record = TokenRecord {
            name: "ci".to_owned(),
            repositories: vec!["team/*".to_owned()],
            may: "pull,push".to_owned(),
            owner: None,
            hash: Sha256::digest(SECRET).to_vec(),
            expires_at: None,
            replaced_at: None,
            revoked_at: None,
        };
        let found = SECRET.split('_').nth(1) == Some(id);
        Box::pin(async move { Ok(found.then(|| Arc::new(record))) })
    }

    fn has_tokens(&self) -> Answer<'_, bool> {
        Box::pin(async { Ok(true) })
    }

    fn verifying_keys(&self) -> Answer<'_, Vec<SigningKey>> {
        Box::pin(async { Ok(vec![key()]) })
    }

    fn signing_key(&self, _: SigningKey) -> Answer<'_, SigningKey> {
        Box::pin(async { Ok(key()) })
    }

    fn issuer_keys<'s>(&'s self, _: &'s str) -> Answer<'s, Option<String>> {
        Box::pin(async { Ok(None) })
    }

    fn keep_issuer_keys<'s>(&'s self, _: &'s str, _: String) -> Answer<'s, ()> {
        Box::pin(async { Ok(()) })
    }

    fn note_use(&self, _: &str, _: Option<IpAddr>) {}

    fn note_refused(&self, _: RefusedLogin<'_>) {}

    fn now(&self) -> i64 {
        0
    }
}

fn key() -> SigningKey {
    SigningKey {
        id: "key".to_owned(),
        secret: vec![7; 32],
    }
}
