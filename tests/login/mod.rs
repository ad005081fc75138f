//! Logins and challenges.

mod access;
mod audit;
mod challenges;
mod changing;
mod command;
mod events;
pub mod every_route;
mod guessing;
mod htpasswd;
pub mod machine_tokens;
mod matrix;
mod odd_files;
mod properties;
mod rates;
mod reloading;
mod swapping;
mod token_bounds;
mod token_service;
mod tokens;
pub mod trust;

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;

use crate::support::Server;
use crate::support::client::{Client, Request, Response};

/// A server with an htpasswd file beside its data.
pub struct Guarded {
    pub server: Server,
    path: PathBuf,
    _directory: TempDir,
}

/// An htpasswd line with the lowest bcrypt cost.
pub fn line(user: &str, password: &str) -> String {
    format!("{user}:{}\n", bcrypt::hash(password, 4).expect("a hash"))
}

impl Guarded {
    fn with(content: &str) -> Self {
        Self::set_up(content, &[])
    }

    /// As [`Self::with`], with more variables.
    pub fn set_up(content: &str, variables: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("htpasswd");
        std::fs::write(&path, content).expect("a file");
        let server =
            Server::with(&[&[("REGISTRY_AUTH", &*environment(&path))], variables].concat());
        Self {
            server,
            path,
            _directory: directory,
        }
    }

    /// Writes another htpasswd file in place of this one.
    pub fn replace_users(&self, content: &str) {
        std::fs::write(&self.path, content).expect("written");
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    /// Response to `GET /v2/` for this user.
    fn login(&self, user: &str, password: &str) -> Response {
        as_user(self.client().request("GET", "/v2/"), user, password).send()
    }
}

fn environment(path: &Path) -> String {
    json!({ "htpasswd": { "realm": "Our \"Realm\" é", "path": path } }).to_string()
}

pub fn as_user<'c>(request: Request<'c>, user: &str, password: &str) -> Request<'c> {
    request.header(
        "Authorization",
        &format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
    )
}
