//! Room for lists: answers that exist as a whole, and whose length and number clients choose.
//!
//! A list is made in a turn, of which there are few. A long one then needs room until its client has it. If there is
//! none, the list is dropped, and made again once there is, so that those who wait hold nothing. While they wait, a list
//! that its client did not take in time gives up its room, with its connection. A client that asks for more than its part of
//! the room waits for its own lists, so that it delays no other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::AbortHandle;
use http::request::Parts;
use http::{HeaderValue, Response};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::client_key;
use crate::client_parts::ClientParts;
use crate::http::connection::send_budget::{Charge, SMALLEST, SendBudget, TotalBudget};
use crate::http::proxy::client::Client;
use crate::http::response::error::ApiError;
use crate::registry::Error;

/// Size of the room, in KiB: half of what all answers may take.
const ROOM_KIB: usize = 32 << 10;
/// Part of the room that the lists of one client get, in KiB.
const CLIENT_KIB: usize = ROOM_KIB / 4;
/// Number of lists that are made at once.
const TURNS: usize = 4;
/// Maximum time for which a request waits for a turn and for room.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time that a client has for a list while others wait.
const TIME: Duration = Duration::from_secs(10);
/// Time in which a connection that was ended returns its room.
const RETURN: Duration = Duration::from_millis(100);

/// Room for the lists of all connections; clones share it.
#[derive(Clone)]
pub(crate) struct ListRoom(Arc<Room>);

struct Room {
    turns: Semaphore,
    /// Remaining room, in KiB.
    space: Arc<Semaphore>,
    /// Remaining part of each client, in KiB.
    parts: ClientParts<Semaphore>,
    /// Lists that have room, in the order in which they got it.
    held: Mutex<BTreeMap<u64, Held>>,
    next: AtomicU64,
    budget: TotalBudget,
}

/// Client that asks for a list.
struct Asker {
    connection: SendBudget,
    /// Key of the client; `None` if it has no address.
    client: Option<IpAddr>,
}

struct Held {
    since: Instant,
    client: Option<IpAddr>,
    /// Ends the connection.
    end: AbortHandle,
}

/// Share of one list, until it is dropped.
struct Share {
    room: Arc<Room>,
    number: u64,
    space: OwnedSemaphorePermit,
    _part: Option<OwnedSemaphorePermit>,
    _charge: Charge,
}

/// List that keeps its share until its client has it.
struct HeldList {
    text: String,
    _share: Share,
}

impl ListRoom {
    pub(crate) fn new(budget: &TotalBudget) -> Self {
        Self(Arc::new(Room {
            turns: Semaphore::new(TURNS),
            space: Arc::new(Semaphore::new(ROOM_KIB)),
            parts: ClientParts::new(|| Semaphore::new(CLIENT_KIB)),
            held: Mutex::default(),
            next: AtomicU64::default(),
            budget: budget.clone(),
        }))
    }

    /// Answers a request with the list that `make` makes, once there is room for it. It may be made more than once.
    ///
    /// # Errors
    /// [`Error::Overloaded`] after [`PATIENCE`], and those of `make`.
    pub(crate) async fn answer<F>(
        &self,
        head: &Parts,
        make: impl Fn() -> F,
    ) -> Result<Response<Body>, ApiError>
    where
        F: Future<Output = Result<Response<String>, ApiError>>,
    {
        let (asker, deadline) = (Asker::of(head), Instant::now() + PATIENCE);
        let mut share: Option<Share> = None;
        loop {
            // the semaphores are never closed
            let turn = timeout_at(deadline, self.0.turns.acquire())
                .await
                .map_err(|_| overloaded())?;
            let list = make().await?;
            let length = length(&list);
            if length <= SMALLEST as usize {
                return Ok(list.map(Body::from));
            }
            let size = space_of(length);
            let fitting = share.take().filter(|share| share.fits(size));
            if let Some(share) = fitting.or_else(|| self.0.try_take(size, &asker)) {
                return Ok(list.map(|text| share.hold(text)));
            }
            drop((list, turn));
            let room = timeout_at(deadline, self.0.take(size, &asker)).await;
            share = Some(room.map_err(|_| overloaded())?);
        }
    }
}

