//! A configuration that changes while the server runs: read again on SIGHUP and when its file changes, judged as a whole,
//! and then taken as a whole. What cannot be taken without a restart is named; what is not valid changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tarkeep::config::{self, Config, Loaded, Violations, collect, zip};
use tarkeep::file_watch::{Change, FileWatch};
use tarkeep::http::Reloads;
use tokio::signal::unix::Signal;

use crate::cli::error::Error;
use crate::cli::from_config::check::{self, Flags};

/// How often the file is looked at. A change is taken once two looks see the same, for editors write in pieces.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long to wait before what could not be taken is tried again, for a file that it names may be another by then.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// Puts what was made ready in force. It is quick and cannot fail.
pub(super) type Ready = Box<dyn FnOnce() + Send>;

/// A part of the server makes itself ready for a configuration, without a change to what is in force, or says why it
/// cannot. It is asked at every SIGHUP and every change of the file, also where nothing in the configuration differs: a file
/// that the configuration names may. It may block. What is in force and is not to change is not judged anew: its files have
/// those who look after them.
type Part = Box<dyn Fn(&Config) -> Result<Ready, Violations> + Send>;

/// The configuration of a running server, and who takes its changes.
pub(super) struct Live {
    file: Option<PathBuf>,
    flags: Flags,
    /// Accepts the file's state whenever it is read.
    watch: FileWatch,
    started_with: Loaded,
    current: Loaded,
    /// What is in the file, where it was not taken.
    refused: Option<Refused>,
    parts: Vec<Part>,
    reloads: Arc<Reloads>,
}

/// Why a configuration is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// Its owner says that it is as it should be.
    Signal,
    /// It may be half written.
    Change,
}

/// A configuration that was not taken.
struct Refused {
    occasion: Occasion,
    sentence: String,
    tried: Instant,
}

impl Live {
    /// Reads the configuration for the first time, and looks at all that it names.
    ///
    /// # Errors
    /// All that keeps a server from starting with it, as far as that can be told without a change to anything.
    pub fn open(file: Option<PathBuf>, flags: Flags) -> Result<Self, Error> {
        let watch = FileWatch::new(file.clone());
        let mut draft = Config::draft(file.as_deref(), std::env::vars_os())?;
        // what is warned of is said again where it is taken
        tarkeep::log::gather(|| check::everything(&mut draft, &flags));
        let loaded = draft.finish()?;
        Ok(Self {
            file,
            flags,
            watch,
            started_with: loaded.clone(),
            current: loaded,
            refused: None,
            parts: Vec::new(),
            reloads: Arc::default(),
        })
    }

    pub fn loaded(&self) -> &Loaded {
        &self.current
    }

    /// Lets a part of the server take changes. The keys it takes belong into [`config::LIVE`].
    pub fn add(&mut self, part: impl Fn(&Config) -> Result<Ready, Violations> + Send + 'static) {
        self.parts.push(Box::new(part));
    }

    /// Watches until it is dropped.
    pub async fn run(mut self, mut hangup: Signal) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_told = tokio::select! {
                _ = hangup.recv() => true,
                _ = looks.tick() => false,
            };
            // two threads come and go; neither file nor parts are read on an async worker
            let work = move || {
                self.look(is_told);
                self
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(live) => self = live,
                // a panic was logged where it happened; the configuration in force stays
                Err(_) => return,
            }
        }
    }

    /// Counts the configurations that were read.
    pub fn reloads(&self) -> Arc<Reloads> {
        Arc::clone(&self.reloads)
    }

    /// Reads the configuration if the owner has asked for it, the file has changed, or a rejected one is due to be tried again.
    fn look(&mut self, is_told: bool) {
        let change = self.watch.poll();
        if is_told || change == Change::Settled {
            self.watch.accept();
            self.take(
                if is_told {
                    Occasion::Signal
                } else {
                    Occasion::Change
                },
                None,
            );
        } else if change == Change::None
            && let Some(refused) = self
                .refused
                .take_if(|refused| refused.tried.elapsed() >= TRY_AGAIN_AFTER)
        {
            self.take(refused.occasion, Some(refused.sentence));
        }
    }

    /// `said` is what was wrong the last time, where this is another try.
    fn take(&mut self, occasion: Occasion, said: Option<String>) {
        match self.prepare(occasion) {
            Ok((loaded, ready)) => {
                self.reloads.count(true);
                ready.into_iter().for_each(|swap| swap());
                self.tell(&loaded);
                self.current = loaded;
                self.refused = None;
            }
            Err(error) => {
                let sentence = error.to_string().replace('\n', "; ");
                if said.as_ref() != Some(&sentence) {
                    self.reloads.count(false);
                    tracing::error!(
                        "the changed configuration is not taken, the former one stays in force: {sentence}"
                    );
                }
                self.refused = Some(Refused {
                    occasion,
                    sentence,
                    tried: Instant::now(),
                });
            }
        }
    }

    fn prepare(&self, occasion: Occasion) -> Result<(Loaded, Vec<Ready>), Error> {
        let mut draft = Config::draft(self.file.as_deref(), std::env::vars_os())?;
        // what needs a restart must be right as well, or there will be none
        check::restart_only(&mut draft, &self.flags);
        let prepared = draft.finish_with(|config| {
            let lost = if occasion == Occasion::Change {
                config.lost_protection(&self.current.config)
            } else {
                None
            };
            zip((
                collect(self.parts.iter().map(|part| part(config))),
                lost.map_or(Ok(()), Err),
            ))
        });
        let (loaded, (ready, ())) = prepared?;
        Ok((loaded, ready))
    }

    fn tell(&self, loaded: &Loaded) {
        let taken: Vec<_> = loaded
            .differences(&self.current)
            .into_iter()
            .filter(|key| config::is_reloadable(key))
            .collect();
        let later: Vec<_> = loaded
            .differences(&self.started_with)
            .into_iter()
            .filter(|key| !config::is_reloadable(key))
            .collect();
        match &*taken {
            [] => tracing::info!("the configuration was read again"),
            keys => tracing::info!(
                "the configuration was read again, and holds from now on: {}",
                keys.join(", ")
            ),
        }
        let is_new = |note: &&String| !self.current.notes.contains(note);
        loaded
            .notes
            .iter()
            .filter(is_new)
            .for_each(|note| tracing::warn!("{note}"));
        if !later.is_empty() {
            tracing::warn!(
                "these changes of the configuration need a restart: {}",
                later.join(", ")
            );
        }
    }
}
