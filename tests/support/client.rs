//! An HTTP client that sends requests as given, even invalid ones, and shows the whole answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Time for which an idle connection is used again: less than the server keeps it.
const KEPT: Duration = Duration::from_secs(30);

/// One keep-alive connection, reopened after the server closed it and after a pause.
pub struct Client {
    address: String,
    dial: Dial,
    /// With the time of its last answer.
    connection: Option<(BufReader<Box<dyn Transport>>, Instant)>,
}

/// A transport of a connection: a socket, or TLS over one.
pub trait Transport: Read + Write + Send {}
impl<T: Read + Write + Send> Transport for T {}

type Dial = Box<dyn Fn() -> std::io::Result<Box<dyn Transport>> + Send + Sync>;

/// Connects to `HOST:PORT` with a read timeout.
pub fn dial_tcp(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A request being built.
pub struct Request<'c> {
    client: &'c mut Client,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new(address: &str) -> Self {
        let target = address.to_owned();
        Self::over(address, move || Ok(Box::new(dial_tcp(&target)?)))
    }

    /// Returns a client whose connections are made by `dial`; `address` is its Host header.
    pub fn over(
        address: &str,
        dial: impl Fn() -> std::io::Result<Box<dyn Transport>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            address: address.to_owned(),
            dial: Box::new(dial),
            connection: None,
        }
    }

    pub fn request(&mut self, method: &str, path: &str) -> Request<'_> {
        Request {
            client: self,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.request("GET", path).send()
    }

    pub fn head(&mut self, path: &str) -> Response {
        self.request("HEAD", path).send()
    }

    pub fn delete(&mut self, path: &str) -> Response {
        self.request("DELETE", path).send()
    }

    /// Opens a bare connection, for invalid requests.
    pub fn connect(&self) -> TcpStream {
        dial_tcp(&self.address).expect("the server accepts")
    }

    /// Starts a blob upload and returns its path.
    pub fn begin_upload(&mut self, repository: &str) -> String {
        let response = self
            .request("POST", &format!("/v2/{repository}/blobs/uploads/"))
            .send();
        assert_eq!(response.status, 202, "{response:?}");
        response.header("location").expect("a location").to_owned()
    }

    /// Pushes a blob with POST and PUT; returns its digest.
    pub fn push_blob(&mut self, repository: &str, content: &[u8]) -> String {
        let digest = super::sha256(content);
        let location = self.begin_upload(repository);
        let response = self
            .request("PUT", &format!("{location}&digest={digest}"))
            .body(content)
            .send();
        assert_eq!(response.status, 201, "{response:?}");
        digest
    }

    pub fn put_manifest(
        &mut self,
        repository: &str,
        reference: &str,
        media_type: &str,
        content: &[u8],
    ) -> Response {
        self.request("PUT", &format!("/v2/{repository}/manifests/{reference}"))
            .header("Content-Type", media_type)
            .body(content)
            .send()
    }
}

impl Request<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_owned();
        self
    }

    /// Sends with the right Content-Length unless a header sets another; panics without an answer.
    pub fn send(self) -> Response {
        let method = self.method.clone();
        self.try_send()
            .unwrap_or_else(|error| panic!("no answer to {method}: {error}"))
    }

    /// As [`Self::send`], for servers that may be killed meanwhile.
    pub fn try_send(self) -> std::io::Result<Response> {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\n",
            self.method, self.path, self.client.address
        );
        let says_length = self.headers.iter().any(|(name, _)| {
            matches!(
                &*name.to_lowercase(),
                "content-length" | "transfer-encoding"
            )
        });
        if !says_length {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut connection = match self.client.connection.take() {
            Some((connection, used)) if used.elapsed() < KEPT => connection,
            _ => BufReader::new((self.client.dial)()?),
        };
        connection.get_mut().write_all((text + "\r\n").as_bytes())?;
        connection.get_mut().write_all(&self.body)?;
        let response = read_response(&mut connection, self.method == "HEAD")?;
        let closes = response
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !closes {
            self.client.connection = Some((connection, Instant::now()));
        }
        Ok(response)
    }

    /// Announces `promised` bytes, sends only the body, then closes the sending side.
    pub fn send_truncated(mut self, promised: usize) -> Option<Response> {
        self = self.header("Content-Length", &promised.to_string());
        let mut stream = self.client.connect();
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\n",
            self.method, self.path, self.client.address
        );
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        stream
            .write_all((text + "\r\n").as_bytes())
            .expect("the head is sent");
        stream.write_all(&self.body).expect("the body is sent");
        stream
            .shutdown(Shutdown::Write)
            .expect("the connection is half closed");
        read_response(&mut BufReader::new(stream), false).ok()
    }
}

/// Returns the id of an upload from its location.
pub fn upload_id(location: &str) -> &str {
    let path = location.split('?').next().expect("a path");
    path.rsplit('/').next().expect("an id")
}

/// Reads one response from a connection.
pub fn read_response(connection: &mut impl BufRead, is_head: bool) -> std::io::Result<Response> {
    let closed = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|text| text.parse().ok())
        .ok_or_else(closed)?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let mut response = Response {
        status,
        headers,
        body: Vec::new(),
    };
    if is_head || matches!(status, 204 | 304) {
        return Ok(response);
    }
    let length = response
        .header("content-length")
        .map(|text| text.parse::<u64>().expect("a length"));
    match length {
        Some(length) => {
            connection.take(length).read_to_end(&mut response.body)?;
            if (response.body.len() as u64) < length {
                return Err(closed());
            }
        }
        None => {
            connection.read_to_end(&mut response.body)?;
        }
    }
    Ok(response)
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!(
                "not JSON ({error}): {}",
                String::from_utf8_lossy(&self.body)
            )
        })
    }

    /// Returns the code of an OCI error; panics if the body is not one.
    pub fn error_code(&self) -> String {
        self.json()["errors"][0]["code"]
            .as_str()
            .expect("an OCI error")
            .to_owned()
    }

    /// Asserts an error by status and code.
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, &*self.error_code()),
            (status, code),
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}
