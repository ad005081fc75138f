//! Configuration: the documented table, distribution's examples, and changes under load.

mod accepted;
pub mod command;
mod examples;
mod mistakes;
mod named_files;
mod secrets;
mod table;
mod under_load;
