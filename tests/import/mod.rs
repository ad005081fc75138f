//! Taking over a store of `registry:2`: one that lies in the data directory, and one elsewhere by `registry import`.

mod archives;
pub mod command;
mod damage;
mod fixture;
mod interrupted;
mod killed;
mod mending;
pub mod remote;
mod taking_over;
mod tar;
mod without_links;

use serde_json::Value;

use crate::support::{Client, Server, eventually, eventually_some};
pub use fixture::Store;

/// Number of kills of one import or take-over before it is left to end.
const KILLS: usize = 3;

/// Number of imports that are killed [`KILLS`] times: `usual`, or as many as `IMPORT_KILLS` kills need.
fn rounds_of_kills(usual: u64) -> u64 {
    let wanted = std::env::var("IMPORT_KILLS").ok();
    let wanted = wanted.map(|kills| kills.parse::<u64>().expect("a number"));
    wanted.map_or(usual, |kills| kills.div_ceil(KILLS as u64))
}

/// Starts a server on a store, and waits until it has taken that over.
fn taken_over(directory: &std::path::Path) -> Server {
    taken_over_with(directory, &[])
}

/// The same, with `REGISTRY_…` variables set.
pub fn taken_over_with(directory: &std::path::Path, variables: &[(&str, &str)]) -> Server {
    let server = Server::at(directory, variables);
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
