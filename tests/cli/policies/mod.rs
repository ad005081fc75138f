//! Tag policies: previews, effects, forecasts, and refusals.

mod effects;
mod forecast;
mod preview;
mod refusals;

use crate::support::{Client, Image, Server};

/// A configuration file next to the server's data directory.
fn configuration(server: &Server, text: &str) -> String {
    let path = server.directory().join("../policies.yml");
    std::fs::write(&path, format!("version: 0.1{text}")).expect("a file");
    path.display().to_string()
}

fn push(client: &mut Client, repository: &str, tags: &[&str]) {
    for (seed, tag) in (1..).zip(tags) {
        Image::small(seed).push(client, repository, tag);
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
}
