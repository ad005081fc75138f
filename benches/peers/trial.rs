//! Runs one measure on all peers in turns, so that drift of the machine affects all alike.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::error::Result;
use crate::machine::Machine;
use crate::options::Options;
use crate::peer::{Found, PEERS, Peer};
use crate::series::{Better, Section, Series};
use crate::server::Server;

pub struct Bench {
    pub options: Options,
    pub found: Vec<Found>,
    pub left_out: Vec<(&'static str, String)>,
    pub machine: Machine,
}

impl Bench {
    pub fn new(options: Options) -> Result<Bench> {
        fs::create_dir_all(&options.dir)?;
        let names = options.peers.as_deref().unwrap_or_default();
        for name in names {
            if !PEERS.iter().any(|peer| peer.name == name) {
                let known: Vec<&str> = PEERS.iter().map(|peer| peer.name).collect();
                return Err(format!("no peer {name:?}; known: {}", known.join(", ")).into());
            }
        }
        let mut found = Vec::new();
        let mut left_out = Vec::new();
        for peer in &PEERS {
            if options.peers.is_some() && !names.iter().any(|name| name == peer.name) {
                left_out.push((peer.name, "not among --peers".to_owned()));
                continue;
            }
            match peer.find() {
                Ok(one) => found.push(one),
                Err(reason) => left_out.push((peer.name, reason)),
            }
        }
        Ok(Bench {
            machine: Machine::of(&options.dir),
            options,
            found,
            left_out,
        })
    }
}

/// A measure in progress: fresh servers with empty stores, and the figures so far.
pub struct Trial {
    servers: Vec<Server>,
    pub section: Section,
}

impl Trial {
    pub fn start(bench: &Bench, section: Section, takes_part: fn(&Peer) -> bool) -> Trial {
        let mut trial = Trial {
            servers: Vec::new(),
            section,
        };
        for found in bench.found.iter().filter(|found| takes_part(found.peer)) {
            match Server::start(found, &bench.options.dir) {
                Ok(server) => trial.servers.push(server),
                Err(error) => trial.fail(found.peer, &error.to_string()),
            }
        }
        trial
    }

    /// Prepares every server before the measured rounds.
    pub fn prepare(&mut self, step: impl Fn(&Server) -> Result<()>) {
        self.turns(step, |_, _, ()| {});
        for server in &self.servers {
            server.forget_peak();
        }
    }

    /// Verifies every server after the rounds; failures are reported.
    pub fn verify(&mut self, step: impl Fn(&Server) -> Result<()>) {
        self.turns(step, |_, _, ()| {});
    }

    /// Runs one round: `step` returns a value for each of the section's first series.
    pub fn round(&mut self, step: impl Fn(&Server) -> Result<Vec<f64>>) {
        self.turns(step, |section, peer, values| {
            for (series, value) in section.series.iter_mut().zip(values) {
                series.push(peer.name, value);
            }
        });
    }

    /// Adds the peaks of memory and stops the servers.
    pub fn finish(mut self) -> Section {
        let mut peaks = Series::new("peak memory (VmHWM)", "MiB", Better::Lower);
        self.turns(Server::peak_memory, |_, peer, peak| {
            peaks.push(peer.name, peak)
        });
        self.section.series.push(peaks);
        self.section
    }

    /// Runs `step` on each server; one that fails takes no further part.
    fn turns<T>(
        &mut self,
        step: impl Fn(&Server) -> Result<T>,
        mut record: impl FnMut(&mut Section, &'static Peer, T),
    ) {
        for server in std::mem::take(&mut self.servers) {
            settle();
            match step(&server) {
                Ok(value) => {
                    record(&mut self.section, server.peer, value);
                    self.servers.push(server);
                }
                Err(error) => self.fail(server.peer, &error.to_string()),
            }
        }
    }

    fn fail(&mut self, peer: &Peer, reason: &str) {
        self.section.failures.push((peer.name, reason.to_owned()));
    }
}

/// Writes dirty pages out, so that no fsync pays for another server's writes.
pub fn settle() {
    // SAFETY: sync has no preconditions.
    unsafe { libc::sync() };
    sleep(Duration::from_millis(100));
}
