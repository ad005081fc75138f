//! Commands about what goes and what stays.

mod forecast;
pub(crate) mod garbage_collect;
pub(crate) mod gc;
pub(crate) mod policy;
