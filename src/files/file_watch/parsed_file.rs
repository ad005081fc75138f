//! Content of a small file, parsed again whenever the file changes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use super::stamp::Stamp;
use crate::files::regular_file;

/// Time during which unusable content counts as half written, and is not complained about.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time during which an empty file counts as half written. Removing all users on purpose can wait.
const EMPTY_PATIENCE: Duration = Duration::from_secs(5);

/// Coarsest resolution of file times (FAT's). A file that changed more recently may change again without a trace …
const COARSEST_CLOCK: Duration = Duration::from_secs(2);
/// … and is read again at this interval.
const REREAD_INTERVAL: Duration = Duration::from_millis(100);

/// Time for which a check of the metadata counts. A check takes a microsecond, a tenth of the fastest request.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// Parsed content of a file, current at every access.
///
/// Content that cannot be read or parsed, or that has been empty for less than five seconds, changes nothing: the last good
/// one stays.
pub struct ParsedFile<T> {
    what: &'static str,
    path: PathBuf,
    parse: fn(&[u8]) -> Result<T, String>,
    state: ArcSwap<State<T>>,
    /// Time of the last check, in microseconds since `opened`.
    checked: AtomicU64,
    opened: Instant,
    /// Held while the file is read.
    reading: tokio::sync::Mutex<()>,
}

/// Problem with a file that must be read at the start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {what} {path}: {cause}; it must exist and be readable for this user", path = .path.display())]
    Read {
        what: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    #[error("{what} {path} cannot be used: {cause}", path = .path.display())]
    Invalid {
        what: &'static str,
        path: PathBuf,
        cause: String,
    },
}

impl Error {
    /// Returns the name under which the file was opened.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Read { what, .. } | Self::Invalid { what, .. } => what,
        }
    }
}

struct State<T> {
    value: Arc<T>,
    /// Hash of the content that `value` was parsed from.
    hash: [u8; 32],
    /// State of the file when it was last read, good or not.
    stamp: Option<Stamp>,
    read_at: Instant,
    /// False if the stamp may hide the next change, or the file be half written.
    is_settled: bool,
    /// True if the log names the problem of this state.
    is_reported: bool,
    /// True if the log names a problem, and not yet its end.
    has_complained: bool,
}

impl<T: Send + Sync + 'static> ParsedFile<T> {
    /// Reads the file for the first time; errors and the log call it `what`.
    ///
    /// # Errors
    /// A file that cannot be read or parsed.
    pub fn open(
        what: &'static str,
        path: PathBuf,
        parse: fn(&[u8]) -> Result<T, String>,
    ) -> Result<Self, Error> {
        let stamp = Stamp::of(&path);
        let content = match regular_file::read(&path) {
            Ok(content) => content,
            Err(cause) => return Err(Error::Read { what, path, cause }),
        };
        let value = match parse(&content) {
            Ok(value) => Arc::new(value),
            Err(cause) => return Err(Error::Invalid { what, path, cause }),
        };
        let state = State {
            value,
            hash: Sha256::digest(&content).into(),
            stamp,
            read_at: Instant::now(),
            is_settled: stamp.is_some_and(|stamp| stamp.age() > COARSEST_CLOCK),
            is_reported: false,
            has_complained: false,
        };
        Ok(Self {
            what,
            path,
            parse,
            state: ArcSwap::from_pointee(state),
            checked: AtomicU64::new(0),
            opened: Instant::now(),
            reading: tokio::sync::Mutex::default(),
        })
    }

    /// Returns the content as of at most a millisecond ago.
    pub async fn recent(self: &Arc<Self>) -> Arc<T> {
        let checked = Duration::from_micros(self.checked.load(Ordering::Relaxed));
        if self.opened.elapsed().saturating_sub(checked) < CHECK_INTERVAL {
            return Arc::clone(&self.state.load().value);
        }
        self.current().await
    }

    /// Returns the content as of now.
    pub async fn current(self: &Arc<Self>) -> Arc<T> {
        if let Some(value) = self.unchanged() {
            return value;
        }
        let _reading = self.reading.lock().await;
        // the previous holder of the lock may have read it
        if let Some(value) = self.unchanged() {
            return value;
        }
        let this = Arc::clone(self);
        // a parser that panics leaves everything as it was
        let _ = tokio::task::spawn_blocking(move || this.reread()).await;
        Arc::clone(&self.state.load().value)
    }

    fn unchanged(&self) -> Option<Arc<T>> {
        let now = self.opened.elapsed().as_micros();
        let state = self.state.load();
        let is_fresh = state.is_settled || state.read_at.elapsed() < REREAD_INTERVAL;
        let is_unchanged = is_fresh && state.stamp == Stamp::of(&self.path);
        if is_unchanged {
            self.checked
                .store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        is_unchanged.then(|| Arc::clone(&state.value))
    }

    fn reread(&self) {
        let before = self.state.load_full();
        let (stamp, content) = read_at_rest(&self.path);
        let age = stamp.map_or(Duration::MAX, |stamp| stamp.age());
        let mut next = State {
            value: Arc::clone(&before.value),
            hash: before.hash,
            stamp,
            read_at: Instant::now(),
            is_settled: age > EMPTY_PATIENCE.max(COARSEST_CLOCK),
            is_reported: before.is_reported && before.stamp == stamp,
            has_complained: before.has_complained,
        };
        let (what, path) = (self.what, self.path.display());
        match self.parse_if_changed(content, &before.hash, age) {
            Ok(None) => {
                if before.has_complained {
                    tracing::info!("{what} {path} can be used again: its content is as before");
                }
                next.has_complained = false;
            }
            Ok(Some((value, hash))) => {
                tracing::info!("{what} {path} has changed and was read again");
                (next.value, next.hash, next.has_complained) = (Arc::new(value), hash, false);
            }
            Err(_) if age < PATIENCE || next.is_reported => (),
            Err(cause) => {
                tracing::error!(
                    "{what} {path} has changed and cannot be used, so the last good one stays: {cause}"
                );
                (next.is_reported, next.has_complained) = (true, true);
            }
        }
        self.state.store(Arc::new(next));
    }

    /// Parses the content if its hash is not the one `before`.
    fn parse_if_changed(
        &self,
        content: io::Result<Vec<u8>>,
        before: &[u8; 32],
        age: Duration,
    ) -> Result<Option<(T, [u8; 32])>, String> {
        let content = content.map_err(|error| error.to_string())?;
        let hash: [u8; 32] = Sha256::digest(&content).into();
        if hash == *before {
            return Ok(None);
        }
        if content.is_empty() && age < EMPTY_PATIENCE {
            return Err("it is empty".to_owned());
        }
        Ok(Some(((self.parse)(&content)?, hash)))
    }
}

