//! One request to an endpoint, and its answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::Scheme;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use crate::events::Event;
use crate::files::regular_file;
use crate::outbound::{Authorities, Client, ClientSettings, Proxy, Reach, Server};
use crate::webhooks::format::{self, Source};
use crate::webhooks::settings::Endpoint;

/// Maximum number of bytes of an answer that are kept; what follows is not read.
const ANSWER: usize = 1000;
/// Maximum time to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// An endpoint, and a client that reaches it.
pub struct Sender {
    pub(super) endpoint: Endpoint,
    client: Client,
    /// Content of the file of its authorities.
    authorities: Vec<u8>,
}

/// Answer of an endpoint.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `None` without an answer.
    pub status: Option<u16>,
    pub duration: Duration,
    /// First bytes, or the error.
    pub text: String,
    /// True if the endpoint has the event.
    pub is_success: bool,
    /// True if the event cannot be rendered, so that another attempt would fail alike.
    pub is_hopeless: bool,
}

impl Sender {
    /// Prepares an endpoint. Files are read, which may block.
    ///
    /// # Errors
    /// Authorities that cannot be read, in a sentence.
    pub fn new(endpoint: Endpoint) -> Result<Self, String> {
        let (host, port) = (endpoint.url.host(), endpoint.url.port_u16());
        let is_encrypted = endpoint.url.scheme() == Some(&Scheme::HTTPS);
        let authorities = match &endpoint.authority {
            Some(path) => Authorities::File(path.clone()),
            None if is_encrypted => Authorities::System,
            // the image of a container may have none
            None => Authorities::None,
        };
        let read = endpoint.authority.as_deref().map(regular_file::read);
        let client = Client::new(ClientSettings {
            authorities,
            proxy: Proxy::Environment,
            connect_timeout: CONNECT,
            exempt: host
                .filter(|_| endpoint.is_link_local)
                .map(|host| Server::new(host, port))
                .into_iter()
                .collect(),
        })?;
        let authorities = read.transpose().map_err(|error| error.to_string())?;
        Ok(Self {
            endpoint,
            client,
            authorities: authorities.unwrap_or_default(),
        })
    }

    /// Reports whether another one would do the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint && self.authorities == other.authorities
    }

    /// Sends an event.
    pub async fn send(&self, event: &Event, source: &Source) -> Answer {
        let begun = Instant::now();
        let unanswered = |text: String, is_hopeless| Answer {
            status: None,
            duration: begun.elapsed(),
            text,
            is_success: false,
            is_hopeless,
        };
        let request = match self.request(event, source) {
            Ok(request) => request,
            Err(error) => return unanswered(error, true),
        };
        let timeout = self.endpoint.timeout;
        match tokio::time::timeout(timeout, self.exchange(request)).await {
            Ok(Ok((status, text))) => Answer {
                status: Some(status),
                duration: begun.elapsed(),
                text,
                // a redirect is not followed, and so takes no event
                is_success: (200..300).contains(&status),
                is_hopeless: false,
            },
            Ok(Err(error)) => unanswered(error, false),
            Err(_) => unanswered(format!("no answer within {timeout:?}"), false),
        }
    }

    fn request(&self, event: &Event, source: &Source) -> Result<Request<Full<Bytes>>, String> {
        let rendered = format::render(event, &self.endpoint, source)?;
        let mut request = Request::new(Full::new(rendered.body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.url.clone();
        let headers = request.headers_mut();
        *headers = rendered.headers;
        for (name, value) in &self.endpoint.headers {
            headers.append(name, value.clone());
        }
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(u16, String), String> {
        let answer = self
            .client
            .send(request, Reach::Any)
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        // half an answer is none: the endpoint may not have taken the event
        let text = beginning(answer.into_body()).await?;
        Ok((status, text))
    }
}

/// Reads an answer as far as it is kept.
async fn beginning(mut body: Incoming) -> Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("the answer broke off: {error}"))?;
        bytes.extend(frame.into_data().unwrap_or_default());
        if bytes.len() >= ANSWER {
            bytes.truncate(ANSWER);
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
