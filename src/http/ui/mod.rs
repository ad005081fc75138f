//! `/ui/`: requests of the page, which `crate::ui` makes.
//!
//! - `call`: a request becomes one [`call::UiCall`] before anything else happens.
//! - `forms`: changes by forms. `sessions`: logins by a form, and the cookies that stand for them.
//! - `answer`: runs a call, answers with HTML or a file, and turns errors into pages.

pub(crate) mod answer;
pub(crate) mod call;
pub(crate) mod forms;
pub(crate) mod sessions;
