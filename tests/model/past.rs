//! A reference model of one tag's history: what a restore of its previous state must go back to.
//!
//! It knows the newest states only, from the first one that it is certain of.

use std::collections::HashSet;
use std::time::Instant;

/// Former states of a tag.
#[derive(Default)]
pub struct Past {
    /// Oldest first.
    ended: Vec<Ended>,
    /// Origin of the present state.
    present: Origin,
}

struct Ended {
    digest: String,
    /// Earliest end of the state.
    at: Instant,
    origin: Origin,
}

/// Beginning of a state.
#[derive(Clone, Copy, Default)]
pub enum Origin {
    Push,
    /// A restore of the state with that number, which was pushed.
    Restore(usize),
    #[default]
    Unknown,
}

impl Past {
    pub fn begin(&mut self, origin: Origin) {
        self.present = origin;
    }

    pub fn end(&mut self, digest: String, at: Instant) {
        let origin = std::mem::take(&mut self.present);
        self.ended.push(Ended { digest, at, origin });
    }

    /// Returns the number of the state to restore, if it is certain.
    pub fn previous(&self, present: Option<&str>) -> Option<usize> {
        let Some(present) = present else {
            return self.ended.len().checked_sub(1);
        };
        let mut passed = HashSet::from([present]);
        let limit = match self.present {
            Origin::Unknown => return None,
            Origin::Push => self.ended.len(),
            Origin::Restore(state) => {
                self.pass(state, &mut passed)?;
                state
            }
        };
        self.ended[..limit]
            .iter()
            .rposition(|state| !passed.contains(&*state.digest))
    }

    /// Collects what was gone back over; `None` if that is unknown.
    fn pass<'p>(&'p self, mut reached: usize, passed: &mut HashSet<&'p str>) -> Option<()> {
        for state in self.ended.iter().rev() {
            match state.origin {
                Origin::Unknown => return None,
                Origin::Push => {
                    passed.insert(&state.digest);
                    return Some(());
                }
                Origin::Restore(origin) if origin >= reached => {
                    passed.insert(&state.digest);
                    reached = origin;
                }
                Origin::Restore(_) => return Some(()),
            }
        }
        None
    }

    /// The digest and the earliest end of a state.
    pub fn state(&self, number: usize) -> (&str, Instant) {
        let state = &self.ended[number];
        (&state.digest, state.at)
    }

    /// Origin of a state that restores the one with that number.
    pub fn restore_of(&self, number: usize) -> Origin {
        match self.ended.get(number).map(|state| state.origin) {
            Some(Origin::Push) => Origin::Restore(number),
            Some(origin) => origin,
            None => Origin::Unknown,
        }
    }

    /// Origin of a state that restores the newest one with that digest.
    pub fn restore_of_newest(&self, digest: &str) -> Origin {
        let newest = self.ended.iter().rposition(|state| state.digest == digest);
        newest.map_or(Origin::Unknown, |number| self.restore_of(number))
    }
}
