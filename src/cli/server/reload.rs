//! Configuration reload: on SIGHUP and when the file changes, validated and applied as a whole.
//!
//! Changes that need a restart are logged; an invalid configuration changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tarkeep::config::{Config, Loaded, Violations, collect, combine, keys};
use tarkeep::files::file_watch::{Change, FileWatch};
use tarkeep::http::Reloads;
use tokio::signal::unix::Signal;

use crate::cli::error::Error;
use crate::cli::from_config::check::{self, Flags};

/// Interval between checks of the file. A change is applied once two checks see the same, because editors write in pieces.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Interval between attempts to apply a rejected configuration, because a file that it names may have changed.
const RETRY_INTERVAL: Duration = Duration::from_secs(3);

/// Applies prepared settings. It is quick and cannot fail.
type Apply = Box<dyn FnOnce() + Send>;

/// Prepares one part of the server for a configuration, without changing anything, or reports violations.
///
/// It runs on every reload, even if the configuration is the same, because a file that it names may have changed. It may
/// block. Unchanged settings are not validated again: other watchers take care of their files.
pub(super) type Part = Box<dyn Fn(&Config) -> Result<Apply, Violations> + Send>;

/// Told of a configuration that was applied, and of its changed keys. It may block.
pub(super) type Witness = Box<dyn Fn(&Loaded, &[String]) + Send>;

/// The configuration of a running server, and the parts that apply its changes.
pub(super) struct Reloader {
    file: Option<PathBuf>,
    flags: Flags,
    /// Accepts the file's state whenever it is read.
    watch: FileWatch,
    started_with: Loaded,
    current: Loaded,
    /// The configuration in the file, if it was rejected.
    rejected: Option<Rejected>,
    parts: Vec<Part>,
    witness: Option<Witness>,
    reloads: Arc<Reloads>,
}

/// Reason for a reload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// SIGHUP: the owner says that the file is complete.
    Signal,
    /// A change of the file, which may be half written.
    Change,
}

/// A rejected configuration.
struct Rejected {
    trigger: Trigger,
    sentence: String,
    tried: Instant,
}

impl Reloader {
    /// Reads the configuration for the first time, and validates everything that it names, without changing anything.
    ///
    /// # Errors
    /// All problems that keep a server from starting with it.
    pub fn open(file: Option<PathBuf>, flags: Flags) -> Result<Self, Error> {
        let watch = FileWatch::new(file.clone());
        let mut draft = Config::draft(file.as_deref(), std::env::vars_os())?;
        // warnings are logged when the settings are applied
        tarkeep::log::gather(|| check::everything(&mut draft, &flags));
        let loaded = draft.finish()?;
        Ok(Self {
            file,
            flags,
            watch,
            started_with: loaded.clone(),
            current: loaded,
            rejected: None,
            parts: Vec::new(),
            witness: None,
            reloads: Arc::default(),
        })
    }

    pub fn loaded(&self) -> &Loaded {
        &self.current
    }

    /// Registers a part of the server. Its keys are `Live` in the table of keys.
    pub fn register(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Has somebody told of all reloads that change something.
    pub fn set_witness(&mut self, witness: Witness) {
        self.witness = Some(witness);
    }

    /// Reloads until it is dropped.
    pub async fn run(mut self, mut hangup: Signal) {
        let mut checks = tokio::time::interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_signalled = tokio::select! {
                _ = hangup.recv() => true,
                _ = checks.tick() => false,
            };
            // off the async workers, because parts read files
            let work = move || {
                self.check(is_signalled);
                self
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(reloader) => self = reloader,
                // the panic is logged already; the current configuration stays
                Err(_) => return,
            }
        }
    }

    /// Returns the counters of reloads.
    pub fn reloads(&self) -> Arc<Reloads> {
        Arc::clone(&self.reloads)
    }

    /// Reloads on a signal, on a change that is stable since the last check, or to retry.
    fn check(&mut self, is_signalled: bool) {
        let change = self.watch.poll();
        if is_signalled || change == Change::Settled {
            self.watch.accept();
            self.reload(
                if is_signalled {
                    Trigger::Signal
                } else {
                    Trigger::Change
                },
                None,
            );
        } else if change == Change::None
            && let Some(rejected) = self
                .rejected
                .take_if(|rejected| rejected.tried.elapsed() >= RETRY_INTERVAL)
        {
            self.reload(rejected.trigger, Some(rejected.sentence));
        }
    }

    /// Validates and applies the configuration. `logged` is the error of the previous attempt, which is not logged again.
    fn reload(&mut self, trigger: Trigger, logged: Option<String>) {
        match self.prepare(trigger) {
            Ok((loaded, changes)) => {
                self.reloads.count_applied();
                changes.into_iter().for_each(|apply| apply());
                self.log(&loaded);
                self.current = loaded;
                self.rejected = None;
            }
            Err(error) => {
                let sentence = error.to_string().replace('\n', "; ");
                if logged.as_ref() != Some(&sentence) {
                    self.reloads.count_rejected();
                    tracing::error!(
                        "the new configuration is rejected, the previous one stays in force: {sentence}"
                    );
                }
                self.rejected = Some(Rejected {
                    trigger,
                    sentence,
                    tried: Instant::now(),
                });
            }
        }
    }

    fn prepare(&self, trigger: Trigger) -> Result<(Loaded, Vec<Apply>), Error> {
        let mut draft = Config::draft(self.file.as_deref(), std::env::vars_os())?;
        // keys that need a restart must be valid too, or the restart would fail
        check::restart_only(&mut draft, &self.flags);
        check::notes(&mut draft);
        let prepared = draft.finish_with(|config| {
            let lost = if trigger == Trigger::Change {
                config.lost_protection(&self.current.config)
            } else {
                None
            };
            combine((
                collect(self.parts.iter().map(|part| part(config))),
                lost.map_or(Ok(()), Err),
            ))
        });
        let (loaded, (changes, ())) = prepared?;
        Ok((loaded, changes))
    }

    fn log(&self, loaded: &Loaded) {
        let applied: Vec<_> = loaded
            .differences(&self.current)
            .into_iter()
            .filter(|key| keys::is_live(key))
            .collect();
        let later: Vec<_> = loaded
            .differences(&self.started_with)
            .into_iter()
            .filter(|key| !keys::is_live(key))
            .collect();
        match &*applied {
            [] => tracing::info!("configuration reloaded, nothing changed"),
            keys => {
                tracing::info!("configuration reloaded; now in force: {}", keys.join(", "));
                if let Some(witness) = &self.witness {
                    witness(loaded, keys);
                }
            }
        }
        let is_new = |note: &&String| !self.current.notes.contains(note);
        loaded
            .notes
            .iter()
            .filter(is_new)
            .for_each(|note| tracing::warn!("{note}"));
        if !later.is_empty() {
            tracing::warn!("changes to these keys need a restart: {}", later.join(", "));
        }
    }
}
