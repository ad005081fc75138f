//! Places of lists in their room, and who is next.
//!
//! The client that has least comes first, so that one which has nothing waits for nobody who has something. If there is no
//! room for it, a list that its client did not take in time is ended: the oldest of the client that has most.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::AbortHandle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::http::connection::send_budget::{Charge, TotalBudget};

/// Size of the room, in KiB: half of what all answers may take.
pub(crate) const ROOM_KIB: usize = 32 << 10;
/// Part of the room that the lists of one client get, in KiB.
const CLIENT_KIB: usize = ROOM_KIB / 4;
/// Time that a client has for a list while another client waits. It is shorter while several do.
const TIME: Duration = Duration::from_secs(10);
/// The same for a list of a client that has more than the waiting one would, and the minimum.
const SHORT_TIME: Duration = Duration::from_secs(2);
/// Longest and shortest time after which a waiting list is looked at again.
const LOOK: Duration = Duration::from_secs(1);
/// See [`LOOK`]: time in which a connection that was ended returns its room.
const RETURN: Duration = Duration::from_millis(100);

/// Lists that have room, and those that wait for it.
pub(crate) struct Places {
    held: BTreeMap<u64, Held>,
    waiting: BTreeMap<u64, Waiting>,
    clients: HashMap<Client, Holding>,
    all: Holding,
    next: u64,
    budget: TotalBudget,
}

/// Key of a client; `None` for all that have no address.
type Client = Option<IpAddr>;

/// List that asks for room.
pub(crate) struct Wish {
    pub client: Client,
    /// Size, in KiB; at most [`ROOM_KIB`].
    pub size: usize,
    /// Ends its connection.
    pub end: AbortHandle,
}

struct Waiting {
    wish: Wish,
    granted: oneshot::Sender<()>,
}

struct Held {
    wish: Wish,
    /// Time from which its client could take it; `None` while it is made.
    since: Option<Instant>,
    /// True if its connection was ended, which returns the room in a moment.
    is_ended: bool,
    _charge: Charge,
}

/// Room that is held, in KiB.
#[derive(Clone, Copy, Default)]
struct Holding {
    total: usize,
    /// Part of it that ended connections return in a moment.
    returning: usize,
    /// Number of lists.
    lists: usize,
}

impl Holding {
    fn add(&mut self, size: usize) {
        self.total += size;
        self.lists += 1;
    }

    fn remove(&mut self, list: &Held) {
        self.total -= list.wish.size;
        self.lists -= 1;
        if list.is_ended {
            self.returning -= list.wish.size;
        }
    }
}

impl Wish {
    /// True if the client's own part has no room beside what it holds.
    fn exceeds(&self, held: usize) -> bool {
        self.client.is_some() && held + self.size.min(CLIENT_KIB) > CLIENT_KIB
    }
}

impl Places {
    pub(crate) fn new(budget: TotalBudget) -> Self {
        Self {
            held: BTreeMap::new(),
            waiting: BTreeMap::new(),
            clients: HashMap::new(),
            all: Holding::default(),
            next: 0,
            budget,
        }
    }

    /// Notes a wish; returns its number, and what tells that it has room.
    pub(crate) fn ask(&mut self, wish: Wish) -> (u64, oneshot::Receiver<()>) {
        let (granted, receiver) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.waiting.insert(number, Waiting { wish, granted });
        self.grant();
        (number, receiver)
    }

    /// Notes that the client of this list can take it from now on.
    pub(crate) fn begin(&mut self, number: u64, now: Instant) {
        if let Some(list) = self.held.get_mut(&number) {
            list.since = Some(now);
        }
    }

    /// Removes a list, or a wish.
    pub(crate) fn leave(&mut self, number: u64) {
        self.waiting.remove(&number);
        if let Some(list) = self.held.remove(&number) {
            self.all.remove(&list);
            let client = self.clients.entry(list.wish.client).or_default();
            client.remove(&list);
            if client.lists == 0 {
                self.clients.remove(&list.wish.client);
            }
        }
        self.grant();
    }

    /// Ends a list that was not taken in time, if that is needed for this wish; returns when to look again.
    pub(crate) fn look(&mut self, number: u64, now: Instant) -> Instant {
        let due = self.waiting.get(&number).and_then(|waiting| {
            let (victim, time) = self.victim(&waiting.wish)?;
            Some((victim, self.held.get(&victim)?.since? + time))
        });
        if let Some((victim, due)) = due {
            if due > now {
                return due.clamp(now + RETURN, now + LOOK);
            }
            self.end(victim);
        }
        now + RETURN
    }

    /// Gives room to wishes, as long as the next one fits.
    fn grant(&mut self) {
        while let Some(number) = self.first() {
            if self.waiting[&number].wish.size > ROOM_KIB - self.all.total {
                return;
            }
            if let Some(Waiting { wish, granted }) = self.waiting.remove(&number) {
                self.hold(number, wish);
                // whoever does not wait any more leaves
                let _ = granted.send(());
            }
        }
    }

    /// Returns the wish that is next: that of the client which would have least, among those whose part has room.
    fn first(&self) -> Option<u64> {
        let waiting = self.waiting.iter().filter_map(|(number, waiting)| {
            let (wish, held) = (&waiting.wish, self.holding(waiting.wish.client).total);
            (!wish.exceeds(held)).then_some((held + wish.size, *number))
        });
        waiting.min().map(|(_, number)| number)
    }

