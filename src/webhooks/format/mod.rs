//! Formats of requests to endpoints: an event and the endpoint's settings become headers and a body. No IO.
//!
//! `render` is the way in. `distribution`, `cloud_events`, `harbor` and `docker_hub` are for programs, and `chat` and
//! `sentence` for people.

mod chat;
mod cloud_events;
mod distribution;
mod docker_hub;
mod harbor;
mod render;
mod sentence;
mod signature;
mod source;
mod topics;

#[cfg(test)]
mod tests;

pub use render::{Rendered, render};
pub use source::Source;
pub use topics::{default_topics, topics};
