//! Queue that serves its owners in rotation, so that many items of one delay no other.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Items queued per owner, served one owner after the other.
pub(super) struct FairQueue<K, T> {
    queues: HashMap<K, VecDeque<T>>,
    /// Owners with queued items, the next one first.
    order: VecDeque<K>,
    count: usize,
}

impl<K, T> Default for FairQueue<K, T> {
    fn default() -> Self {
        Self {
            queues: HashMap::new(),
            order: VecDeque::new(),
            count: 0,
        }
    }
}

impl<K: Clone + Eq + Hash, T> FairQueue<K, T> {
    /// Returns the number of queued items.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns the number of queued items of one owner.
    pub(super) fn len_of(&self, owner: &K) -> usize {
        self.queues.get(owner).map_or(0, VecDeque::len)
    }

    pub(super) fn push(&mut self, owner: K, item: T) {
        let queue = self.queues.entry(owner.clone()).or_default();
        if queue.is_empty() {
            self.order.push_back(owner);
        }
        queue.push_back(item);
        self.count += 1;
    }

    /// Removes and returns the next item.
    pub(super) fn pop(&mut self) -> Option<T> {
        let owner = self.order.pop_front()?;
        let queue = self.queues.get_mut(&owner)?;
        let item = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&owner);
        } else {
            self.order.push_back(owner);
        }
        self.count -= 1;
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every item is served once and in its owner's order. Owners are served in rotation.
        #[test]
        fn owners_are_served_in_rotation(pushed in proptest::collection::vec(0_u8..5, 0..60)) {
            let mut queue = FairQueue::default();
            for (number, who) in pushed.iter().enumerate() {
                queue.push(*who, (*who, number));
            }
            prop_assert_eq!(queue.len(), pushed.len());
            let mut got = Vec::new();
            while let Some(thing) = queue.pop() {
                got.push(thing);
            }
            prop_assert_eq!((queue.len(), queue.queues.len()), (0, 0));
            let mut sorted = got.clone();
            sorted.sort_unstable_by_key(|(_, number)| *number);
            prop_assert!(sorted.iter().map(|(who, _)| *who).eq(pushed.iter().copied()));
            for (place, (who, number)) in got.iter().enumerate() {
                let before = got[..place].iter().filter(|(other, _)| other == who);
                prop_assert!(before.clone().all(|(_, earlier)| earlier < number));
                let turn = before.count();
                let rest = got[place..].iter().map(|(other, _)| *other).collect::<std::collections::HashSet<_>>();
                for other in rest {
                    prop_assert!(got[..place].iter().filter(|(whose, _)| *whose == other).count() >= turn);
                }
            }
        }
    }
}
