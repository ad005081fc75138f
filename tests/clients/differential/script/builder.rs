//! Requests of a script, and their bytes.

use std::collections::{BTreeMap, BTreeSet};

use crate::differential::wire::End;
use crate::support::content::sha256;

pub(super) const METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW",
];

#[derive(Default)]
pub struct Script {
    steps: Vec<Step>,
    names: BTreeSet<String>,
    group: &'static str,
}

/// One request.
pub struct Step {
    name: String,
    content: Content,
    keep: Option<&'static str>,
}

enum Content {
    Request {
        method: String,
        /// `{NAME}` in it is the place that was kept under that name, up to where its next query parameter goes; `{NAME!}`
        /// the same without the query it has, and `{NAME#}` the last part of its path.
        target: String,
        headers: Vec<(String, String)>,
        body: Body,
    },
    /// These bytes.
    Raw { bytes: Vec<u8>, end: End },
}

enum Body {
    None,
    Whole(Vec<u8>),
    Chunked(Vec<u8>),
}

impl Script {
    /// Begins a group, whose name begins the names of its requests.
    pub(super) fn enter(&mut self, group: &'static str) {
        self.group = group;
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Adds a login to every request from the one with that number on.
    pub(super) fn authorize_from(&mut self, start: usize, login: &str) {
        for step in &mut self.steps[start..] {
            step.header("Authorization", login);
        }
    }

    fn push(&mut self, name: &str, content: Content) -> &mut Step {
        let name = format!("{}/{name}", self.group);
        assert!(
            self.names.insert(name.clone()),
            "two requests are called {name}"
        );
        self.steps.push(Step {
            name,
            content,
            keep: None,
        });
        self.steps.last_mut().unwrap()
    }

    pub(super) fn ask(&mut self, name: &str, method: &str, target: impl Into<String>) -> &mut Step {
        let (method, target) = (method.to_owned(), target.into());
        self.push(
            name,
            Content::Request {
                method,
                target,
                headers: Vec::new(),
                body: Body::None,
            },
        )
    }

    pub(super) fn get(&mut self, name: &str, target: impl Into<String>) -> &mut Step {
        self.ask(name, "GET", target)
    }

    pub(super) fn raw(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.push(
            name,
            Content::Raw {
                bytes: bytes.into(),
                end: End::Open,
            },
        );
    }

    pub(super) fn cut_off(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.push(
            name,
            Content::Raw {
                bytes: bytes.into(),
                end: End::HalfClosed,
            },
        );
    }

    /// Starts an upload and keeps its location under `session`.
    pub(super) fn begin(&mut self, name: &str, repository: &str, session: &'static str) {
        self.ask(name, "POST", format!("/v2/{repository}/blobs/uploads/"))
            .keep(session);
    }

    /// Adds POST and PUT of a blob; returns its digest.
    pub(super) fn blob(&mut self, name: &str, repository: &str, content: &[u8]) -> String {
        let digest = sha256(content);
        self.begin(&format!("{name}-post"), repository, "blob");
        self.ask(
            &format!("{name}-put"),
            "PUT",
            format!("{{blob}}digest={digest}"),
        )
        .body(content);
        digest
    }

    pub(super) fn manifest(
        &mut self,
        name: &str,
        repository: &str,
        reference: &str,
        media_type: &str,
        content: &[u8],
    ) -> &mut Step {
        self.ask(
            name,
            "PUT",
            format!("/v2/{repository}/manifests/{reference}"),
        )
        .header("Content-Type", media_type)
        .body(content)
    }
}

impl Step {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn keeps(&self) -> Option<&'static str> {
        self.keep
    }

    pub fn is_head(&self) -> bool {
        matches!(&self.content, Content::Request { method, .. } if method == "HEAD")
    }

    /// Returns true if the connection is half closed after it.
    pub fn end(&self) -> End {
        match self.content {
            Content::Raw { end, .. } => end,
            Content::Request { .. } => End::Open,
        }
    }

    pub(super) fn header(&mut self, header: &str, value: &str) -> &mut Self {
        match &mut self.content {
            Content::Request { headers, .. } => headers.push((header.to_owned(), value.to_owned())),
            Content::Raw { .. } => panic!("raw bytes are whole"),
        }
        self
    }

    fn content(&mut self, content: Body) -> &mut Self {
        match &mut self.content {
            Content::Request { body, .. } => *body = content,
            Content::Raw { .. } => panic!("raw bytes are whole"),
        }
        self
    }

    pub(super) fn body(&mut self, body: &[u8]) -> &mut Self {
        self.content(Body::Whole(body.to_owned()))
    }

    pub(super) fn chunked(&mut self, body: &[u8]) -> &mut Self {
        self.content(Body::Chunked(body.to_owned()))
    }

    pub(super) fn keep(&mut self, place: &'static str) -> &mut Self {
        self.keep = Some(place);
        self
    }

    /// Returns the bytes to send to the server at `address`.
    pub fn bytes(&self, address: &str, places: &BTreeMap<&'static str, String>) -> Vec<u8> {
        let (method, target, headers, body) = match &self.content {
            Content::Raw { bytes, .. } => return bytes.clone(),
            Content::Request {
                method,
                target,
                headers,
                body,
            } => (method, filled(target, places), headers, body),
        };
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        match body {
            Body::None => [head.as_bytes(), b"\r\n"].concat(),
            Body::Whole(body) => [
                head.as_bytes(),
                format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
                body,
            ]
            .concat(),
            Body::Chunked(body) => {
                let half = body.len() / 2;
                let pieces = [&body[..half], &body[half..]].map(|piece| {
                    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
                });
                [
                    head.as_bytes(),
                    b"Transfer-Encoding: chunked\r\n\r\n",
                    &pieces.concat(),
                    b"0\r\n\r\n",
                ]
                .concat()
            }
        }
    }
}

fn filled(target: &str, places: &BTreeMap<&'static str, String>) -> String {
    let mut target = target.to_owned();
    for (name, place) in places {
        // a server may call itself by another name in its locations
        let path = place
            .split_once("://")
            .map_or(place.as_str(), |(_, rest)| &rest[rest.find('/').unwrap()..]);
        let open = if path.contains('?') {
            format!("{path}&")
        } else {
            format!("{path}?")
        };
        let bare = path.split('?').next().unwrap();
        let id = bare.rsplit('/').next().unwrap();
        target = target
            .replace(&format!("{{{name}}}"), &open)
            .replace(&format!("{{{name}!}}"), bare)
            .replace(&format!("{{{name}#}}"), id);
    }
    target
}
