//! The configuration as people meet it: its table in the documentation, distribution's own examples, and changes under load.

mod accepted;
mod command;
mod examples;
mod named;
mod secrets;
mod swapped;
mod table;
