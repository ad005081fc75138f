//! Journal of events in the order in which they became known; its relevant part is printed on a
//! failure.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// More events than happen during the time relevant to one object.
const CAPACITY: usize = 400_000;
/// Maximum number of events printed for one object.
const PRINTED_EVENTS: usize = 200;

pub struct Journal {
    start: Instant,
    entries: Mutex<VecDeque<(Instant, Instant, String)>>,
}

impl Journal {
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            entries: Mutex::default(),
        }
    }

    /// Records an event with its start and end.
    pub fn note(&self, began: Instant, ended: Instant, text: String) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == CAPACITY {
            entries.pop_front();
        }
        entries.push_back((began, ended, text));
    }

    /// The last entries that mention one of these words.
    pub fn about(&self, words: &[&str]) -> String {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let matching = entries
            .iter()
            .rev()
            .filter(|(_, _, text)| words.iter().any(|word| text.contains(word)));
        let mut lines: Vec<_> = matching
            .take(PRINTED_EVENTS)
            .map(|(began, ended, text)| self.line(*began, *ended, text))
            .collect();
        lines.reverse();
        lines.join("\n")
    }

    fn line(&self, began: Instant, ended: Instant, text: &str) -> String {
        let seconds = |time: Instant| time.saturating_duration_since(self.start).as_secs_f64();
        format!("  {:9.4}..{:9.4} {text}", seconds(began), seconds(ended))
    }

    /// A time as printed in the entries.
    pub fn seconds(&self, time: Instant) -> String {
        format!(
            "{:.4}",
            time.saturating_duration_since(self.start).as_secs_f64()
        )
    }
}

/// A shortened digest.
pub fn short(digest: &str) -> &str {
    digest.get(7..19).unwrap_or(digest)
}
