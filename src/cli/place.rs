//! The `--server` and `--ca` flags of commands that a server answers too, beside those that name a store.

use std::env;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tarkeep::escape;
use tarkeep::remote::{Remote, RemoteError, RemoteLogin, RemotePage, docker_login};

use crate::cli::error::Error;
use crate::cli::store::Store;

/// Variables that hold a token for the server, or name its file.
const TOKEN: &str = "REGISTRY_TOKEN";
const TOKEN_FILE: &str = "REGISTRY_TOKEN_FILE";
/// Number of items that a page is asked for.
const PAGE: usize = 1000;

/// The store or the server that a command asks.
#[derive(clap::Args)]
pub(crate) struct Place {
    #[command(flatten)]
    pub store: Store,
    /// URL of a running server to ask instead, with the login of docker login, or the token in REGISTRY_TOKEN or in the file
    /// REGISTRY_TOKEN_FILE
    #[arg(long, value_name = "URL", conflicts_with_all = ["data_dir", "config"])]
    server: Option<String>,
    /// PEM file with an authority that certifies the server, beside the system's
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
}

impl Place {
    /// Returns the server to ask; `None` if it is a store.
    ///
    /// # Errors
    /// A URL, a certificate or a login that cannot be used.
    pub(crate) fn server(&self) -> Result<Option<Remote>, Error> {
        let Some(url) = &self.server else {
            return Ok(None);
        };
        let remote = Remote::new(url, self.ca.clone(), login).map_err(failed)?;
        Ok(Some(remote))
    }

    /// Returns these flags as they are typed, each after a space.
    pub(crate) fn flags(&self) -> String {
        let mut flags = self.store.flags();
        if let Some(url) = &self.server {
            flags += &format!(" --server {}", escape::shell(url));
        }
        if let Some(ca) = &self.ca {
            flags += &format!(" --ca {}", escape::shell(&ca.to_string_lossy()));
        }
        flags
    }
}

/// Finds the login for a server: a token, or else what Docker's configuration says.
fn login(host: &str) -> Result<Option<RemoteLogin>, String> {
    let token = match (env::var(TOKEN), env::var_os(TOKEN_FILE)) {
        (Ok(token), _) => Some(token),
        (Err(_), Some(file)) => {
            let read = std::fs::read_to_string(&file);
            let shown = PathBuf::from(&file);
            Some(read.map_err(|error| format!("cannot read {}: {error}", shown.display()))?)
        }
        (Err(_), None) => None,
    };
    if let Some(token) = token {
        return Ok(Some(RemoteLogin {
            user: "token".to_owned(),
            password: token.trim().to_owned(),
        }));
    }
    let directory = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".docker"));
    match directory.or_else(home) {
        Some(directory) => docker_login(&directory.join("config.json"), host),
        None => Ok(None),
    }
}

/// Turns a failure of a server into that of a command.
pub(crate) fn failed(error: RemoteError) -> Error {
    Error::Other(error.to_string())
}

/// A list that a server is asked for.
pub(crate) struct RemoteList<'r> {
    pub remote: &'r Remote,
    /// Path below `/api/v1/`.
    pub path: String,
    pub parameters: Vec<(&'static str, String)>,
    /// Name of the list in the object.
    pub key: &'static str,
    /// Maximum number of items; `None` for all.
    pub limit: Option<usize>,
}

impl<'r> RemoteList<'r> {
    pub(crate) fn new(remote: &'r Remote, path: impl Into<String>, key: &'static str) -> Self {
        Self {
            remote,
            path: path.into(),
            parameters: Vec::new(),
            key,
            limit: None,
        }
    }

    /// Hands on the items, page by page, and returns their number.
    ///
    /// # Errors
    /// Those of the server, and of `push`.
    pub(crate) async fn each<T: DeserializeOwned>(
        &self,
        mut push: impl FnMut(T) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let (mut shown, mut last): (usize, Option<String>) = (0, None);
        let limit = self.limit.unwrap_or(usize::MAX);
        while shown < limit {
            let mut parameters = self.parameters.clone();
            let page = PAGE.min(limit - shown).to_string();
            if self.has_pages() {
                parameters.push(("n", page));
            }
            parameters.extend(last.take().map(|last| ("last", last)));
            let page = self.remote.get::<Value>(&self.path, &parameters).await;
            let RemotePage { mut body, next } = page.map_err(failed)?;
            let items: Vec<T> = serde_json::from_value(body[self.key].take())
                .map_err(|error| Error::Other(format!("the server's answer is broken: {error}")))?;
            for item in items {
                push(item)?;
                shown += 1;
            }
            match next {
                Some(next) => last = Some(next),
                None => break,
            }
        }
        Ok(shown)
    }

    /// Returns all items of a list that is not long.
    ///
    /// # Errors
    /// Those of the server.
    pub(crate) async fn all<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        let push = |item| {
            items.push(item);
            Ok(())
        };
        self.each(push).await?;
        Ok(items)
    }

    /// Reports whether the list takes the length of a page; the others have one page, or pages of one length.
    fn has_pages(&self) -> bool {
        let whole = ["tokens", "webhooks", "upstreams", "quotas", "states"];
        !whole.contains(&self.key)
    }
}
