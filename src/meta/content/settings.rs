//! Settings that a server records for other processes on its directory, and for its own next start.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::writer::WriteTx;

const RETENTION: &str = "retention";
const MANIFEST_RULES: &str = "manifest rules";
pub(in crate::meta) const DAMAGED: &str = "database is damaged";
const SPARSE: &str = "sparse";
const RESERVE: &str = "reserve";
const SERVER_SECTIONS: &str = "server sections";
const PROMISES_ASKED: &str = "promises asked";
const PROMISES_WRITTEN: &str = "promises written";
/// Followed by the URL of the issuer.
const ISSUER_KEYS: &str = "keys of ";

impl PointReader<'_> {
    /// Returns the retention settings of the last server, in its own format; `None` before the first start.
    pub fn retention(&self) -> Result<Option<String>, Error> {
        self.setting(RETENTION)
    }

    /// Returns the rules about pushed manifests of the last server, in its own format; `None` before the first start.
    pub fn manifest_rules(&self) -> Result<Option<String>, Error> {
        self.setting(MANIFEST_RULES)
    }

    /// Reports whether the last server accepted images that lack content; `None` before the first start.
    pub fn sparse(&self) -> Result<Option<bool>, Error> {
        Ok(self.setting(SPARSE)?.and_then(|text| text.parse().ok()))
    }

    /// Returns the free disk that the last server left by its pushes, in bytes; `None` before the first start.
    pub fn reserve(&self) -> Result<Option<u64>, Error> {
        Ok(self.setting(RESERVE)?.and_then(|text| text.parse().ok()))
    }

    /// Returns the time up to which a collection wants to know of promises; `None` before the first.
    pub fn promises_asked(&self) -> Result<Option<Millis>, Error> {
        self.time(PROMISES_ASKED)
    }

    /// Returns the time up to which the server has written promises down; `None` before the first.
    pub fn promises_written(&self) -> Result<Option<Millis>, Error> {
        self.time(PROMISES_WRITTEN)
    }

    /// Returns the keys of an issuer of tokens that were stored last; `None` before the first.
    pub fn issuer_keys(&self, issuer: &str) -> Result<Option<String>, Error> {
        self.setting(&format!("{ISSUER_KEYS}{issuer}"))
    }

    /// Reports whether verification has found the structure of the database damaged.
    pub fn has_damaged_structure(&self) -> Result<bool, Error> {
        Ok(self.setting(DAMAGED)?.is_some())
    }

    fn time(&self, name: &str) -> Result<Option<Millis>, Error> {
        Ok(self.setting(name)?.and_then(|text| text.parse().ok()))
    }

    fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()
        })
    }
}

impl Reader<'_> {
    /// Returns the sections that the configuration of the last server had.
    pub fn server_sections(&self) -> Result<BTreeSet<String>, Error> {
        let recorded: Option<String> = self.query(|connection| {
            connection
                .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
                .query_row([SERVER_SECTIONS], |row| row.get(0))
                .optional()
        })?;
        let words = recorded.unwrap_or_default();
        Ok(words.split_whitespace().map(str::to_owned).collect())
    }
}

impl WriteTx<'_> {
    /// Records the sections that the configuration of a server has.
    pub fn set_server_sections(&self, sections: &BTreeSet<String>) -> Result<(), Error> {
        let words: Vec<_> = sections.iter().map(String::as_str).collect();
        self.set_setting(SERVER_SECTIONS, &words.join(" "))
            .map(drop)
    }

    /// Records whether the structure of the database is damaged.
    pub fn set_damaged(&self, is_damaged: bool) -> Result<(), Error> {
        if is_damaged {
            return self.set_setting(DAMAGED, "1").map(drop);
        }
        self.connection
            .prepare_cached("DELETE FROM settings WHERE name = ?1")?
            .execute([DAMAGED])?;
        Ok(())
    }

    /// Records the time of a write probe.
    pub fn record_probe(&self, now: Millis) -> Result<(), Error> {
        self.set_setting("probe", &now.to_string()).map(drop)
    }

    /// Records the keys of an issuer of tokens.
    pub fn set_issuer_keys(&self, issuer: &str, keys: &str) -> Result<(), Error> {
        self.set_setting(&format!("{ISSUER_KEYS}{issuer}"), keys)
            .map(drop)
    }

    /// Asks the server to write down the promises that it has given by this time.
    pub fn ask_for_promises(&self, until: Millis) -> Result<(), Error> {
        self.set_setting(PROMISES_ASKED, &until.to_string())
            .map(drop)
    }

    /// Records that the promises given by this time are written down.
    pub fn record_promises_written(&self, until: Millis) -> Result<(), Error> {
        self.set_setting(PROMISES_WRITTEN, &until.to_string())
            .map(drop)
    }

    /// Records the rules about pushed manifests.
    pub fn set_manifest_rules(&self, text: &str) -> Result<(), Error> {
        self.set_setting(MANIFEST_RULES, text).map(drop)
    }

    /// Records whether images may lack content.
    pub fn set_sparse(&self, sparse: bool) -> Result<(), Error> {
        self.set_setting(SPARSE, &sparse.to_string()).map(drop)
    }

    /// Records the free disk that pushes must leave, in bytes.
    pub fn set_reserve(&self, bytes: u64) -> Result<(), Error> {
        self.set_setting(RESERVE, &bytes.to_string()).map(drop)
    }

    /// Records the retention settings; if they changed, everything that a rule deferred is due for review.
    pub fn set_retention(&self, text: &str) -> Result<(), Error> {
        if self.set_setting(RETENTION, text)? {
            self.connection.execute(
                "UPDATE manifests SET review_from = idle_since WHERE review_from > idle_since",
                [],
            )?;
            self.connection.execute(
                "UPDATE repositories SET review_at = 0 WHERE review_at IS NOT 0",
                [],
            )?;
        }
        Ok(())
    }

    /// Records a setting; reports whether it has changed.
    pub(super) fn set_setting(&self, name: &str, value: &str) -> Result<bool, Error> {
        let changed = self
            .connection
            .prepare_cached(
                "INSERT INTO settings (name, value) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
            )?
            .execute(params![name, value])?;
        Ok(changed > 0)
    }
}
