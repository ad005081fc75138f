//! Ledgers of what requests are receiving under each quota.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Bytes that the requests of this process have been given under one quota, in its lifetime.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub reserved: AtomicU64,
    /// Part that is in the database, or was given back.
    pub settled: AtomicU64,
}

/// Ledgers by the name of their quota, for as long as requests need them.
#[derive(Debug, Default)]
pub(in crate::registry) struct Ledgers(Mutex<HashMap<String, Weak<Ledger>>>);

impl Ledgers {
    /// Returns the ledger of a quota, which its requests share.
    pub(super) fn of(&self, quota: &str) -> Arc<Ledger> {
        let mut ledgers = self.0.lock();
        if let Some(found) = ledgers.get(quota).and_then(Weak::upgrade) {
            return found;
        }
        ledgers.retain(|_, ledger| ledger.strong_count() > 0);
        let ledger = Arc::default();
        ledgers.insert(quota.to_owned(), Arc::downgrade(&ledger));
        ledger
    }
}
