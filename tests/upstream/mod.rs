//! The client of other registries, against one that speaks Docker Hub's dialect and against this one.

pub mod adopt;
mod arriving;
mod astray;
mod broken;
mod commands;
mod crowded;
mod cut_over;
mod dripping;
mod eviction;
mod faults;
mod hostile;
mod lists;
mod log;
mod logins;
mod merged;
mod mirror;
mod old;
mod others;
mod pulls;
mod refused;
mod reloaded;
mod surroundings;
mod sync;
mod ways;

use std::time::Duration;

use tarkeep::oci::{Digest, RepositoryName};
use tarkeep::upstream::{BlobStream, Credentials, Dialect, Error, Login, Settings, Upstream};

use crate::support::hub::Hub;

/// Runs asynchronous work.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// Settings for a fake registry: that of Docker Hub, without a login.
fn settings(hub: &Hub) -> Settings {
    Settings {
        dialect: Dialect::DockerHub,
        stall: Duration::from_millis(300),
        ..Settings::of(&hub.url())
    }
}

fn upstream(settings: &Settings) -> Upstream {
    Upstream::new(settings).expect("an upstream")
}

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).expect("a name")
}

fn digest(text: &str) -> Digest {
    Digest::parse(text).expect("a digest")
}

fn login(username: &str, password: &str) -> Login {
    Login {
        repositories: None,
        credentials: Credentials::Given {
            username: username.to_owned(),
            password: password.to_owned(),
        },
    }
}

/// Reads a blob to its end.
async fn read(mut stream: BlobStream) -> Result<Vec<u8>, Error> {
    let mut whole = Vec::new();
    while let Some(bytes) = stream.next().await? {
        whole.extend_from_slice(&bytes);
    }
    Ok(whole)
}

/// Fetches a blob.
async fn fetch(upstream: &Upstream, repository: &str, blob: &str) -> Result<Vec<u8>, Error> {
    read(upstream.blob(&name(repository), &digest(blob)).await?).await
}
