//! Reading of a whole store, repository by repository, with several threads.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::import::distribution::repository::StoredRepository;
use crate::import::distribution::store::DistributionStore;
use crate::import::distribution::transfer::Transfer;
use crate::import::error::Error;
use crate::import::receiver::Receiver;
use crate::oci::RepositoryName;

impl DistributionStore {
    /// Reads all repositories and passes them to the receiver, under the names that `name` gives them; without one, none.
    ///
    /// Blocks. Repositories that share a name are read one after the other.
    pub(in crate::import) fn read(
        &self,
        receiver: &dyn Receiver,
        threads: usize,
        name: &mut dyn FnMut(&StoredRepository) -> Option<RepositoryName>,
    ) -> Result<(), Error> {
        let repositories = self.repositories(&mut |path, damage| receiver.report(path, damage))?;
        let named = repositories
            .into_iter()
            .filter_map(|repository| Some((name(&repository)?, repository)));
        let mut named: Vec<_> = named.collect();
        named.sort_by(|(left, _), (right, _)| left.cmp(right));
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

type Named = (RepositoryName, StoredRepository);

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
