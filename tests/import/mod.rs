//! Taking over a store of `registry:2`: one that lies in the data directory, and one elsewhere by `registry import`.

mod archives;
mod command;
mod damage;
mod fixture;
mod interrupted;
mod killed;
mod taking_over;
mod tar;

use serde_json::Value;

use crate::support::{Client, Server, eventually, eventually_some};
pub use fixture::Store;

/// Starts a server on a store, and waits until it has taken that over.
fn taken_over(directory: &std::path::Path) -> Server {
    let server = Server::at(directory, &[]);
    wait_until_available(&server);
    server
}

fn wait_until_available(server: &Server) {
    let mut client = server.client();
    eventually("the store is taken over", || {
        client.get("/v2/").status == 200
    });
}

/// Waits for the end of the check of all blobs; returns its line in the log.
fn checked(server: &Server) -> String {
    eventually_some("the blobs are checked", || {
        let log = server.log();
        let line = log
            .lines()
            .find(|line| line.contains("checked the blobs that were taken over"));
        line.map(str::to_owned)
    })
}

fn tags(client: &mut Client, repository: &str) -> Value {
    client.get(&format!("/v2/{repository}/tags/list")).json()["tags"].clone()
}
