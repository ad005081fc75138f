//! One request to an upstream, with everything that guards it.

mod answer;
mod breaker;
mod gate;
mod quota;
mod send;
mod tally;

pub use quota::Quota;
pub use send::Upstream;
pub use tally::{Last, Tally};

pub(super) use answer::Answer;
pub(super) use gate::Lane;
pub(super) use send::Ask;
