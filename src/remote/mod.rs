//! The client of a server like this one: reports of its `/api/v1`, with a login.
//!
//! Answers are bounded in size and time. The login goes to that server alone: redirects are not followed.

mod client;
mod login;

pub use client::{Remote, RemoteError, RemotePage};
pub use login::{RemoteLogin, docker_login};
