//! Answers of a fake registry.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::reply::{End, Reply};
use super::state::{Part, Repository, Seen, State};
use crate::support::sha256;

/// Ports of the three parts.
#[derive(Clone, Copy)]
pub struct Ports {
    pub registry: u16,
    pub tokens: u16,
    pub store: u16,
}

impl Ports {
    /// Returns the part that a server in a URL is; a name without a port is the registry.
    pub fn part(&self, server: &str) -> Part {
        let port = server
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        match port {
            Some(port) if port == self.tokens => Part::Tokens,
            Some(port) if port == self.store => Part::Store,
            _ => Part::Registry,
        }
    }
}

pub fn answer(state: &mut State, seen: &Seen, ports: Ports) -> Reply {
    match seen.part {
        Part::Registry if seen.path.starts_with("/token") => token(state, seen),
        Part::Registry => registry(state, seen, ports),
        Part::Tokens => token(state, seen),
        Part::Store => store(state, seen),
    }
}

fn error(status: &str, headers: &str, code: &str) -> Reply {
    Reply::json(status, headers, &json!({ "errors": [{ "code": code }] }))
}

/// Returns the user of a `Basic` login; `None` for a wrong one, and an empty name without one.
fn user(state: &State, seen: &Seen) -> Option<String> {
    let Some(header) = seen.header("authorization") else {
        return Some(String::new());
    };
    let login = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let login = String::from_utf8(login).ok()?;
    let (user, password) = login.split_once(':')?;
    (state.users.get(user)? == password).then(|| user.to_owned())
}

fn token(state: &mut State, seen: &Seen) -> Reply {
    let Some(user) = user(state, seen) else {
        return error("401 Unauthorized", "", "UNAUTHORIZED");
    };
    let (_, query) = seen.path.split_once('?').unwrap_or_default();
    let scope = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "scope");
    let scope = scope.map_or_else(String::new, |(_, scope)| scope.into_owned());
    state.tokens_given += 1;
    let token = format!("token-{}", state.tokens_given);
    state.tokens.insert(token.clone(), (scope, user));
    Reply::json("200 OK", "", &json!({ "token": token, "expires_in": 300 }))
}

/// Reports whether a request may do what it asks for: whoever asks has a token for the repository, or a password.
fn is_allowed(state: &State, seen: &Seen, scope: &str, readers: &Repository) -> bool {
    let user = if state.behaviour.wants_basic {
        user(state, seen).filter(|user| !user.is_empty())
    } else {
        let header = seen.header("authorization");
        let token = header.and_then(|header| header.strip_prefix("Bearer "));
        let grant = token.and_then(|token| state.tokens.get(token));
        grant
            .filter(|(granted, _)| granted == scope)
            .map(|(_, user)| user.clone())
    };
    let is_reader = |user: &String| readers.readers.is_empty() || readers.readers.contains(user);
    user.is_some_and(|user| is_reader(&user))
}

fn challenge(state: &State, scope: &str, ports: Ports) -> String {
    if state.behaviour.wants_basic {
        return "WWW-Authenticate: Basic realm=\"hub\"\r\n".to_owned();
    }
    let (host, port) = match state.behaviour.has_own_tokens {
        true => ("127.0.0.1", ports.registry),
        false => (state.behaviour.realm_host, ports.tokens),
    };
    format!(
        "WWW-Authenticate: Bearer realm=\"http://{host}:{port}/token\",service=\"hub\",scope=\"{scope}\"\r\n"
    )
}

fn registry(state: &mut State, seen: &Seen, ports: Ports) -> Reply {
    let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
    let rest = path.strip_prefix("/v2/").unwrap_or_default().to_owned();
    let (name, kind, reference) = if rest == "_catalog" {
        (String::new(), "catalog", "")
    } else {
        let kinds = ["manifests", "blobs", "tags", "referrers"];
        let found = kinds.iter().find_map(|kind| {
            let (name, reference) = rest.split_once(&format!("/{kind}/"))?;
            Some((name.to_owned(), *kind, reference))
        });
        found.unwrap_or_default()
    };
    let scope = match kind {
        "catalog" => "registry:catalog:*".to_owned(),
        _ => format!("repository:{name}:pull"),
    };
    let repository = state.repositories.get(&name).cloned();
    let is_known = repository.is_some() || kind == "catalog";
    let repository = repository.unwrap_or_default();
    // as Docker Hub does, whoever asks
    if !is_known || !is_allowed(state, seen, &scope, &repository) {
        let header = challenge(state, &scope, ports);
        return error("401 Unauthorized", &header, "UNAUTHORIZED");
    }
    if let Some((status, headers)) = state.behaviour.statuses.pop_front() {
        return error(&format!("{status} Told So"), headers, "UNKNOWN");
    }
    match kind {
        "manifests" => manifest(state, seen, &repository, reference),
        "blobs" => blob(state, seen, &name, reference, ports),
        "tags" => page(state, seen, "tags", repository.tags.keys().cloned(), query),
        "catalog" => {
            let names = state.repositories.keys().cloned().collect::<Vec<_>>();
            page(state, seen, "repositories", names.into_iter(), query)
        }
        "referrers" if state.behaviour.knows_referrers => referrers(&repository, reference),
        _ => error("404 Not Found", "", "NOT_FOUND"),
    }
}

