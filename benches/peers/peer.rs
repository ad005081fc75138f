//! The servers that can be measured, and the locations of their programs.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::launch::{self, Launch};

pub struct Peer {
    pub name: &'static str,
    /// Environment variable that names the program.
    pub variable: &'static str,
    /// Location of the program if the variable is unset.
    program: Program,
    /// Durability that a 201 promises.
    pub durability: &'static str,
    /// False for a server of static files.
    pub takes_pushes: bool,
    pub launch: fn(&Path, u16) -> Result<Launch>,
}

enum Program {
    /// A fixed path.
    At(&'static str),
    /// On the search path; the text says how to get it.
    OnPath(&'static str, &'static str),
    /// Only from the environment variable.
    Given,
}

/// A peer whose program exists.
pub struct Found {
    pub peer: &'static Peer,
    pub binary: PathBuf,
}

/// The peer that all others are compared with.
pub const OURS: &str = "registry";

const APT: &str = "apt-get install docker-registry nginx wrk";

pub static PEERS: [Peer; 7] = [
    Peer {
        name: OURS,
        variable: "PEER_REGISTRY",
        program: Program::At(env!("CARGO_BIN_EXE_registry")),
        durability: "durable: blob, directory and database are fsynced before the reply",
        takes_pushes: true,
        launch: launch::registry,
    },
    Peer {
        name: "before",
        variable: "PEER_BEFORE",
        program: Program::Given,
        durability: "another build of ours",
        takes_pushes: true,
        launch: launch::registry,
    },
    Peer {
        name: "docker-registry",
        variable: "PEER_DOCKER_REGISTRY",
        program: Program::OnPath("docker-registry", APT),
        durability: "half durable: every file is fsynced, no directory is",
        takes_pushes: true,
        launch: launch::distribution_v2,
    },
    Peer {
        name: "distribution-v3",
        variable: "PEER_DISTRIBUTION_V3",
        program: Program::Given,
        durability: "nearly durable: files and most directories are fsynced, not that of a finished blob",
        takes_pushes: true,
        launch: launch::distribution_v3,
    },
    Peer {
        name: "zot",
        variable: "PEER_ZOT",
        program: Program::Given,
        durability: "half durable (commit: true): every file is fsynced, no directory is",
        takes_pushes: true,
        launch: launch::zot,
    },
    Peer {
        name: "angos",
        variable: "PEER_ANGOS",
        program: Program::Given,
        durability: "not durable (sync_to_disk = true): metadata files are fsynced, blob bytes and directories are not",
        takes_pushes: true,
        launch: launch::angos,
    },
    Peer {
        name: "nginx",
        variable: "PEER_NGINX",
        program: Program::OnPath("nginx", APT),
        durability: "not a registry: static files with sendfile, the bound for pulls",
        takes_pushes: false,
        launch: launch::nginx,
    },
];

impl Peer {
    /// Finds the program, or explains its absence.
    pub fn find(&'static self) -> Result<Found, String> {
        if let Some(given) = std::env::var_os(self.variable) {
            // each server starts in another directory
            let binary =
                std::path::absolute(given).map_err(|e| format!("{}: {e}", self.variable))?;
            return if binary.is_file() {
                Ok(Found { peer: self, binary })
            } else {
                Err(format!(
                    "{}={} is not a file",
                    self.variable,
                    binary.display()
                ))
            };
        }
        match &self.program {
            Program::At(path) => Ok(Found {
                peer: self,
                binary: PathBuf::from(path),
            }),
            Program::OnPath(program, hint) => search(program)
                .map(|binary| Found { peer: self, binary })
                .ok_or(format!("no program {program} ({hint})")),
            Program::Given => Err(format!("{} is unset", self.variable)),
        }
    }
}

/// Searches PATH, then the directories in which Debian keeps daemons.
pub fn search(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}
