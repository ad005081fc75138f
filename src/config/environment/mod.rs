//! Environment variables that override the file: `REGISTRY_HTTP_ADDR` sets `http.addr`.
//!
//! As in distribution, `_` separates levels, a number is the index of a list item, names of distribution's source are
//! accepted beside those of the file, a value is YAML, and less specific variables are applied first. Beyond distribution,
//! items of every list can be set, sections need not be in the file, and a variable inside a storage driver or an
//! authentication method selects it. [`Origin`](crate::config::Origin) records the variable of each value.

mod name;
mod overlay;
mod resolve;
mod set;

pub use name::FILE_VARIABLE;
#[cfg(test)]
pub(super) use name::name_of;
pub(super) use overlay::overlay;
