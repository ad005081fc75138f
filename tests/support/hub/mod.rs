//! A registry that speaks Docker Hub's dialect, and fails as tests tell it to. The client suite uses it too.

mod answers;
mod reply;
mod server;
mod state;

pub use server::Hub;
pub use state::{Part, Seen};
