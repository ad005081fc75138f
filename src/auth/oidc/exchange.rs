//! The exchange of a code for a token.

use std::path::PathBuf;

use serde::Deserialize;

use crate::outbound::{Authorities, Form};

/// Request for a token, at the address that the issuer names.
pub(super) struct Exchange {
    pub(super) endpoint: String,
    pub(super) authorities: Authorities,
    pub(super) client: String,
    pub(super) secret: Option<PathBuf>,
    pub(super) code: String,
    pub(super) verifier: String,
    /// Address to which the issuer has sent the browser.
    pub(super) redirect: String,
}

#[derive(Deserialize)]
struct Answer {
    id_token: Option<String>,
    error: Option<String>,
}

/// Reason why there is no token.
pub(super) enum NoToken {
    /// The issuer does not give it: a word of its own.
    Refused(String),
    /// The issuer cannot be asked, in a sentence.
    Failed(String),
}

impl Exchange {
    /// Asks for the token. The issuer comes from the configuration, and names the address itself: no client chooses it.
    ///
    /// # Errors
    /// [`NoToken`].
    pub(super) async fn run(self) -> Result<String, NoToken> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", &self.code)
            .append_pair("redirect_uri", &self.redirect)
            .append_pair("client_id", &self.client)
            .append_pair("code_verifier", &self.verifier)
            .finish();
        let form = Form {
            url: self.endpoint,
            authorities: self.authorities,
            login: self.secret.map(|secret| (self.client, secret)),
            body,
        };
        let sent = form.send().await.map_err(NoToken::Failed)?;
        let status = sent.status;
        let answer: Answer = serde_json::from_slice(&sent.body)
            .map_err(|_| NoToken::Failed(format!("it answers {status} without JSON")))?;
        match (status, answer.id_token) {
            (200, Some(token)) => Ok(token),
            (200, None) => Err(NoToken::Failed(
                "it gives no token of identity: is it OAuth without OpenID Connect?".to_owned(),
            )),
            _ => Err(NoToken::Refused(answer.error.unwrap_or_default())),
        }
    }
}
