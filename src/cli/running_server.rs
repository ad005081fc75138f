//! Servers of this program that run on this machine, found in `/proc`.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Parser;
use tarkeep::registry::Registry;

use crate::cli::docker_entrypoint;
use crate::cli::error::Error;
use crate::cli::from_config::check::Flags;
use crate::cli::server::serve;

/// Suffix of the kernel's name for a program whose file was replaced, as by an upgrade.
const REPLACED: &[u8] = b" (deleted)";

/// A process that serves, and that this user may look into.
pub(crate) struct RunningServer {
    process: PathBuf,
    arguments: serve::Arguments,
}

/// The command line of a server.
#[derive(Parser)]
enum Server {
    Serve(serve::Arguments),
}

impl RunningServer {
    /// Lists the servers that run from this program's file and that this user may look into.
    pub(crate) fn all() -> Vec<Self> {
        let Ok(own) = std::env::current_exe() else {
            return Vec::new();
        };
        processes()
            .filter(|process| program(process).is_some_and(|program| program == own))
            .filter_map(|process| {
                let arguments = arguments(&process)?;
                Some(Self { process, arguments })
            })
            .collect()
    }

    /// Reports whether one of them, of this program's version, runs on a data directory: to open that changes nothing.
    pub(crate) fn is_on(directory: &Path) -> bool {
        let directory = directory.canonicalize().ok();
        let served = Self::all()
            .into_iter()
            .filter(|server| !server.is_replaced())
            .filter_map(|server| server.data_directory());
        directory.is_some_and(|directory| {
            served
                .filter_map(|served| served.canonicalize().ok())
                .any(|served| served == directory)
        })
    }

    /// Returns its configuration's path, from its command line or environment.
    pub(crate) fn configuration(&self) -> Option<PathBuf> {
        let from_environment = || {
            let mut variables = self.environment().into_iter();
            let (_, path) = variables
                .find(|(name, path)| name == tarkeep::config::FILE_VARIABLE && !path.is_empty())?;
            Some(PathBuf::from(path))
        };
        let path = self.arguments.config.path().or_else(from_environment)?;
        Some(self.working_directory().join(path))
    }

    /// Returns the flags of its command line; a directory is relative to its working directory.
    pub(crate) fn flags(&self) -> Flags {
        let flags = self.arguments.flags.clone();
        let absolute = |directory| self.working_directory().join(directory);
        Flags {
            data_dir: flags.data_dir.map(absolute),
            ..flags
        }
    }

    /// Reports whether its program's file was replaced since it started.
    fn is_replaced(&self) -> bool {
        let program = self.process.join("exe").read_link();
        program.is_ok_and(|path| path.as_os_str().as_bytes().ends_with(REPLACED))
    }

    fn working_directory(&self) -> PathBuf {
        self.process.join("cwd").read_link().unwrap_or_default()
    }

    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let variable = |word: OsString| {
            let at = word.as_bytes().iter().position(|&byte| byte == b'=')?;
            Some((
                OsStr::from_bytes(&word.as_bytes()[..at]).to_owned(),
                OsStr::from_bytes(&word.as_bytes()[at + 1..]).to_owned(),
            ))
        };
        words(&self.process.join("environ"))
            .unwrap_or_default()
            .into_iter()
            .filter_map(variable)
            .collect()
    }

    /// Returns its data directory: that of the database which it has open.
    ///
    /// `None` in another container, where the same path is another directory.
    pub(crate) fn data_directory(&self) -> Option<PathBuf> {
        let open = std::fs::read_dir(self.process.join("fd")).ok()?;
        open.filter_map(Result::ok).find_map(|entry| {
            let path = entry.path().read_link().ok()?;
            let directory = path.parent().filter(|root| Registry::is_at(root))?;
            let (open, named) = (entry.path().metadata().ok()?, path.metadata().ok()?);
            (path == Registry::database_path(directory)
                && (open.dev(), open.ino()) == (named.dev(), named.ino()))
                .then(|| directory.to_owned())
        })
    }
}

/// Explains that several servers run, and how to name one: by its data directory, or by its address if they share that.
pub(crate) fn several(directories: &BTreeSet<PathBuf>) -> Error {
    let shown: Vec<_> = directories
        .iter()
        .map(|directory| directory.display().to_string())
        .collect();
    let flag = match &shown[..] {
        [] | [_] => "--addr",
        _ => "--data-dir",
    };
    Error::Other(format!(
        "several servers are running, with data in {}: name one with {flag}",
        shown.join(" and ")
    ))
}

/// Returns the owner of a server that this user may not look into, if one runs.
pub(crate) fn foreign_owner() -> Option<u32> {
    let own = std::env::current_exe().ok()?;
    processes()
        .filter(|process| program(process).is_none())
        .filter(|process| {
            let words = words(&process.join("cmdline")).unwrap_or_default();
            let first = words.first();
            first.is_some_and(|called| is_called(called, &own)) && arguments(process).is_some()
        })
        .find_map(|process| process.metadata().ok().map(|metadata| metadata.uid()))
}

/// True if a process with this first word may run the program: with a path, only if it leads there.
fn is_called(first: &OsStr, program: &Path) -> bool {
    let path = Path::new(first);
    if path.is_absolute() {
        return path.canonicalize().is_ok_and(|path| path == program);
    }
    path.file_name() == program.file_name()
}

fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            name.as_bytes().iter().all(u8::is_ascii_digit)
        })
        .map(|entry| entry.path())
}

/// Returns the path of a process's program; `None` if this user may not see it.
fn program(process: &Path) -> Option<PathBuf> {
    let path = process.join("exe").read_link().ok()?;
    let bytes = path.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(REPLACED).unwrap_or(bytes);
    Some(PathBuf::from(OsStr::from_bytes(bytes)))
}

/// Parses the command line of a process, if it is that of a server.
fn arguments(process: &Path) -> Option<serve::Arguments> {
    let given = docker_entrypoint::arguments(words(&process.join("cmdline"))?.into_iter());
    let Server::Serve(arguments) = Server::try_parse_from(given).ok()?;
    Some(arguments)
}

/// Reads a file of words that end with a zero byte.
fn words(path: &Path) -> Option<Vec<OsString>> {
    let text = std::fs::read(path).ok()?;
    Some(
        text.split(|&byte| byte == 0)
            .filter(|word| !word.is_empty())
            .map(|word| OsStr::from_bytes(word).to_owned())
            .collect(),
    )
}
