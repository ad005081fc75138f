//! State of a fake registry: content, behaviour, and the requests that came.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::reply::Pause;

/// Part of the registry that a request reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Registry,
    Tokens,
    /// The host to which blobs are redirected.
    Store,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub part: Part,
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// Number of the connection, from 0.
    pub connection: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| &**value)
    }
}

/// A repository: its manifests under digests and tags, with media types, and its blobs.
#[derive(Clone, Default)]
pub struct Repository {
    pub tags: BTreeMap<String, String>,
    pub manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// Users that may pull; empty for everybody.
    pub readers: BTreeSet<String>,
}

/// Behaviour of the registry.
pub struct Behaviour {
    /// Blobs are redirected to another port, which refuses `Authorization`.
    pub redirects_blobs: bool,
    /// Number of redirects on the registry itself before a blob is there.
    pub hops: usize,
    /// Host in the address of the token service.
    pub realm_host: &'static str,
    /// Tokens come from the registry's own port.
    pub has_own_tokens: bool,
    /// Ask for the password itself.
    pub wants_basic: bool,
    pub knows_ranges: bool,
    pub knows_referrers: bool,
    /// Names on a page.
    pub page: usize,
    /// Host of the next page, instead of none.
    pub next_page_at: Option<String>,
    /// Bytes of each next blob answer after which the connection is reset.
    pub resets: VecDeque<usize>,
    /// Bytes of the next blob answer after which nothing comes any more.
    pub stall: Option<usize>,
    /// Blob whose answers stop after some bytes.
    pub stalling: Option<String>,
    /// Status of each next answer about content, with further headers.
    pub statuses: VecDeque<(u16, &'static str)>,
    /// All tokens end once a blob answer was reset.
    pub ends_tokens_at_reset: bool,
    /// Bytes by which the announced length of a blob is too long.
    pub too_long: usize,
    /// A byte of every blob is changed.
    pub alters_blobs: bool,
    /// Blobs come in chunks, without their length.
    pub sends_chunks: bool,
    /// Every request is answered by the end of its connection.
    pub is_down: bool,
    /// Time before each answer.
    pub delay: Duration,
    /// Pause in each next blob answer.
    pub pauses: VecDeque<Pause>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            redirects_blobs: true,
            hops: 0,
            realm_host: "localhost",
            has_own_tokens: false,
            wants_basic: false,
            knows_ranges: true,
            knows_referrers: true,
            page: 1000,
            next_page_at: None,
            resets: VecDeque::new(),
            stall: None,
            stalling: None,
            statuses: VecDeque::new(),
            ends_tokens_at_reset: false,
            too_long: 0,
            alters_blobs: false,
            sends_chunks: false,
            is_down: false,
            delay: Duration::ZERO,
            pauses: VecDeque::new(),
        }
    }
}

/// Everything of a fake registry.
#[derive(Default)]
pub struct State {
    pub repositories: BTreeMap<String, Repository>,
    /// Passwords by user.
    pub users: BTreeMap<String, String>,
    pub behaviour: Behaviour,
    pub seen: Vec<Seen>,
    /// Numbers of requests about content of each repository, but for `HEAD` of manifests.
    pub fetches: BTreeMap<String, usize>,
    /// Tokens that count, with their scope and user.
    pub tokens: BTreeMap<String, (String, String)>,
    pub tokens_given: usize,
    pub remaining: u64,
}

impl State {
    pub fn count(&mut self, seen: &Seen) {
        let rest = seen.path.strip_prefix("/v2/").unwrap_or_default();
        let kinds = ["/manifests/", "/blobs/"];
        let place = kinds.iter().find_map(|kind| rest.split_once(kind));
        let is_look = seen.method == "HEAD" && rest.contains("/manifests/");
        if let (Some((repository, _)), false) = (place, is_look) {
            *self.fetches.entry(repository.to_owned()).or_default() += 1;
        }
    }
}
