//! `/ui/`: requests of the page, which `crate::ui` makes.
//!
//! - `call`: a request becomes one [`call::UiCall`] before anything else happens. `parameters`: its query, typed.
//! - `issuer`: logins elsewhere. `cookies`: what browsers keep.
//! - `forms`: changes by forms. `changes`: who may make them. `sessions`: logins by a form, and the cookies that stand for them.
//! - `several`: deleting several tags, and bringing them back. `tokens`: changes of tokens. `reach`: what a token would reach. `shown`: pages that are shown once.
//! - `trials`: rules that a form tries.
//! - `answer`: runs a call, answers with HTML or a file, and turns errors into pages.

pub(crate) mod answer;
pub(crate) mod call;
mod changes;
mod cookies;
pub(crate) mod forms;
pub(crate) mod issuer;
mod parameters;
mod reach;
pub(crate) mod sessions;
mod several;
mod shown;
mod tokens;
pub(crate) mod trials;
