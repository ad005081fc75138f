//! SQLite: connections, readers and the one writer.

pub(super) mod beside;
pub(super) mod connection;
pub(super) mod copy;
pub(super) mod copy_on_write;
pub(super) mod database_file;
pub(super) mod locks;
pub(super) mod pool;
pub(super) mod reader;
pub(super) mod row;
pub(super) mod schema;
mod upgrade_copy;
pub(super) mod writer;
