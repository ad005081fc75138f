//! Whoever a report is made for, and what they are told.

use crate::registry::{Actor, Visibility};
use crate::report::values::Who;

/// Whoever a report is made for.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Repositories that they may read; what is elsewhere does not exist for them.
    pub shown: Visibility,
    pub people: People,
}

/// Part of the makers of changes that a viewer is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    /// Names and addresses.
    All,
    Names,
    /// Nothing, as those without a login.
    Nobody,
}

impl Viewer {
    /// Returns the owner of the data directory, who sees everything.
    pub fn owner() -> Self {
        Self {
            shown: Visibility::All,
            people: People::All,
        }
    }

    /// Reports whether no repository is hidden from them.
    pub fn sees_everything(&self) -> bool {
        matches!(self.shown, Visibility::All)
    }

    /// Reports whether they may read a repository.
    pub fn shows(&self, repository: &str) -> bool {
        self.shown.shows(repository)
    }

    /// Returns what they are told of whoever made a change.
    pub fn who(&self, actor: &Actor) -> Who {
        let name = actor.name.clone();
        let address = actor.address.clone();
        Who {
            name: name.filter(|_| self.people != People::Nobody),
            address: address.filter(|_| self.people == People::All),
        }
    }
}
