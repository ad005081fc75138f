//! Reading of a whole store, repository by repository, with several threads.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::import::collisions::{Collision, Tags};
use crate::import::distribution::repository::StoredRepository;
use crate::import::distribution::store::DistributionStore;
use crate::import::distribution::transfer::Transfer;
use crate::import::error::Error;
use crate::import::receiver::Receiver;
use crate::oci::RepositoryName;

impl DistributionStore {
    /// Lists the repositories with the names that `name` gives them, by these; without one, they are left out. Blocks.
    pub(in crate::import) fn named(
        &self,
        receiver: &dyn Receiver,
        name: &mut dyn FnMut(&StoredRepository) -> Option<RepositoryName>,
    ) -> Result<Vec<Named>, Error> {
        self.foreign(&mut |path, damage| receiver.report(path, damage))?;
        let repositories = self.repositories(&mut |path, damage| receiver.report(path, damage))?;
        let named = repositories
            .into_iter()
            .filter_map(|repository| Some((name(&repository)?, repository)));
        let mut named: Vec<_> = named.collect();
        named.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(named)
    }

    /// Reads repositories and passes them to the receiver.
    ///
    /// Blocks. Repositories that share a name are read one after the other.
    pub(in crate::import) fn read(
        &self,
        receiver: &dyn Receiver,
        threads: usize,
        named: Vec<Named>,
    ) -> Result<(), Error> {
        receiver.expect(named.len());
        let waiting = Mutex::new(VecDeque::from(named));
        let work = || {
            let transfer = Transfer {
                store: self,
                receiver,
            };
            loop {
                let next = next(&mut waiting.lock());
                if next.is_empty() {
                    return Ok(());
                }
                for (name, repository) in next {
                    if let Err(error) = transfer.repository(&repository, &name) {
                        // the other threads end with the repository that they are at
                        waiting.lock().clear();
                        return Err(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let ends = threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or(Err(Error::Interrupted)));
            ends.collect::<Vec<_>>().into_iter().collect()
        })
    }
}

/// A repository with the name that it gets here.
pub(in crate::import) type Named = (RepositoryName, StoredRepository);

/// Finds the tags that repositories sharing a name point at different images. Blocks.
pub(in crate::import) fn collisions(named: &[Named]) -> Result<Vec<Collision>, Error> {
    let mut tags = Tags::default();
    let shared = named.chunk_by(|(left, _), (right, _)| left == right);
    for (here, repository) in shared.filter(|sharing| sharing.len() > 1).flatten() {
        // what is wrong is reported when they are transferred
        for tag in repository.tags(&mut |_, _| {})? {
            tags.add(here, tag.name, &repository.name, tag.target);
        }
    }
    Ok(tags.collisions())
}

/// Takes the next repositories that share a name.
fn next(waiting: &mut VecDeque<Named>) -> Vec<Named> {
    let Some(first) = waiting.pop_front() else {
        return Vec::new();
    };
    let same = waiting.iter().take_while(|(name, _)| *name == first.0);
    let same = same.count();
    let mut next = vec![first];
    next.extend(waiting.drain(..same));
    next
}
