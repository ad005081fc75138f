//! Room for lists: answers that exist as a whole, and whose length and number clients choose.
//!
//! A list is made in a turn, of which there are few. A long one then needs room until its client has it. If there is
//! none, the list is dropped, and made again once there is, so that those who wait hold nothing. Turns and room are shared
//! by client (`list_places.rs`), so that none delays another by asking for many.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::client_key;
use crate::client_parts::ClientParts;
use crate::http::api::handlers::list_places::{Places, ROOM_KIB, Wish};
use crate::http::connection::send_budget::{SMALLEST, SendBudget, TotalBudget};
use crate::http::proxy::client::Client;
use crate::http::response::error::ApiError;
use crate::registry::Error;

/// Number of lists that are made at once, and of those for one client.
const TURNS: usize = 4;
const CLIENT_TURNS: usize = 2;
/// Maximum time for which a request waits for a turn and for room.
const PATIENCE: Duration = Duration::from_secs(15);

/// Room for the lists of all connections; clones share it.
#[derive(Clone)]
pub(crate) struct ListRoom(Arc<Room>);

struct Room {
    turns: Arc<Semaphore>,
    /// Remaining turns of each client.
    client_turns: ClientParts<Semaphore>,
    places: Mutex<Places>,
}

/// Turn, until it is dropped.
struct Turn {
    _own: Option<OwnedSemaphorePermit>,
    _shared: OwnedSemaphorePermit,
}

/// Place of one list, or in the queue for one, until it is dropped.
struct Place {
    room: Arc<Room>,
    number: u64,
    /// Size, in KiB.
    size: usize,
}

/// List that keeps its place until its client has it.
struct HeldList {
    text: String,
    _place: Place,
}

impl ListRoom {
    pub(crate) fn new(budget: &TotalBudget) -> Self {
        Self(Arc::new(Room {
            turns: Arc::new(Semaphore::new(TURNS)),
            client_turns: ClientParts::new(|| Semaphore::new(CLIENT_TURNS)),
            places: Mutex::new(Places::new(budget.clone())),
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
        let deadline = Instant::now() + PATIENCE;
        let mut place: Option<Place> = None;
        loop {
            let turn = timeout_at(deadline, self.0.turn(head))
                .await
                .map_err(|_| overloaded())?
                .ok_or_else(overloaded)?;
            let list = make().await?;
            let length = length(&list);
            if length <= SMALLEST as usize {
                return Ok(list.map(Body::from));
            }
            let size = space_of(length);
            if let Some(place) = place.take_if(|place| place.size >= size) {
                return Ok(list.map(|text| place.hold(text)));
            }
            drop(place.take());
            let (next, mut granted) = self.0.ask(size, head);
            if granted.try_recv().is_ok() {
                return Ok(list.map(|text| next.hold(text)));
            }
            drop((list, turn));
            timeout_at(deadline, next.wait(granted))
                .await
                .map_err(|_| overloaded())?;
            place = Some(next);
        }
    }
}

impl Room {
    /// Waits for a turn, at first for one of the client's own. Never returns `None`: the semaphores are not closed.
    async fn turn(&self, head: &Parts) -> Option<Turn> {
        let own = match Client::address_of(head) {
            Some(address) => Some(self.client_turns.of(address).acquire_owned().await.ok()?),
            None => None,
        };
        let shared = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        Some(Turn {
            _own: own,
            _shared: shared,
        })
    }

    /// Takes a place in the queue; what it returns tells when that is one in the room.
    fn ask(self: &Arc<Self>, size: usize, head: &Parts) -> (Place, oneshot::Receiver<()>) {
        let wish = Wish {
            client: Client::address_of(head).map(client_key::of),
            size,
            end: SendBudget::of(head).end().clone(),
        };
        let (number, granted) = self.places.lock().ask(wish);
        let place = Place {
            room: Arc::clone(self),
            number,
            size,
        };
        (place, granted)
    }
}

impl Place {
    /// Waits until it is in the room, and ends lists that are in the way for too long.
    async fn wait(&self, mut granted: oneshot::Receiver<()>) {
        loop {
            let next = self.room.places.lock().look(self.number, Instant::now());
            tokio::select! {
                biased;
                // an error cannot be: the queue keeps the other end until the place is dropped
                _ = &mut granted => return,
                () = sleep_until(next) => {}
            }
        }
    }

    fn hold(self, text: String) -> Body {
        self.room.places.lock().begin(self.number, Instant::now());
        Body::from(Bytes::from_owner(HeldList { text, _place: self }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.places.lock().leave(self.number);
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
fn space_of(length: usize) -> usize {
    length.div_ceil(1024).min(ROOM_KIB)
}

fn overloaded() -> ApiError {
    let cause = "clients do not take the lists that they asked for".to_owned();
    Error::Overloaded(cause).into()
}
