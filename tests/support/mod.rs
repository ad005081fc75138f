//! What every test needs: the real server on a free port with a directory of its own, a client that can misbehave, and
//! images to push.

pub mod client;
pub mod image;
pub mod server;

pub use client::{Client, Response};
pub use image::{Image, descriptor, sha256};
pub use server::Server;
