//! Configuration: the documented table, distribution's examples, and changes under load.

mod accepted;
mod command;
mod examples;
mod named;
mod secrets;
mod swapped;
mod table;