/// Reads a file until it is not written to meanwhile, or some tries have failed.
///
/// After the last try the stamp is older than the content, so that the next check reads again.
fn read_at_rest(path: &Path) -> (Option<Stamp>, io::Result<Vec<u8>>) {
    const TRIES: usize = 10;
    let mut stamp = Stamp::of(path);
    let mut content = regular_file::read(path);
    for _ in 1..TRIES {
        let after = Stamp::of(path);
        if after == stamp {
            break;
        }
        (stamp, content) = (after, regular_file::read(path));
    }
    (stamp, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(content: &[u8]) -> Result<u32, String> {
        let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
        if text.is_empty() {
            Ok(0)
        } else {
            text.trim()
                .parse()
                .map_err(|_| format!("'{text}' is no number"))
        }
    }

    struct Fixture {
        _directory: tempfile::TempDir,
        path: PathBuf,
        file: Arc<ParsedFile<u32>>,
    }

    fn fixture(content: &str) -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, content).unwrap();
        let file = Arc::new(ParsedFile::open("the file", path.clone(), number).unwrap());
        Fixture {
            _directory: directory,
            path,
            file,
        }
    }

    #[tokio::test]
    async fn a_change_counts_at_once() {
        let fixture = fixture("1");
        for next in 2..50_usize {
            if next % 2 == 0 {
                let other = fixture.path.with_extension("new");
                std::fs::write(&other, next.to_string()).unwrap();
                std::fs::rename(&other, &fixture.path).unwrap();
            } else {
                std::fs::write(&fixture.path, format!("{next}{}", " ".repeat(next))).unwrap();
            }
            assert_eq!(*fixture.file.current().await, next as u32);
        }
    }

    /// Changes the file twice within a tick of the file system's clock.
    #[tokio::test]
    async fn a_change_that_metadata_do_not_reveal_counts_soon() {
        let fixture = fixture("1");
        for round in 0..20 {
            for content in [10 + round, 40 + round] {
                std::fs::write(&fixture.path, content.to_string()).unwrap();
                let deadline = Instant::now() + Duration::from_secs(20);
                while *fixture.file.current().await != content {
                    assert!(Instant::now() < deadline, "{content} is never accepted");
                }
            }
        }
    }

    #[tokio::test]
    async fn unusable_content_changes_nothing() {
        let fixture = fixture("1");
        for bad in ["x", "", "99999999999999999999"] {
            std::fs::write(&fixture.path, bad).unwrap();
            assert_eq!(*fixture.file.current().await, 1, "{bad:?}");
        }
        std::fs::remove_file(&fixture.path).unwrap();
        assert_eq!(*fixture.file.current().await, 1);
        std::fs::write(&fixture.path, "22").unwrap();
        assert_eq!(*fixture.file.current().await, 22);
    }

    #[tokio::test]
    async fn a_file_that_stays_empty_is_empty() {
        let fixture = fixture("1");
        std::fs::write(&fixture.path, "").unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while *fixture.file.current().await != 0 {
            assert!(Instant::now() < deadline, "an empty file is never accepted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[test]
    fn a_file_missing_at_first_is_an_error() {
        let error = ParsedFile::open("the file", "/nowhere/file".into(), number)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("the file /nowhere/file"), "{error}");
    }
}
