//! Tokens, keys and validators to test with.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::token::decode::Fault;
use crate::auth::token::settings::Settings;
use crate::auth::token::validator::Validator;
use crate::auth::{
    Answer, Error, Identity, Permission, RefusedLogin, Scope, SigningKey, TokenRecord, TokenSource,
};
use crate::oci::RepositoryName;

/// Tokens made by go-jose, see `tests/login/tokens/main.go`.
#[derive(Deserialize)]
pub(super) struct Fixture {
    pub(super) bundle: String,
    pub(super) jwks: Value,
    pub(super) good: BTreeMap<String, String>,
    pub(super) bad: BTreeMap<String, String>,
}

pub(super) fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../../tests/login/tokens/tokens.json")).unwrap()
}

/// A registry that has issued no token.
pub(super) struct NoTokens;

impl TokenSource for NoTokens {
    fn token<'s>(&'s self, _id: &'s str) -> Answer<'s, Option<Arc<TokenRecord>>> {
        Box::pin(async { Ok(None) })
    }

    fn has_tokens(&self) -> Answer<'_, bool> {
        Box::pin(async { Ok(false) })
    }

    fn verifying_keys(&self) -> Answer<'_, Vec<SigningKey>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn signing_key(&self, new: SigningKey) -> Answer<'_, SigningKey> {
        Box::pin(async { Ok(new) })
    }

    fn issuer_keys<'s>(&'s self, _issuer: &'s str) -> Answer<'s, Option<String>> {
        Box::pin(async { Ok(None) })
    }

    fn keep_issuer_keys<'s>(&'s self, _issuer: &'s str, _keys: String) -> Answer<'s, ()> {
        Box::pin(async { Ok(()) })
    }

    fn note_use(&self, _id: &str, _address: Option<IpAddr>) {}

    fn note_refused(&self, _refused: RefusedLogin<'_>) {}

    fn now(&self) -> i64 {
        0
    }
}

pub(super) struct Place {
    pub(super) directory: tempfile::TempDir,
    pub(super) settings: Settings,
    pub(super) validator: Validator,
}

impl Place {
    pub(super) fn with(
        bundle: Option<&str>,
        jwks: Option<&Value>,
        algorithms: &[&str],
    ) -> Result<Self, Error> {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let settings = Settings {
            realm: "https://auth.example.com/token".to_owned(),
            service: "the service".to_owned(),
            issuer: "the issuer".to_owned(),
            root_certificates: bundle.map(|text| file("bundle.pem", text.to_owned())),
            jwks: jwks.map(|set| file("jwks.json", set.to_string())),
            algorithms: algorithms.iter().map(|&name| name.to_owned()).collect(),
            redirect_path: None,
        };
        Validator::open(settings.clone()).map(|validator| Self {
            directory,
            settings,
            validator,
        })
    }

    pub(super) async fn verify(&self, token: &str) -> Result<Identity, Fault> {
        self.validator.verify(token.as_bytes()).await
    }
}

/// Key and the set that contains it.
pub(super) struct Signer {
    pub(super) key: EncodingKey,
    pub(super) set: Value,
}

impl Signer {
    pub(super) fn new(id: &str) -> Self {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
        let key = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(
            &aws_lc_rs::rand::SystemRandom::new(),
        )
        .unwrap();
        let public = Ed25519KeyPair::from_pkcs8(key.as_ref())
            .unwrap()
            .public_key()
            .as_ref()
            .to_vec();
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": URL_SAFE_NO_PAD.encode(public) });
        Self {
            key: EncodingKey::from_ed_der(key.as_ref()),
            set: json!({ "keys": [jwk] }),
        }
    }

    pub(super) fn sign(&self, id: &str, claims: &Value) -> String {
        let header = Header {
            kid: Some(id.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        encode(&header, claims, &self.key).unwrap()
    }
}

pub(super) fn now() -> i64 {
    Timestamp::now().as_second()
}

pub(super) fn claims() -> Value {
    let access = json!([{ "type": "repository", "name": "team/app", "actions": ["pull", "push"] }]);
    json!({ "iss": "the issuer", "aud": "the service", "sub": "joe", "exp": now() + 300, "nbf": now(), "access": access })
}

pub(super) fn scope(name: &str, permission: Permission) -> Scope {
    Scope::repository(&RepositoryName::parse(name).unwrap(), permission)
}
