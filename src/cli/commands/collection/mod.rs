//! Commands about what goes and what stays.

mod forecast;
pub(crate) mod garbage_collect;
pub(crate) mod gc;
mod gc_now;
pub(crate) mod policy;
mod waiting;
