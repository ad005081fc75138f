//! The keys of an issuer, as it publishes them (OpenID Connect Discovery 1.0, section 4).

use std::path::PathBuf;

use serde::Deserialize;

use crate::outbound::{Authorities, Document, fetch};

/// An issuer, and how its server is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::auth) struct Issuer {
    /// The URL in its tokens.
    pub(in crate::auth) url: String,
    pub(in crate::auth) authorities: Authorities,
    /// File with a token that it asks for.
    pub(in crate::auth) bearer: Option<PathBuf>,
}

/// The part of its description that is used.
#[derive(Deserialize)]
pub(in crate::auth) struct Description {
    issuer: String,
    jwks_uri: String,
    /// Address where people log in.
    pub(in crate::auth) authorization_endpoint: Option<String>,
    /// Address where a code is exchanged for a token.
    pub(in crate::auth) token_endpoint: Option<String>,
    /// Address where people log out.
    pub(in crate::auth) end_session_endpoint: Option<String>,
}

impl Issuer {
    /// Fetches its set of keys, which is not validated.
    ///
    /// # Errors
    /// A sentence.
    pub(super) async fn fetch_keys(&self) -> Result<Vec<u8>, String> {
        self.get(self.describe().await?.jwks_uri).await
    }

    /// Fetches its description.
    ///
    /// The issuer comes from the configuration, and says itself where its keys are: no client chooses a URL.
    ///
    /// # Errors
    /// A sentence.
    pub(in crate::auth) async fn describe(&self) -> Result<Description, String> {
        let base = self.url.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let description = self.get(url).await?;
        let description: Description = serde_json::from_slice(&description)
            .map_err(|error| format!("its description is malformed: {error}"))?;
        if description.issuer != self.url {
            return Err(format!(
                "it calls itself {:?}: write the issuer exactly so",
                description.issuer
            ));
        }
        Ok(description)
    }

    async fn get(&self, url: String) -> Result<Vec<u8>, String> {
        let document = Document {
            url,
            authorities: self.authorities.clone(),
            bearer: self.bearer.clone(),
        };
        let fetched = fetch(&document).await;
        fetched.map_err(|error| format!("{:?}: {error}", document.url))
    }
}
