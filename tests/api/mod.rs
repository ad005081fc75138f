//! `/api/v1`: the same JSON as the commands print, page by page, and what each client is told.

mod afar;
mod changes;
mod growth;
mod openapi;
mod pages;
pub mod people;
mod policies;
mod promotions;
mod same;

use serde_json::Value;

use crate::support::Server;

/// Returns what a command prints as JSON.
fn printed(server: &Server, arguments: &[&str]) -> Value {
    let output = server.cli(&[arguments, &["-o", "json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Returns the JSON of a path.
fn answered(server: &Server, path: &str) -> Value {
    let response = server.client().get(path);
    assert_eq!(response.status, 200, "{path}: {:?}", response.json());
    assert_eq!(response.header("content-type"), Some("application/json"));
    response.json()
}
