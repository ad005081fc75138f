//! Requests to a server's `/api/v1`.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LINK};
use http::response::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::login::RemoteLogin;
use crate::outbound::{Authorities, Client, ClientSettings, Proxy, Reach, Server};
use crate::redact;

/// Maximum time for a connection, and for a whole answer: a report may wait for its turn.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);
/// Maximum size of an answer, in bytes.
const LARGEST: usize = 64 << 20;

/// A server, and the login there.
pub struct Remote {
    client: Client,
    scheme: Scheme,
    authority: Authority,
    /// Path before `/api/`, without a slash at its end.
    base: String,
    login: Option<HeaderValue>,
}

/// A page of a list: its object, and the cursor of the next one.
#[derive(Debug)]
pub struct RemotePage<T> {
    pub body: T,
    pub next: Option<String>,
}

/// Failure to get a report.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error(
        "'{0}' is not the URL of a server, as in https://registry.example.com or http://localhost:5000"
    )]
    Url(String),
    /// Certificates or a proxy that cannot be used, in a sentence.
    #[error("{0}")]
    Settings(String),
    #[error("{server} was not reached: {cause}")]
    Unreachable { server: String, cause: String },
    #[error(
        "{0} asks for a login: docker login {0} makes one, or set REGISTRY_TOKEN or REGISTRY_TOKEN_FILE"
    )]
    Login(String),
    #[error("{0} has no /api/v1: it is another registry, or an older one")]
    NoApi(String),
    /// Refusal of the server, in its words.
    #[error("{message}")]
    Refused { status: u16, message: String },
    #[error("the answer of {server} is broken: {cause}")]
    Broken { server: String, cause: String },
}

impl Remote {
    /// Creates the client of a server, by its URL. Files are read, which may block.
    ///
    /// # Errors
    /// [`RemoteError::Url`] and [`RemoteError::Settings`].
    pub fn new(
        url: &str,
        ca: Option<PathBuf>,
        login: impl FnOnce(&str) -> Result<Option<RemoteLogin>, String>,
    ) -> Result<Self, RemoteError> {
        let fault = || RemoteError::Url(redact::url(url).into_owned());
        let parts = url.parse::<Uri>().map_err(|_| fault())?.into_parts();
        let scheme = parts.scheme.ok_or_else(fault)?;
        let authority = parts.authority.ok_or_else(fault)?;
        let is_web = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        if !is_web || authority.as_str().contains('@') || url.contains(['?', '#']) {
            return Err(fault());
        }
        let path = parts.path_and_query;
        let base = path.map_or_else(String::new, |path| path.path().to_owned());
        let client = Client::new(ClientSettings {
            authorities: ca.map_or(Authorities::System, Authorities::SystemAnd),
            proxy: Proxy::Environment,
            connect_timeout: CONNECT,
            exempt: vec![Server::new(authority.host(), authority.port_u16())],
        });
        let login = login(authority.as_str()).map_err(RemoteError::Settings)?;
        let login = login.map(|login| HeaderValue::from_str(&login.basic()));
        Ok(Self {
            client: client.map_err(RemoteError::Settings)?,
            scheme,
            authority,
            base: base.trim_end_matches('/').to_owned(),
            // base 64 is what headers can carry
            login: login.and_then(Result::ok),
        })
    }

    /// Gets a report below `/api/v1/`.
    ///
    /// # Errors
    /// Every [`RemoteError`] but those of [`Self::new`].
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<RemotePage<T>, RemoteError> {
        self.page(Method::GET, path, parameters, Bytes::new()).await
    }

    /// Gets a report below `/api/v1/` that an object asks for.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_by<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        object: &Value,
    ) -> Result<RemotePage<T>, RemoteError> {
        let body = Bytes::from(object.to_string());
        self.page(Method::POST, path, parameters, body).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, String)],
        body: Bytes,
    ) -> Result<RemotePage<T>, RemoteError> {
        let (head, body) = self.exchange(method, path, parameters, body).await?;
        let next = head.headers.get(LINK).and_then(|link| link.to_str().ok());
        Ok(RemotePage {
            body: serde_json::from_slice(&body).map_err(|error| self.broken(error))?,
            next: next.and_then(cursor),
        })
    }

    /// Asks for a change below `/api/v1/`, with an object.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        object: &Value,
    ) -> Result<T, RemoteError> {
        let body = Bytes::from(object.to_string());
        let (_, body) = self.exchange(Method::POST, path, parameters, body).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(error))
    }

    /// Asks for a deletion below `/api/v1/`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<T, RemoteError> {
        let none = Bytes::new();
        let (_, body) = self
            .exchange(Method::DELETE, path, parameters, none)
            .await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(error))
    }

    /// Sends a request, and returns the head and the body of a good answer.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, String)],
        body: Bytes,
    ) -> Result<(Parts, Bytes), RemoteError> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        let target = format!("{}/api/v1/{path}?{}", self.base, query.finish());
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
            .map_err(|error| self.broken(error))?;
        let mut request = Request::new(Full::new(body));
        (*request.uri_mut(), *request.method_mut()) = (uri, method);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(login) = &self.login {
            headers.insert(AUTHORIZATION, login.clone());
        }
        let answer = timeout(ANSWER, self.client.send(request, Reach::Any)).await;
        let answer = answer.map_err(|_| self.unreachable("no answer came in time"))?;
        let (head, body) = answer
            .map_err(|error| self.unreachable(error))?
            .into_parts();
        let body = timeout(ANSWER, Limited::new(body, LARGEST).collect()).await;
        let body = body.map_err(|_| self.unreachable("its answer did not end in time"))?;
        let body = body.map_err(|error| self.broken(error))?.to_bytes();
        match head.status {
            StatusCode::OK => Ok((head, body)),
            status => Err(self.refused(status, &body)),
        }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> RemoteError {
        let errors: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = &errors["errors"][0];
        match (status, error["message"].as_str()) {
            (StatusCode::UNAUTHORIZED, _) if self.login.is_none() => {
                RemoteError::Login(self.authority.to_string())
            }
            (StatusCode::NOT_FOUND, None) => RemoteError::NoApi(self.authority.to_string()),
            // an older one says it in the form of its other errors
            (StatusCode::NOT_FOUND, Some("no such path in this API")) => {
                RemoteError::NoApi(self.authority.to_string())
            }
            (status, message) => RemoteError::Refused {
                status: status.as_u16(),
                message: message.map_or_else(|| format!("status {status}"), str::to_owned),
            },
        }
    }

    fn unreachable(&self, cause: impl ToString) -> RemoteError {
        RemoteError::Unreachable {
            server: self.authority.to_string(),
            cause: cause.to_string(),
        }
    }

    fn broken(&self, cause: impl ToString) -> RemoteError {
        RemoteError::Broken {
            server: self.authority.to_string(),
            cause: cause.to_string(),
        }
    }
}

/// Returns the cursor that a link to the next page names.
fn cursor(link: &str) -> Option<String> {
    let (target, _) = link.strip_prefix('<')?.split_once('>')?;
    let (_, query) = target.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let last = pairs.find(|(key, _)| key == "last")?.1;
    Some(last.into_owned())
}
