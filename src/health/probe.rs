//! Probes that a check can use.

use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpStream;

use super::web::Web;
use crate::registry::Registry;

/// Condition that a check verifies.
#[derive(Debug)]
pub enum Probe {
    /// Database and blobs can be read.
    Storage,
    /// The file does not exist.
    File(PathBuf),
    /// A `HEAD` request gets the expected status.
    Web(Box<Web>),
    /// A connection to `HOST:PORT` is accepted within the timeout.
    Tcp { address: String, timeout: Duration },
}

impl Probe {
    pub(super) async fn run(&self, registry: &Registry) -> Result<(), String> {
        match self {
            Self::Storage => registry
                .status()
                .check_readable()
                .await
                .map_err(|error| error.to_string()),
            Self::File(path) => {
                let path = path.clone();
                let found = tokio::task::spawn_blocking(move || path.try_exists()).await;
                match found.map_err(|error| error.to_string())? {
                    Ok(false) => Ok(()),
                    Ok(true) => Err("file exists".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            }
            Self::Web(web) => web.run().await,
            Self::Tcp { address, timeout } => {
                match tokio::time::timeout(*timeout, TcpStream::connect(address)).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err(format!("connection to {address} failed: {error}")),
                    Err(_) => Err(format!(
                        "connection to {address} failed: no answer within {timeout:?}"
                    )),
                }
            }
        }
    }
}
