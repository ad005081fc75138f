//! Directory of account and certificates, in the layout of Go's autocert, which distribution uses.
//!
//! Each host has a file of its name, with its key and its certificates in PEM. Either program can use the other's files.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;

use crate::files::{atomic_file, dir_check, regular_file};
use crate::tls::certificate::{self, Pair};
use crate::tls::error::Error;

/// Account in the library's format, which differs from autocert's (`acme_account+key`).
const ACCOUNT: &str = "acme_account.json";

const WHAT: &str = "cache of certificates";

pub(super) struct Cache(PathBuf);

fn refuse_file(path: &Path) -> Result<(), Error> {
    let problem = "it is a file, and must be a directory: name another path in http.tls.letsencrypt.cachefile";
    if path.is_file() {
        Err(Error::content(WHAT, path, problem))
    } else {
        Ok(())
    }
}

impl Cache {
    /// Opens the directory at `path`, which is created if missing.
    ///
    /// # Errors
    /// A file at `path`, or a directory that cannot be created.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        refuse_file(path)?;
        let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
        made.map_err(|cause| Error::Read {
            what: WHAT,
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self(path.to_owned()))
    }

    /// Fails as [`Self::open`] would, without creating anything.
    pub(super) fn check(path: &Path) -> Result<(), Error> {
        refuse_file(path)?;
        dir_check::check(path).map_err(|cause| Error::Read {
            what: WHAT,
            path: path.to_owned(),
            cause,
        })
    }

    /// Returns a host's certificate, if there is a usable one.
    pub(super) fn certificate(&self, host: &str) -> Option<Pair> {
        // autocert stores another one for RSA clients
        let files = [self.0.join(host), self.0.join(format!("{host}+rsa"))];
        let path = files.into_iter().find(|path| path.is_file())?;
        match certificate::load(&path, &path) {
            Ok(pair) => Some(pair),
            Err(error) => {
                tracing::warn!("{error}; a new certificate is requested");
                None
            }
        }
    }

    /// Stores a certificate atomically.
    pub(super) fn keep_certificate(&self, host: &str, key: &str, chain: &str) -> io::Result<()> {
        self.keep(host, format!("{key}{chain}").as_bytes())
    }

    /// Returns the account with the authority at `directory`.
    pub(super) fn account(&self, directory: &str) -> Option<AccountCredentials> {
        let text = regular_file::read(&self.0.join(ACCOUNT)).ok()?;
        let tree: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let is_theirs = tree.get("directory").is_some_and(|url| url == directory);
        if is_theirs {
            serde_json::from_value(tree).ok()
        } else {
            None
        }
    }

    pub(super) fn keep_account(&self, account: &AccountCredentials) -> io::Result<()> {
        self.keep(ACCOUNT, &serde_json::to_vec(account)?)
    }

    fn keep(&self, name: &str, content: &[u8]) -> io::Result<()> {
        atomic_file::replace(&self.0.join(name), content, 0o600)
    }
}
