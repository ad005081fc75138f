//! Small documents of other servers, by HTTPS.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::authorities::{Authorities, client_config};
use super::exchange::{Encryption, exchange};
use crate::files::regular_file;
use crate::threads::blocking;

/// Maximum size of a document, in bytes.
const LARGEST: usize = 256 << 10;
/// Maximum time for a document to arrive.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A document, and how its server is known.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) url: String,
    pub(crate) authorities: Authorities,
    /// File with a token that the server asks for.
    pub(crate) bearer: Option<PathBuf>,
}

/// Fetches a document by `GET`. Redirects are not followed.
///
/// # Errors
/// A URL that is not `https`, a server that is not reached in time or not certified, a status other than 200, and too large
/// a document, in a sentence.
pub(crate) async fn fetch(document: &Document) -> Result<Vec<u8>, String> {
    let answer = timeout(TIMEOUT, get(document)).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))
}

async fn get(document: &Document) -> Result<Vec<u8>, String> {
    let uri: Uri = document
        .url
        .parse()
        .map_err(|_| "it is not a URL".to_owned())?;
    let authority = uri
        .authority()
        .filter(|_| uri.scheme_str() == Some("https"));
    let authority = authority.ok_or("its URL does not begin with https://")?;
    if authority.as_str().contains('@') {
        return Err("its URL names a user".to_owned());
    }
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let (authorities, bearer) = (document.authorities.clone(), document.bearer.clone());
    let prepared = blocking::run(move || prepare(&authorities, bearer)).await;
    let (config, bearer) = prepared.map_err(|error| error.to_string())??;
    let server = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = (uri.path_and_query().map_or("/", |target| target.as_str()))
        .parse()
        .map_err(|_| "it is not a URL".to_owned())?;
    let headers = request.headers_mut();
    let name = HeaderValue::try_from(authority.as_str()).map_err(|error| error.to_string())?;
    headers.insert(HOST, name);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("tarkeep"));
    if let Some(bearer) = bearer {
        headers.insert(AUTHORIZATION, bearer);
    }
    let port = authority.port_u16().unwrap_or(443);
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(|error| format!("connection failed: {error}"))?;
    let config = Arc::new(config);
    let answer = exchange(stream, Some(Encryption { config, server }), request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status() != StatusCode::OK {
        return Err(format!("the server answers {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    let body = body.map_err(|error| error.to_string())?;
    Ok(body.to_bytes().to_vec())
}

/// Reads the files that a request needs.
fn prepare(
    authorities: &Authorities,
    bearer: Option<PathBuf>,
) -> Result<(rustls::ClientConfig, Option<HeaderValue>), String> {
    let config = client_config(authorities)?;
    let Some(path) = bearer else {
        return Ok((config, None));
    };
    let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let token = regular_file::read(&path).map_err(|error| unreadable(&error))?;
    let header = [b"Bearer ", token.trim_ascii()].concat();
    let mut header = HeaderValue::from_bytes(&header).map_err(|error| unreadable(&error))?;
    header.set_sensitive(true);
    Ok((config, Some(header)))
}
