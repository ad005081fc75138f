//! Counters of evictions, and the times at which unused images were looked for.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::registry::policy::cache_rule::CacheRule;
use crate::registry::policy::duration::format_duration;
use crate::registry::policy::quota::shown_size;

/// Longest time between two looks for unused images.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Part of the time for which unused images are kept that may pass between two looks.
const PAUSE_PART: u32 = 100;

/// Rule by which a cached image goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EvictionRule {
    /// Nobody has used it for long.
    Unused,
    /// The cache of its upstream is full.
    Size,
}

impl EvictionRule {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::Size => "size",
        }
    }

    /// Returns the reason of an eviction, in words.
    pub(in crate::registry) fn reason(self, rule: &CacheRule) -> String {
        let place = rule.place();
        match (self, rule.unused, rule.size) {
            (Self::Unused, Some(unused), _) => {
                format!("unused in {place} for {}", format_duration(unused))
            }
            (Self::Size, _, Some(size)) => format!("{place} is beyond {}", shown_size(size)),
            (rule, ..) => format!("{} in {place}", rule.as_str()),
        }
    }
}

/// Evictions of a process.
#[derive(Debug)]
pub struct Evictions {
    begun: Instant,
    /// Images and their bytes, by upstream and rule.
    counts: Mutex<BTreeMap<(String, EvictionRule), (u64, u64)>>,
    /// Looks for unused images, by upstream, each with the rule at that time.
    looks: Mutex<HashMap<String, (Instant, Duration)>>,
}

impl Default for Evictions {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            counts: Mutex::default(),
            looks: Mutex::default(),
        }
    }
}

impl Evictions {
    /// Returns the time since this process opened the registry.
    pub(in crate::registry) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Returns the images that each rule of each upstream has evicted, with their bytes.
    pub fn counts(&self) -> Vec<(String, EvictionRule, u64, u64)> {
        let counts = self.counts.lock();
        let counts = counts.iter();
        let counts = counts
            .map(|((upstream, rule), (images, bytes))| (upstream.clone(), *rule, *images, *bytes));
        counts.collect()
    }

    pub(in crate::registry) fn count(
        &self,
        upstream: &str,
        rule: EvictionRule,
        images: u64,
        bytes: u64,
    ) {
        let mut counts = self.counts.lock();
        let count = counts.entry((upstream.to_owned(), rule)).or_default();
        count.0 += images;
        count.1 += bytes;
    }

    /// Begins a look for unused images; false if the last one was a short time ago.
    pub(in crate::registry) fn begin_look(&self, upstream: &str, unused: Duration) -> bool {
        let pause = (unused / PAUSE_PART).min(LONGEST_PAUSE);
        let mut looks = self.looks.lock();
        if let Some((at, known)) = looks.get(upstream)
            && *known == unused
            && at.elapsed() < pause
        {
            return false;
        }
        looks.insert(upstream.to_owned(), (Instant::now(), unused));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_images_are_looked_for_now_and_then_and_at_once_by_a_new_rule() {
        let evictions = Evictions::default();
        let day = Duration::from_secs(24 * 3600);
        let looks = [
            ("a", day),
            ("a", day),
            ("b", day),
            ("a", day / 2),
            ("a", day / 2),
        ];
        let begun = looks.map(|(upstream, unused)| evictions.begin_look(upstream, unused));
        assert_eq!(begun, [true, false, true, true, false]);
        assert!(evictions.begin_look("c", Duration::ZERO));
        assert!(evictions.begin_look("c", Duration::ZERO));
    }
}
