//! The text of a configuration: a tree of values with the origin of each.

mod origin;
mod tree;
mod yaml;

pub use origin::Origin;
pub(in crate::config) use tree::{Content, Node, Scalar};
pub(in crate::config) use yaml::{read_file, read_variable};
