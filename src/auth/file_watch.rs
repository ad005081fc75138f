//! A small file that counts as it is now, whenever it was written.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use super::Error;

/// The most that is read of a file, in bytes.
const LARGEST: u64 = 64 << 20;

/// How long a change that cannot be read is taken for one that is still being written, and so not complained about.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long an empty file is taken for one that is about to be written: to take everybody's login away in earnest can wait.
const EMPTY_PATIENCE: Duration = Duration::from_secs(5);

/// A file may be written twice within the resolution of its times, which is 2 s at worst (FAT). What has changed more
/// recently is read again, this often.
const COARSEST_CLOCK: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How old a look may be. It costs a microsecond, a tenth of what the fastest request takes, and thousands come in a second.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a file says, read again when it changes.
///
/// Each look asks the file system for the file's times. What cannot be read, or is empty for less than five seconds, changes nothing: the last good content stays.
pub(super) struct FileWatch<T> {
    what: &'static str,
    path: PathBuf,
    parse: fn(&[u8]) -> Result<T, String>,
    state: ArcSwap<State<T>>,
    /// When the file was last looked at, in microseconds since `opened`.
    looked: AtomicU64,
    opened: Instant,
    /// Held by whoever reads.
    reading: tokio::sync::Mutex<()>,
}

struct State<T> {
    value: Arc<T>,
    /// Of the value.
    content: [u8; 32],
    /// Of the file that was last looked into, good or not.
    stamp: Option<Stamp>,
    looked_at: Instant,
    /// False while the stamp might not tell another change from this one, or the file might be half written.
    is_settled: bool,
    /// Whether the log says what is wrong with it.
    is_reported: bool,
    /// Whether the log has said so of this or an earlier state, and of none since that it is well.
    has_complained: bool,
}

/// What changes with a file's content, or with the file in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = path.metadata().ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    /// How long ago it was last changed; nothing for times to come.
    fn age(&self) -> Duration {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let (seconds, nanos) = self.changed.max(self.modified);
        let since = Duration::new(
            u64::try_from(seconds).unwrap_or_default(),
            u32::try_from(nanos).unwrap_or_default(),
        );
        now.saturating_sub(since)
    }
}

impl<T: Send + Sync + 'static> FileWatch<T> {
    /// Reads the file for the first time; `what` is what it is called in errors.
    pub(super) fn open(
        what: &'static str,
        path: PathBuf,
        parse: fn(&[u8]) -> Result<T, String>,
    ) -> Result<Self, Error> {
        let stamp = Stamp::of(&path);
        let content = match read(&path) {
            Ok(content) => content,
            Err(cause) => return Err(Error::Read { what, path, cause }),
        };
        let value = match parse(&content) {
            Ok(value) => Arc::new(value),
            Err(cause) => return Err(Error::Invalid { what, path, cause }),
        };
        let is_settled = stamp.is_some_and(|stamp| stamp.age() > COARSEST_CLOCK);
        let state = State {
            value,
            content: fingerprint(&content),
            stamp,
            looked_at: Instant::now(),
            is_settled,
            is_reported: false,
            has_complained: false,
        };
        Ok(Self {
            what,
            path,
            parse,
            state: ArcSwap::from_pointee(state),
            looked: AtomicU64::new(0),
            opened: Instant::now(),
            reading: tokio::sync::Mutex::default(),
        })
    }

    /// What it says, or said a millisecond ago: a look that is no older will do.
    pub(super) async fn recent(self: &Arc<Self>) -> Arc<T> {
        let looked = Duration::from_micros(self.looked.load(Ordering::Relaxed));
        if self.opened.elapsed().saturating_sub(looked) < LOOK_EVERY {
            return Arc::clone(&self.state.load().value);
        }
        self.current().await
    }

    /// What it says now.
    pub(super) async fn current(self: &Arc<Self>) -> Arc<T> {
        if let Some(value) = self.unchanged() {
            return value;
        }
        let _reading = self.reading.lock().await;
        // whoever held the lock may have read it
        if let Some(value) = self.unchanged() {
            return value;
        }
        let this = Arc::clone(self);
        // a reader that panicked leaves everything as it was
        let _ = tokio::task::spawn_blocking(move || this.read_again()).await;
        Arc::clone(&self.state.load().value)
    }

    fn unchanged(&self) -> Option<Arc<T>> {
        let now = self.opened.elapsed().as_micros();
        let state = self.state.load();
        let is_fresh = state.is_settled || state.looked_at.elapsed() < LOOK_AGAIN;
        let is_unchanged = is_fresh && state.stamp == Stamp::of(&self.path);
        if is_unchanged {
            self.looked
                .store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        is_unchanged.then(|| Arc::clone(&state.value))
    }

    fn read_again(&self) {
        let before = self.state.load_full();
        let (stamp, content) = read_at_rest(&self.path);
        let age = stamp.map_or(Duration::MAX, |stamp| stamp.age());
        let mut next = State {
            value: Arc::clone(&before.value),
            content: before.content,
            stamp,
            looked_at: Instant::now(),
            is_settled: age > EMPTY_PATIENCE.max(COARSEST_CLOCK),
            is_reported: before.is_reported && before.stamp == stamp,
            has_complained: before.has_complained,
        };
        match self.parse_new(content, &before.content, age) {
            Ok(None) => {
                if before.has_complained {
                    tracing::info!(
                        "{} {} can be used again: it is as it was",
                        self.what,
                        self.path.display()
                    );
                }
                next.has_complained = false;
            }
            Ok(Some((value, content))) => {
                tracing::info!(
                    "{} {} has changed and was read again",
                    self.what,
                    self.path.display()
                );
                (next.value, next.content, next.has_complained) = (Arc::new(value), content, false);
            }
            Err(_) if age < PATIENCE || next.is_reported => (),
            Err(cause) => {
                tracing::error!(
                    "{} {} has changed and cannot be used, so the last good one stays: {cause}",
                    self.what,
                    self.path.display()
                );
                (next.is_reported, next.has_complained) = (true, true);
            }
        }
        self.state.store(Arc::new(next));
    }

    /// What the content says, where it is another one.
    fn parse_new(
        &self,
        content: io::Result<Vec<u8>>,
        before: &[u8; 32],
        age: Duration,
    ) -> Result<Option<(T, [u8; 32])>, String> {
        let content = content.map_err(|error| error.to_string())?;
        let found = fingerprint(&content);
        if found == *before {
            return Ok(None);
        }
        if content.is_empty() && age < EMPTY_PATIENCE {
            return Err("it is empty".to_owned());
        }
        Ok(Some(((self.parse)(&content)?, found)))
    }
}

