//! A configuration that changes while the server runs: read again on SIGHUP and when its file changes, judged as a whole,
//! and then taken as a whole. What cannot be taken without a restart is named; what is not valid changes nothing.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use registry::config::{self, Config, Loaded, Wrongs, each};
use registry::http::Reloads;
use tokio::signal::unix::Signal;

use super::settings::Flags;
use super::{Failure, settings};

/// How often the file is looked at. A change is taken once two looks see the same, for editors write in pieces.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Puts what was made ready in force. It is quick and cannot fail.
pub(super) type Ready = Box<dyn FnOnce() + Send>;

/// A part of the server makes itself ready for a configuration, without a change to what is in force, or says why it
/// cannot. It is asked at every SIGHUP and every change of the file, also where nothing in the configuration differs: a file
/// that the configuration names may. It may block.
type Part = Box<dyn Fn(&Config) -> Result<Ready, Wrongs> + Send>;

/// The configuration of a running server, and who takes its changes.
pub(super) struct Live {
    file: Option<PathBuf>,
    flags: Flags,
    /// What the file was when it was last read.
    seen: Stamp,
    started_with: Loaded,
    current: Loaded,
    parts: Vec<Part>,
    reloads: Arc<Reloads>,
}

impl Live {
    /// Reads the configuration for the first time, and looks at all that it names.
    ///
    /// # Errors
    /// All that keeps a server from starting with it, as far as that can be told without a change to anything.
    pub fn open(file: Option<PathBuf>, flags: Flags) -> Result<Self, Failure> {
        let seen = Stamp::of(file.as_deref());
        let mut draft = Config::draft(file.as_deref(), std::env::vars_os())?;
        // what is warned of is said again where it is taken
        registry::log::gather(|| settings::check_start(&mut draft, &flags));
        let loaded = draft.finish()?;
        Ok(Self { file, flags, seen, started_with: loaded.clone(), current: loaded, parts: Vec::new(), reloads: Arc::default() })
    }

    pub fn loaded(&self) -> &Loaded {
        &self.current
    }

    /// Lets a part of the server take changes. The keys it takes belong into [`config::LIVE`].
    pub fn add(&mut self, part: impl Fn(&Config) -> Result<Ready, Wrongs> + Send + 'static) {
        self.parts.push(Box::new(part));
    }

    /// Watches until it is dropped.
    pub async fn run(mut self, mut hangup: Signal) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = self.seen;
        loop {
            let is_told = tokio::select! {
                _ = hangup.recv() => true,
                _ = looks.tick() => false,
            };
            // two threads come and go; neither file nor parts are read on an async worker
            let work = move || {
                let now = Stamp::of(self.file.as_deref());
                if is_told || (now == last && now != self.seen) {
                    self.seen = now;
                    self.take();
                }
                (self, now)
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(done) => (self, last) = done,
                // a panic was logged where it happened; the configuration in force stays
                Err(_) => return,
            }
        }
    }

    /// Counts the configurations that were read.
    pub fn reloads(&self) -> Arc<Reloads> {
        Arc::clone(&self.reloads)
    }

    fn take(&mut self) {
        let prepared = self.prepare();
        self.reloads.count(prepared.is_ok());
        match prepared {
            Ok((loaded, ready)) => {
                ready.into_iter().for_each(|swap| swap());
                self.tell(&loaded);
                self.current = loaded;
            }
            Err(error) => {
                let error = error.to_string().replace('\n', "; ");
                tracing::error!("the changed configuration is not taken, the former one stays in force: {error}");
            }
        }
    }

    fn prepare(&self) -> Result<(Loaded, Vec<Ready>), Failure> {
        let mut draft = Config::draft(self.file.as_deref(), std::env::vars_os())?;
        // what needs a restart must be right as well, or there will be none
        registry::log::gather(|| settings::check(&mut draft, &self.flags));
        let loaded = draft.finish()?;
        let ready = each(self.parts.iter().map(|part| part(&loaded.config)))?;
        Ok((loaded, ready))
    }

    fn tell(&self, loaded: &Loaded) {
        let taken: Vec<_> = loaded.differences(&self.current).into_iter().filter(|key| config::is_live(key)).collect();
        let later: Vec<_> = loaded.differences(&self.started_with).into_iter().filter(|key| !config::is_live(key)).collect();
        match &*taken {
            [] => tracing::info!("the configuration was read again"),
            keys => tracing::info!("the configuration was read again, and holds from now on: {}", keys.join(", ")),
        }
        if !later.is_empty() {
            tracing::warn!("these changes of the configuration need a restart: {}", later.join(", "));
        }
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp(Option<[i64; 7]>);

impl Stamp {
    /// Through links, as Kubernetes swaps them.
    fn of(file: Option<&Path>) -> Self {
        let metadata = file.and_then(|path| path.metadata().ok());
        Self(metadata.map(|of| {
            // numbers of inodes and devices are only compared
            [
                of.dev().cast_signed(),
                of.ino().cast_signed(),
                of.size().cast_signed(),
                of.mtime(),
                of.mtime_nsec(),
                of.ctime(),
                of.ctime_nsec(),
            ]
        }))
    }
}