    fn hold(&mut self, number: u64, wish: Wish) {
        self.all.add(wish.size);
        self.clients.entry(wish.client).or_default().add(wish.size);
        let list = Held {
            _charge: self.budget.charge((wish.size as u64) << 10),
            wish,
            since: None,
            is_ended: false,
        };
        self.held.insert(number, list);
    }

    /// Returns the list that is to make room for a wish, and the time that its client has for it. Returns `None` if enough is
    /// free in a moment.
    fn victim(&self, wish: &Wish) -> Option<(u64, Duration)> {
        let own = self.holding(wish.client);
        if wish.exceeds(own.total - own.returning) {
            return Some((self.oldest(wish.client)?, TIME));
        }
        if wish.size <= ROOM_KIB - (self.all.total - self.all.returning) {
            return None;
        }
        let candidates = self.held.iter().filter(|(_, list)| !list.is_ended);
        let (_, most, Reverse(victim)) = candidates
            .map(|(number, list)| {
                let holding = self.holding(list.wish.client);
                // lists that are made begin to count when their client can take them
                (
                    list.since.is_some(),
                    holding.total - holding.returning,
                    Reverse(*number),
                )
            })
            .max()?;
        let time = if most > own.total + wish.size {
            SHORT_TIME
        } else {
            let waiting = self.waiting.values().map(|waiting| waiting.wish.client);
            let clients = waiting.collect::<HashSet<_>>().len() as u32;
            (TIME / clients.max(1)).max(SHORT_TIME)
        };
        Some((victim, time))
    }

    /// Returns the oldest list that a client could take.
    fn oldest(&self, client: Client) -> Option<u64> {
        let is_oldest =
            |list: &Held| list.wish.client == client && list.since.is_some() && !list.is_ended;
        let mut lists = self.held.iter();
        lists
            .find(|(_, list)| is_oldest(list))
            .map(|(number, _)| *number)
    }

    fn holding(&self, client: Client) -> Holding {
        self.clients.get(&client).copied().unwrap_or_default()
    }

    fn end(&mut self, number: u64) {
        let Some(list) = self.held.get_mut(&number) else {
            return;
        };
        list.is_ended = true;
        list.wish.end.abort();
        self.all.returning += list.wish.size;
        if let Some(client) = self.clients.get_mut(&list.wish.client) {
            client.returning += list.wish.size;
        }
        tracing::debug!(
            "a connection is closed: its client did not take a list for which others wait"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Size of a list of which ten fit, two of them for one client.
    const SIZE: usize = 3 << 10;

    fn places() -> Places {
        Places::new(TotalBudget::default())
    }

    fn wish(client: u8, size: usize) -> Wish {
        Wish {
            client: Some([192, 0, 2, client].into()),
            size,
            end: AbortHandle::new_pair().0,
        }
    }

    /// Asks for a list; returns its number, and whether it has room at once.
    fn ask(places: &mut Places, client: u8) -> (u64, bool) {
        let (number, mut granted) = places.ask(wish(client, SIZE));
        let is_granted = granted.try_recv().is_ok();
        if is_granted {
            places.begin(number, Instant::now());
        }
        (number, is_granted)
    }

    #[test]
    fn whoever_has_least_is_next() {
        let places = &mut places();
        let held: Vec<_> = [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
            .map(|client| ask(places, client))
            .into();
        assert!(held.iter().all(|(_, is_granted)| *is_granted));
        // beyond its own part, then beyond the room
        let (own, _) = places.ask(wish(1, SIZE));
        let (sixth, mut granted) = places.ask(wish(6, SIZE));
        assert_eq!(places.first(), Some(sixth));
        places.leave(held[0].0);
        assert!(granted.try_recv().is_ok());
        assert!(places.waiting.contains_key(&own));
    }

    #[test]
    fn the_oldest_list_of_whoever_has_most_makes_room_once() {
        let places = &mut places();
        let held: Vec<_> = [1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
            .map(|client| ask(places, client).0)
            .into();
        let (late, _) = places.ask(wish(7, SIZE));
        let later = Instant::now() + SHORT_TIME;
        assert_eq!(
            places.look(late, later - SHORT_TIME),
            later - SHORT_TIME + LOOK
        );
        assert!(places.held.values().all(|list| !list.is_ended));
        for _ in 0..2 {
            places.look(late, later);
            let ended = places.held.iter().filter(|(_, list)| list.is_ended);
            assert_eq!(
                ended.map(|(number, _)| *number).collect::<Vec<_>>(),
                [held[1]]
            );
        }
        places.leave(held[1]);
        assert!(places.held.contains_key(&late));
        assert_eq!(places.all.returning, 0);
    }

    #[test]
    fn equal_clients_have_less_time_the_more_of_them_wait() {
        let places = &mut places();
        for client in 0..10 {
            assert!(ask(places, client).1);
        }
        let times = [10, 11, 12, 13, 14, 15].map(|client| {
            let (number, _) = places.ask(wish(client, SIZE));
            let waiting = &places.waiting[&number];
            places.victim(&waiting.wish).map(|(_, time)| time.as_secs())
        });
        assert_eq!(times, [10, 5, 3, 2, 2, 2].map(Some));
    }

    #[test]
    fn everything_returns() {
        let places = &mut places();
        let numbers: Vec<_> = (0..20).map(|client| ask(places, client % 7).0).collect();
        for number in numbers.iter().rev() {
            places.leave(*number);
        }
        assert_eq!((places.all.total, places.all.lists), (0, 0));
        assert!(places.clients.is_empty() && places.waiting.is_empty());
    }
}
