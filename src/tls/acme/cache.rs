//! Where account and certificates are kept: a directory, laid out as Go's autocert, and so distribution, has it. Each host
//! has a file of its name, with its key and its certificates in PEM. Either program goes on with what the other has left.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use instant_acme::AccountCredentials;

use crate::tls::Error;
use crate::tls::certificate::{self, Pair};

/// Ours: the library's form, which is not autocert's (`acme_account+key`).
const ACCOUNT: &str = "acme_account.json";

const WHAT: &str = "cache of certificates";

pub(super) struct Cache(PathBuf);

fn refuse_file(path: &Path) -> Result<(), Error> {
    let problem = "it is a file, and a directory is kept there; name another path in http.tls.letsencrypt.cachefile";
    if path.is_file() {
        Err(Error::content(WHAT, path, problem))
    } else {
        Ok(())
    }
}

impl Cache {
    /// Uses the directory at `path`, which is made where there is none.
    ///
    /// # Errors
    /// A file in its place, and a directory that cannot be made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        refuse_file(path)?;
        let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
        made.map_err(|cause| Error::Read {
            what: WHAT,
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self(path.to_owned()))
    }

    /// Fails as [`Self::open`] would, and makes nothing.
    pub fn check(path: &Path) -> Result<(), Error> {
        refuse_file(path)?;
        crate::dir_check::check(path).map_err(|cause| Error::Read {
            what: WHAT,
            path: path.to_owned(),
            cause,
        })
    }

    /// The certificate of a host, if there is one that can be used.
    pub fn certificate(&self, host: &str) -> Option<Pair> {
        // autocert keeps one for RSA clients beside it
        let files = [self.0.join(host), self.0.join(format!("{host}+rsa"))];
        let path = files.into_iter().find(|path| path.is_file())?;
        match certificate::load(&path, &path) {
            Ok(pair) => Some(pair),
            Err(error) => {
                tracing::warn!("{error}; another one is asked for");
                None
            }
        }
    }

    /// Keeps a certificate, whole or not at all.
    pub fn keep_certificate(&self, host: &str, key: &str, chain: &str) -> io::Result<()> {
        self.keep(host, format!("{key}{chain}").as_bytes())
    }

    /// The account with the authority at `directory`.
    pub fn account(&self, directory: &str) -> Option<AccountCredentials> {
        let text = std::fs::read(self.0.join(ACCOUNT)).ok()?;
        let tree: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let is_theirs = tree.get("directory").is_some_and(|url| url == directory);
        if is_theirs {
            serde_json::from_value(tree).ok()
        } else {
            None
        }
    }

    pub fn keep_account(&self, account: &AccountCredentials) -> io::Result<()> {
        self.keep(ACCOUNT, &serde_json::to_vec(account)?)
    }

    fn keep(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let unfinished = self.0.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(unfinished, self.0.join(name))
    }
}