fn manifest(state: &mut State, seen: &Seen, repository: &Repository, reference: &str) -> Reply {
    let digest = repository
        .tags
        .get(reference)
        .map_or(reference, |digest| digest);
    let Some((kind, bytes)) = repository.manifests.get(digest) else {
        return error("404 Not Found", "", "MANIFEST_UNKNOWN");
    };
    if seen.method == "GET" {
        state.remaining = state.remaining.saturating_sub(1);
    }
    let headers = format!(
        "Content-Type: {kind}\r\nDocker-Content-Digest: {digest}\r\nRateLimit-Limit: 100;w=21600\r\nRateLimit-Remaining: {};w=21600\r\n",
        state.remaining
    );
    if seen.header("if-none-match") == Some(&format!("\"{digest}\"")) {
        return Reply::new("304 Not Modified", &headers, Vec::new());
    }
    Reply::new("200 OK", &headers, bytes.clone())
}

fn blob(state: &mut State, seen: &Seen, name: &str, rest: &str, ports: Ports) -> Reply {
    if seen.method == "HEAD" {
        return error("401 Unauthorized", "", "UNAUTHORIZED");
    }
    let (digest, hop) = rest.split_once('/').unwrap_or((rest, "0"));
    let hop: usize = hop.parse().expect("a number");
    if hop < state.behaviour.hops {
        let next = format!("Location: /v2/{name}/blobs/{digest}/{}\r\n", hop + 1);
        return Reply::new("307 Temporary Redirect", &next, Vec::new());
    }
    if state.behaviour.redirects_blobs {
        let port = ports.store;
        let place = format!("Location: http://127.0.0.1:{port}/{name}/{digest}?signature=s\r\n");
        return Reply::new("307 Temporary Redirect", &place, Vec::new());
    }
    content(state, seen, name, digest)
}

fn store(state: &mut State, seen: &Seen) -> Reply {
    if seen.header("authorization").is_some() {
        return error("400 Bad Request", "", "ONLY_ONE_LOGIN");
    }
    let path = seen.path.split('?').next().unwrap_or_default();
    let Some((name, digest)) = path.trim_start_matches('/').rsplit_once('/') else {
        return error("404 Not Found", "", "NOT_FOUND");
    };
    content(state, seen, name, digest)
}

fn content(state: &mut State, seen: &Seen, name: &str, digest: &str) -> Reply {
    let blob = state
        .repositories
        .get(name)
        .and_then(|held| held.blobs.get(digest));
    let Some(mut blob) = blob.cloned() else {
        return error("404 Not Found", "", "BLOB_UNKNOWN");
    };
    let behaviour = &mut state.behaviour;
    if behaviour.alters_blobs {
        blob[0] ^= 1;
    }
    let size = blob.len();
    let start = seen.header("range").filter(|_| behaviour.knows_ranges);
    let range = start.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let number = |text: &str| text.parse::<usize>().ok();
    let start = range.map(|(start, _)| number(start).expect("a start"));
    let last = range
        .and_then(|(_, last)| number(last))
        .unwrap_or(size.saturating_sub(1));
    let (status, headers) = match start {
        Some(start) => (
            "206 Partial Content",
            format!("Content-Range: bytes {start}-{last}/{size}\r\n"),
        ),
        None => ("200 OK", String::new()),
    };
    blob.truncate(last + 1);
    let mut reply = Reply::new(status, &headers, blob.split_off(start.unwrap_or(0)));
    if behaviour.too_long > 0 {
        let (before, after) = (reply.body.len(), reply.body.len() + behaviour.too_long);
        reply.head = reply.head.replace(
            &format!("Content-Length: {before}"),
            &format!("Content-Length: {after}"),
        );
        reply.end = End::Reset;
    }
    if behaviour.sends_chunks {
        reply = reply.in_chunks();
    }
    reply.pause = behaviour.pauses.pop_front();
    if let Some(bytes) = behaviour.resets.pop_front() {
        reply.body.truncate(bytes);
        reply.end = End::Reset;
        if behaviour.ends_tokens_at_reset {
            state.tokens.clear();
        }
    } else if behaviour.stalling.as_deref() == Some(digest) {
        reply.body.truncate(1000);
        reply.end = End::Stall;
    } else if let Some(bytes) = behaviour.stall.take() {
        reply.body.truncate(bytes);
        reply.end = End::Stall;
    }
    reply
}

fn page(
    state: &State,
    seen: &Seen,
    key: &str,
    names: impl Iterator<Item = String>,
    query: &str,
) -> Reply {
    let last = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "last");
    let last = last.map_or_else(String::new, |(_, last)| last.into_owned());
    let mut rest = names.filter(|name| *name > last).collect::<Vec<_>>();
    let more = rest.len() > state.behaviour.page;
    rest.truncate(state.behaviour.page);
    let path = seen.path.split('?').next().unwrap_or_default();
    let host = state.behaviour.next_page_at.as_deref().unwrap_or_default();
    let link = match (more, rest.last()) {
        (true, Some(last)) => format!("Link: <{host}{path}?n=2&last={last}>; rel=\"next\"\r\n"),
        _ => String::new(),
    };
    Reply::json("200 OK", &link, &json!({ key: rest }))
}

fn referrers(repository: &Repository, subject: &str) -> Reply {
    let about = repository.manifests.values().filter_map(|(kind, bytes)| {
        let manifest: Value = serde_json::from_slice(bytes).ok()?;
        (manifest["subject"]["digest"] == subject)
            .then(|| json!({ "mediaType": kind, "digest": sha256(bytes), "size": bytes.len() }))
    });
    let index = json!({ "schemaVersion": 2, "manifests": about.collect::<Vec<_>>() });
    Reply::json("200 OK", "", &index)
}
