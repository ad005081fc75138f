//! `/api/v1`: what the commands show, as the same JSON, for whoever has the rights.
//!
//! - `call`: a request becomes one [`call::ApiCall`] before anything else happens. `parameters`: its query, typed.
//! - `answer`: runs a call and answers with JSON, an entity tag and a link to the next page.
//! - `lists`, `facts`, `administration`: the reports of `crate::report`, as far as the client may see.
//! - `changes`, `promotions`: what changes something.
//! - `policies`: decisions of rules, in force or tried out.
//! - `seen`: what that is.

mod administration;
pub(crate) mod answer;
pub(crate) mod call;
pub(crate) mod changes;
mod facts;
mod lists;
pub(crate) mod parameters;
pub(crate) mod policies;
pub(crate) mod promotions;
pub(crate) mod seen;