impl Asker {
    fn of(head: &Parts) -> Self {
        Self {
            connection: SendBudget::of(head),
            client: Client::address_of(head).map(client_key::of),
        }
    }
}

impl Room {
    fn try_take(self: &Arc<Self>, size: u32, asker: &Asker) -> Option<Share> {
        let part = match self.part(asker) {
            Some(part) => Some(part.try_acquire_many_owned(part_of(size)).ok()?),
            None => None,
        };
        let space = Arc::clone(&self.space).try_acquire_many_owned(size).ok()?;
        Some(self.share(space, part, asker))
    }

    /// Waits for room, at first in the client's own part, and ends connections that have kept it for too long.
    async fn take(self: &Arc<Self>, size: u32, asker: &Asker) -> Share {
        let part = match self.part(asker) {
            Some(part) => Some(self.wait(part, part_of(size), asker.client).await),
            None => None,
        };
        let space = self.wait(Arc::clone(&self.space), size, None).await;
        self.share(space, part, asker)
    }

    /// Returns the part of the client; `None` if it has no address.
    fn part(&self, asker: &Asker) -> Option<Arc<Semaphore>> {
        asker.client.map(|client| self.parts.of(client))
    }

    /// Waits for space, and ends connections of the client, or of all, that have kept theirs for too long.
    async fn wait(
        &self,
        space: Arc<Semaphore>,
        size: u32,
        client: Option<IpAddr>,
    ) -> OwnedSemaphorePermit {
        let mut space = pin!(space.acquire_many_owned(size));
        loop {
            tokio::select! {
                biased;
                Ok(space) = &mut space => return space,
                () = self.end_oldest(client) => {}
            }
        }
    }

    /// Waits until the oldest list of the client, or of all, has had its time, and ends its connection.
    async fn end_oldest(&self, client: Option<IpAddr>) {
        let oldest = || {
            let held = self.held.lock();
            let mut lists = held.iter();
            let (number, list) =
                lists.find(|(_, list)| client.is_none() || list.client == client)?;
            Some((*number, list.since + TIME))
        };
        if let Some((number, due)) = oldest() {
            sleep_until(due).await;
            let late = self.held.lock().remove(&number);
            if let Some(late) = late {
                tracing::debug!(
                    "a connection is closed: its client did not take a list for which others wait"
                );
                late.end.abort();
            }
        }
        sleep(RETURN).await;
    }

    fn share(
        self: &Arc<Self>,
        space: OwnedSemaphorePermit,
        part: Option<OwnedSemaphorePermit>,
        asker: &Asker,
    ) -> Share {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let charge = self.budget.charge((space.num_permits() as u64) << 10);
        let held = Held {
            since: Instant::now(),
            client: asker.client,
            end: asker.connection.end().clone(),
        };
        self.held.lock().insert(number, held);
        Share {
            room: Arc::clone(self),
            number,
            space,
            _part: part,
            _charge: charge,
        }
    }
}

impl Share {
    fn fits(&self, size: u32) -> bool {
        self.space.num_permits() >= size as usize
    }

    fn hold(self, text: String) -> Body {
        Body::from(Bytes::from_owner(HeldList { text, _share: self }))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.held.lock().remove(&self.number);
    }
}

impl AsRef<[u8]> for HeldList {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// Returns what a list takes until its client has it, in bytes.
fn length(list: &Response<String>) -> usize {
    let headers = list.headers().values().map(HeaderValue::len);
    list.body().len() + headers.sum::<usize>()
}

/// Returns the size of a list, in KiB; a list that is larger than the room takes all of it.
fn space_of(length: usize) -> u32 {
    length.div_ceil(1024).min(ROOM_KIB) as u32
}

/// Returns what a list of that size takes of its client's part; one that is larger than the part takes all of it.
fn part_of(size: u32) -> u32 {
    size.min(CLIENT_KIB as u32)
}

fn overloaded() -> ApiError {
    let cause = "clients do not take the lists that they asked for".to_owned();
    Error::Overloaded(cause).into()
}
