//! `/ui/`: requests of the page, which `crate::ui` makes.
//!
//! - `call`: a request becomes one [`call::UiCall`] before anything else happens. `parameters`: its query, typed.
//! - `answer`: runs a call, answers with HTML or a file, and turns errors into pages.

pub(crate) mod answer;
pub(crate) mod call;
mod parameters;
