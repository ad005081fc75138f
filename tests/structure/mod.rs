//! The shape of the source, read as syntax: layers, import circles, length of functions, doc comments.
//!
//! `cargo test --test integration structure -- --nocapture` prints every figure and list.

mod circles;
mod docs;
mod figures;
mod layers;
mod ownership;
mod program;
mod source;
mod syntax;
