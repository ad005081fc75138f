//! A form that is sent to another server by HTTPS, for a small answer.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use tokio::time::timeout;

use super::addresses::Reach;
use super::authorities::Authorities;
use super::client::{Client, ClientSettings, Proxy};
use crate::files::regular_file;
use crate::threads::blocking;

/// Maximum size of the answer, in bytes.
const LARGEST: usize = 256 << 10;
/// Maximum time for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A form, and how its server is known.
pub(crate) struct Form {
    pub(crate) url: String,
    pub(crate) authorities: Authorities,
    /// Name of whoever sends it, and the file with their secret.
    pub(crate) login: Option<(String, PathBuf)>,
    /// Fields, encoded.
    pub(crate) body: String,
}

/// Answer to a form.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Form {
    /// Sends the form. Redirects are not followed.
    ///
    /// # Errors
    /// A URL that is not `https`, files that cannot be read, a server that is not reached in time or not certified, and too
    /// large an answer, in a sentence.
    pub(crate) async fn send(self) -> Result<Answer, String> {
        let answer = timeout(TIMEOUT, self.ask()).await;
        answer.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))
    }

    async fn ask(self) -> Result<Answer, String> {
        if !self.url.starts_with("https://") {
            return Err(format!("{:?} does not begin with https://", self.url));
        }
        let prepared = blocking::run(move || self.prepare()).await;
        let (client, request) = prepared.map_err(|error| error.to_string())??;
        let answer = client.send(request, Reach::Any).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes().to_vec();
        Ok(Answer { status, body })
    }

    /// Reads the files, and writes the request.
    fn prepare(self) -> Result<(Client, Request<Full<Bytes>>), String> {
        let client = Client::new(ClientSettings {
            authorities: self.authorities,
            proxy: Proxy::Environment,
            connect_timeout: TIMEOUT,
            exempt: Vec::new(),
        })?;
        let mut request = Request::new(Full::new(Bytes::from(self.body)));
        *request.method_mut() = Method::POST;
        let url = self.url.parse();
        *request.uri_mut() = url.map_err(|_| format!("{:?} is no URL", self.url))?;
        let headers = request.headers_mut();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some((name, path)) = &self.login {
            let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let secret = regular_file::read(path).map_err(|error| unreadable(&error))?;
            // both parts are encoded first (RFC 6749, section 2.3.1)
            let encoded = |part: &[u8]| form_urlencoded::byte_serialize(part).collect::<String>();
            let pair = format!(
                "{}:{}",
                encoded(name.as_bytes()),
                encoded(secret.trim_ascii())
            );
            let header = format!("Basic {}", STANDARD.encode(pair));
            let mut header = HeaderValue::try_from(header).map_err(|error| unreadable(&error))?;
            header.set_sensitive(true);
            headers.insert(AUTHORIZATION, header);
        }
        Ok((client, request))
    }
}
