//! The sockets of a fake registry, and its doors for tests.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};

use super::answers::{Ports, answer};
use super::reply::{End, Pause, Reply};
use super::state::{Behaviour, Part, Repository, Seen, State};
use crate::support::sha256;

/// A registry that speaks Docker Hub's dialect: tokens from elsewhere, blobs from a third place.
pub struct Hub {
    pub ports: Ports,
    state: Arc<Mutex<State>>,
}

impl Hub {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            remaining: 100,
            ..State::default()
        }));
        let listen = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
        let (registry, tokens, store) = (listen(), listen(), listen());
        let ports = Ports {
            registry: port(&registry),
            tokens: port(&tokens),
            store: port(&store),
        };
        for (listener, part) in [
            (registry, Part::Registry),
            (tokens, Part::Tokens),
            (store, Part::Store),
        ] {
            let state = Arc::clone(&state);
            // ends with the process
            std::thread::spawn(move || accept(&listener, part, ports, &state));
        }
        Self { ports, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.registry)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a lock")
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state().behaviour);
    }

    /// Changes a repository, which is there from then on.
    pub fn change(&self, repository: &str, change: impl FnOnce(&mut Repository)) {
        let mut state = self.state();
        change(state.repositories.entry(repository.to_owned()).or_default());
    }

    /// Adds a manifest, under a tag as well.
    pub fn add_manifest(&self, repository: &str, tag: Option<&str>, kind: &str, bytes: &[u8]) {
        self.change(repository, |held| {
            let digest = sha256(bytes);
            let manifest = (kind.to_owned(), bytes.to_owned());
            held.manifests.insert(digest.clone(), manifest);
            held.tags.extend(tag.map(|tag| (tag.to_owned(), digest)));
        });
    }

    pub fn add_blob(&self, repository: &str, content: &[u8]) {
        self.change(repository, |held| {
            held.blobs.insert(sha256(content), content.to_owned());
        });
    }

    /// Adds a user, who alone may pull from a repository.
    pub fn reserve(&self, repository: &str, user: &str, password: &str) {
        self.state()
            .users
            .insert(user.to_owned(), password.to_owned());
        self.change(repository, |held| held.readers.extend([user.to_owned()]));
    }

    /// Makes the next blob answer pause after some bytes, until the result is dropped or sent to.
    pub fn pause_at(&self, at: usize) -> mpsc::Sender<()> {
        let (sender, end) = mpsc::channel();
        self.behave(|behaviour| behaviour.pauses.push_back(Pause { at, end }));
        sender
    }

    /// Takes the requests that came since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    /// Returns the number of requests about content of a repository, but for `HEAD` of manifests.
    pub fn fetches_from(&self, repository: &str) -> usize {
        let state = self.state();
        state.fetches.get(repository).copied().unwrap_or(0)
    }

    /// Takes the requests that reached a part.
    pub fn seen_by(&self, part: Part) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|seen| seen.part == part);
        seen
    }

    /// Sets the number of requests that remain, of 100.
    pub fn leave(&self, remaining: u64) {
        self.state().remaining = remaining;
    }

    /// All tokens count no more.
    pub fn end_tokens(&self) {
        self.state().tokens.clear();
    }
}

fn accept(listener: &TcpListener, part: Part, ports: Ports, state: &Arc<Mutex<State>>) {
    let connections = AtomicUsize::new(0);
    for stream in listener.incoming().flatten() {
        let (state, number) = (
            Arc::clone(state),
            connections.fetch_add(1, Ordering::Relaxed),
        );
        std::thread::spawn(move || serve(stream, part, ports, &state, number));
    }
}

fn serve(
    stream: TcpStream,
    part: Part,
    ports: Ports,
    state: &Mutex<State>,
    connection: usize,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?);
        // as a proxy it is whatever server is meant
        let meant = path
            .strip_prefix("http://")
            .and_then(|url| url.split_once('/'));
        let (part, path) = match meant {
            Some((server, rest)) => (ports.part(server), format!("/{rest}")),
            None => (part, path.to_owned()),
        };
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let seen = Seen {
            part,
            method,
            path,
            headers,
            connection,
        };
        let (reply, delay) = {
            let mut state = state.lock().ok()?;
            state.count(&seen);
            state.seen.push(seen.clone());
            if state.behaviour.is_down {
                return stream.shutdown(Shutdown::Both).ok();
            }
            let delay = state.behaviour.delay;
            (answer(&mut state, &seen, ports), delay)
        };
        std::thread::sleep(delay);
        stream.write_all(reply.head.as_bytes()).ok()?;
        if seen.method != "HEAD" {
            write(&mut stream, &reply)?;
        }
        match reply.end {
            End::KeepAlive => {}
            End::Reset => return stream.shutdown(Shutdown::Both).ok(),
            // until the client leaves
            End::Stall => return reader.read_line(&mut String::new()).ok().map(drop),
        }
    }
}

/// Writes a body, with its pause.
fn write(stream: &mut TcpStream, reply: &Reply) -> Option<()> {
    let pause = reply.pause.as_ref();
    let at = pause.map_or(reply.body.len(), |pause| pause.at.min(reply.body.len()));
    let (before, after) = reply.body.split_at(at);
    stream.write_all(before).ok()?;
    if let Some(pause) = pause {
        // an error: the test has dropped the other end
        let _ = pause.end.recv();
    }
    stream.write_all(after).ok()
}
