//! The exchange of a code for a token.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use tokio::time::timeout;

use crate::files::regular_file;
use crate::outbound::{Authorities, Client, ClientSettings, Proxy, Reach};
use crate::threads::blocking;

/// Maximum size of the answer, in bytes.
const LARGEST: usize = 256 << 10;
/// Maximum time for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

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
        let answer = timeout(TIMEOUT, self.ask()).await;
        answer.unwrap_or_else(|_| {
            let seconds = TIMEOUT.as_secs();
            Err(NoToken::Failed(format!("no answer within {seconds} s")))
        })
    }

    async fn ask(self) -> Result<String, NoToken> {
        if !self.endpoint.starts_with("https://") {
            let sentence = "the address that it names for tokens does not begin with https://";
            return Err(NoToken::Failed(sentence.to_owned()));
        }
        let prepared = blocking::run(move || self.prepare()).await;
        let (client, request) = prepared
            .map_err(|error| error.to_string())
            .and_then(|prepared| prepared)
            .map_err(NoToken::Failed)?;
        let answer = client.send(request, Reach::Any).await;
        let answer = answer.map_err(|error| NoToken::Failed(error.to_string()))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| NoToken::Failed(error.to_string()))?;
        let answer: Answer = serde_json::from_slice(&body.to_bytes())
            .map_err(|_| NoToken::Failed(format!("it answers {status} without JSON")))?;
        match (status, answer.id_token) {
            (StatusCode::OK, Some(token)) => Ok(token),
            (StatusCode::OK, None) => Err(NoToken::Failed(
                "it gives no token of identity: is it OAuth without OpenID Connect?".to_owned(),
            )),
            _ => Err(NoToken::Refused(answer.error.unwrap_or_default())),
        }
    }

    /// Reads the files, and writes the request.
    fn prepare(self) -> Result<(Client, Request<Full<Bytes>>), String> {
        let client = Client::new(ClientSettings {
            authorities: self.authorities,
            proxy: Proxy::Environment,
            connect_timeout: TIMEOUT,
            exempt: Vec::new(),
        })?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", &self.code)
            .append_pair("redirect_uri", &self.redirect)
            .append_pair("client_id", &self.client)
            .append_pair("code_verifier", &self.verifier)
            .finish();
        let mut request = Request::new(Full::new(Bytes::from(form)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self
            .endpoint
            .parse()
            .map_err(|_| "the address that it names for tokens is no URL".to_owned())?;
        let headers = request.headers_mut();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(path) = &self.secret {
            let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let secret = regular_file::read(path).map_err(|error| unreadable(&error))?;
            // both parts are encoded first (RFC 6749, section 2.3.1)
            let encoded = |part: &[u8]| form_urlencoded::byte_serialize(part).collect::<String>();
            let client = encoded(self.client.as_bytes());
            let pair = format!("{client}:{}", encoded(secret.trim_ascii()));
            let header = format!("Basic {}", STANDARD.encode(pair));
            let mut header = HeaderValue::try_from(header).map_err(|error| unreadable(&error))?;
            header.set_sensitive(true);
            headers.insert(AUTHORIZATION, header);
        }
        Ok((client, request))
    }
}
