//! Reading of a whole registry, repository by repository, with several threads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use parking_lot::Mutex;

use super::presence::Presence;
use super::registry::{Names, RemoteRegistry};
use super::transfer::Transfer;
use crate::import::collisions::{Collision, Tags};
use crate::import::damage::Damage;
use crate::import::error::Error;
use crate::import::receiver::Receiver;
use crate::import::selection::Selection;
use crate::import::waiter::Waiter;
use crate::oci::RepositoryName;

/// Repositories of a source by the name that they get here; several may share one.
pub(in crate::import) type Named = BTreeMap<RepositoryName, Vec<RepositoryName>>;

impl RemoteRegistry {
    /// Lists the selected repositories with the names that they get here, and all names that the registry has listed. Blocks.
    ///
    /// # Errors
    /// [`Error::Upstream`] and [`Error::NoCatalog`].
    pub(in crate::import) fn named(
        &self,
        receiver: &dyn Receiver,
        selection: &Selection,
        waiter: &Waiter,
    ) -> Result<(Named, BTreeSet<RepositoryName>), Error> {
        Ok(match waiter.wait(self.repositories(selection))?? {
            Names::Asked(names) => (self.names(receiver, selection, &names), BTreeSet::new()),
            Names::Listed(names) => {
                let all = names
                    .iter()
                    .filter_map(|name| RepositoryName::parse(name).ok());
                (self.names(receiver, selection, &names), all.collect())
            }
        })
    }

    /// Finds the tags that repositories sharing a name point at different images. Blocks.
    ///
    /// # Errors
    /// [`Error::Upstream`].
    pub(in crate::import) fn collisions(
        &self,
        receiver: &dyn Receiver,
        named: &Named,
        waiter: &Waiter,
    ) -> Result<Vec<Collision>, Error> {
        let transfer = Transfer {
            registry: self,
            receiver,
            waiter,
        };
        let mut tags = Tags::default();
        for (here, sources) in named.iter().filter(|(_, sources)| sources.len() > 1) {
            for source in sources {
                // what is wrong is reported when they are transferred
                let targets = transfer.tag_targets(source, &mut |_, _| {})?;
                for (tag, target) in targets.into_iter().flatten() {
                    tags.add(here, tag, source, target);
                }
            }
        }
        Ok(tags.collisions())
    }

    /// Reads repositories, passes them to the receiver, and returns those that are there. Blocks.
    ///
    /// # Errors
    /// [`Error::Upstream`], and errors of this registry.
    pub(in crate::import) fn read(
        &self,
        receiver: &dyn Receiver,
        named: Named,
        waiter: &Waiter,
    ) -> Result<BTreeSet<RepositoryName>, Error> {
        receiver.expect(named.values().map(Vec::len).sum());
        let found = Mutex::new(BTreeSet::new());
        let work = |(name, sources): (RepositoryName, Vec<RepositoryName>)| {
            let transfer = Transfer {
                registry: self,
                receiver,
                waiter,
            };
            for source in sources {
                if transfer.repository(&source, &name)? == Presence::There {
                    found.lock().extend([source]);
                }
            }
            Ok(())
        };
        self.each(named, work)?;
        Ok(found.into_inner())
    }

    /// Reads one repository, and passes it to a receiver; returns whether it is there. Blocks.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(in crate::import) fn read_one(
        &self,
        receiver: &dyn Receiver,
        source: &RepositoryName,
        name: &RepositoryName,
        waiter: &Waiter,
    ) -> Result<Presence, Error> {
        let transfer = Transfer {
            registry: self,
            receiver,
            waiter,
        };
        transfer.repository(source, name)
    }

    /// Does some work for each item, with several threads. Blocks.
    ///
    /// # Errors
    /// The first failure, after which no more work is begun.
    pub(in crate::import) fn each<T: Send>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send>,
        work: impl Fn(T) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let waiting = Mutex::new(items.into_iter());
        let run = || {
            loop {
                let Some(item) = waiting.lock().next() else {
                    return Ok(());
                };
                if let Err(error) = work(item) {
                    // the other threads end with the item that they are at
                    waiting.lock().by_ref().for_each(drop);
                    return Err(error);
                }
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads).map(|_| scope.spawn(run)).collect();
            let ends = threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or(Err(Error::Interrupted)));
            ends.collect::<Vec<_>>().into_iter().collect()
        })
    }

    /// Gives the selected repositories their names here.
    fn names(
        &self,
        receiver: &dyn Receiver,
        selection: &Selection,
        listed: &BTreeSet<String>,
    ) -> Named {
        let mut named = Named::new();
        for text in listed {
            let name = RepositoryName::parse(text);
            let name = name.map_err(|error| Damage::Name(error.to_string()));
            match name.and_then(|name| Ok((selection.name(&name)?, name))) {
                Ok((Some(here), name)) => named.entry(here).or_default().push(name),
                Ok((None, _)) => {}
                Err(damage) => {
                    receiver.report(Path::new(&format!("{}/{text}", self.url)), damage);
                }
            }
        }
        named
    }
}
