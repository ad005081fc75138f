//! Whose turn it is: whoever comes with much waits behind everybody who comes with little.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Things that wait, in a line for each of those who brought them; the lines take turns.
pub(super) struct FairQueue<K, T> {
    lines: HashMap<K, VecDeque<T>>,
    /// Who has a line, the next one first.
    order: VecDeque<K>,
    count: usize,
}

impl<K, T> Default for FairQueue<K, T> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            order: VecDeque::new(),
            count: 0,
        }
    }
}

impl<K: Clone + Eq + Hash, T> FairQueue<K, T> {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// How many of them one has brought.
    pub(super) fn of(&self, who: &K) -> usize {
        self.lines.get(who).map_or(0, VecDeque::len)
    }

    pub(super) fn push(&mut self, who: K, thing: T) {
        let line = self.lines.entry(who.clone()).or_default();
        if line.is_empty() {
            self.order.push_back(who);
        }
        line.push_back(thing);
        self.count += 1;
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<T> {
        let who = self.order.pop_front()?;
        let line = self.lines.get_mut(&who)?;
        let thing = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&who);
        } else {
            self.order.push_back(who);
        }
        self.count -= 1;
        thing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Everything comes once, each line in its own order, and nobody gets a second turn before everybody who waits has
        /// had the first.
        #[test]
        fn lines_take_turns(brought in proptest::collection::vec(0_u8..5, 0..60)) {
            let mut turns = FairQueue::default();
            for (number, who) in brought.iter().enumerate() {
                turns.push(*who, (*who, number));
            }
            prop_assert_eq!(turns.len(), brought.len());
            let mut got = Vec::new();
            while let Some(thing) = turns.pop() {
                got.push(thing);
            }
            prop_assert_eq!((turns.len(), turns.lines.len()), (0, 0));
            let mut sorted = got.clone();
            sorted.sort_unstable_by_key(|(_, number)| *number);
            prop_assert!(sorted.iter().map(|(who, _)| *who).eq(brought.iter().copied()));
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
