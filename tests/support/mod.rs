//! Test support: the real server on a free port with a fresh directory, a client that can misbehave, images to push.

pub mod client;
mod content;
pub mod hub;
mod image;
mod log;
mod mount;
pub mod server;
mod skip;
mod terminal;
mod time;
mod wait;

pub use client::{Client, Response, upload_id};
pub use content::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, noise, sha256};
pub use image::{Image, descriptor};
pub use log::show_if_failing;
pub use mount::Mounted;
pub use server::Server;
pub use skip::announce_skipped;
pub use terminal::Terminal;
pub use time::{format_time, parse_time};
pub use wait::{eventually, eventually_some};