/// Reads a file that nobody writes to meanwhile, or the last of some tries: its stamp is then older than its content, so that
/// the next look reads again.
fn read_at_rest(path: &Path) -> (Option<Stamp>, io::Result<Vec<u8>>) {
    const TRIES: usize = 10;
    let mut stamp = Stamp::of(path);
    let mut content = read(path);
    for _ in 1..TRIES {
        let after = Stamp::of(path);
        if after == stamp {
            break;
        }
        (stamp, content) = (after, read(path));
    }
    (stamp, content)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::other(format!(
            "it has more than {LARGEST} bytes"
        )));
    }
    Ok(content)
}

fn fingerprint(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
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
        watched: Arc<FileWatch<u32>>,
    }

    fn watched(content: &str) -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, content).unwrap();
        let watched = Arc::new(FileWatch::open("the file", path.clone(), number).unwrap());
        Fixture {
            _directory: directory,
            path,
            watched,
        }
    }

    #[tokio::test]
    async fn a_change_counts_at_once() {
        let fixture = watched("1");
        for next in 2..50_usize {
            if next % 2 == 0 {
                let other = fixture.path.with_extension("new");
                std::fs::write(&other, next.to_string()).unwrap();
                std::fs::rename(&other, &fixture.path).unwrap();
            } else {
                std::fs::write(&fixture.path, format!("{next}{}", " ".repeat(next))).unwrap();
            }
            assert_eq!(*fixture.watched.current().await, next as u32);
        }
    }

    /// Two changes within a tick of the file system's clock, the second after a look: nothing but its content is another.
    #[tokio::test]
    async fn a_change_that_leaves_no_mark_counts_soon() {
        let fixture = watched("1");
        for round in 0..20 {
            for content in [10 + round, 40 + round] {
                std::fs::write(&fixture.path, content.to_string()).unwrap();
                let deadline = Instant::now() + Duration::from_secs(20);
                while *fixture.watched.current().await != content {
                    assert!(Instant::now() < deadline, "{content} is never believed");
                }
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_used_changes_nothing() {
        let fixture = watched("1");
        for bad in ["x", "", "99999999999999999999"] {
            std::fs::write(&fixture.path, bad).unwrap();
            assert_eq!(*fixture.watched.current().await, 1, "{bad:?}");
        }
        std::fs::remove_file(&fixture.path).unwrap();
        assert_eq!(*fixture.watched.current().await, 1);
        std::fs::write(&fixture.path, "22").unwrap();
        assert_eq!(*fixture.watched.current().await, 22);
    }

    #[tokio::test]
    async fn a_file_that_stays_empty_is_empty() {
        let fixture = watched("1");
        std::fs::write(&fixture.path, "").unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while *fixture.watched.current().await != 0 {
            assert!(Instant::now() < deadline, "an empty file is never believed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[test]
    fn what_is_missing_at_first_is_an_error() {
        let error = FileWatch::open("the file", "/nowhere/file".into(), number)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("the file /nowhere/file"), "{error}");
    }
}
