//! The page: reports as HTML, for people.
//!
//! Each page is a template in `templates/`, filled with the reports that `/api/v1` answers with. Everything that clients
//! chose is shown as text, within bounds. Nothing here knows HTTP; addresses are relative, so that pages work below any prefix.
//!
//! - `site`, `shell`: addresses, and the frame of every page. `assets`: stylesheet, script and pictures.
//! - `parts`: sizes, times, names and bars. `query`: queries of links. `page`: a page that is ready.
//! - `changes`: rows of the audit log in words. `disk`: the bar of the disk. `chart`, `growth`: charts by day.
//! - `home`, `repository`, `gone`, `image` with its `layers` and `contents`, `history`, `compare`, `usage`, `policies`, `activity`, `administration`, `tokens`: pages.
//! - `delete`: what goes, stays and comes back. `login`: the form that logs in. `failure`: errors.

mod activity;
mod administration;
mod align;
mod assets;
mod changes;
mod chart;
mod compare;
mod contents;
mod delete;
mod disk;
mod failure;
mod gone;
mod growth;
mod history;
mod home;
mod image;
mod layers;
mod login;
mod page;
mod parts;
mod policies;
mod query;
mod repository;
mod repository_head;
mod shell;
mod site;
mod tokens;
mod usage;

pub use activity::activity;
pub use administration::{upstreams, webhooks};
pub use assets::{Asset, asset};
pub use compare::{Named, compare, compare_form};
pub use delete::{ChosenTags, DeletedTags, Seen, delete, delete_several, deleted, deleted_several};
pub use failure::{Failure, failure};
pub use gone::{trash, untagged};
pub use history::history;
pub use home::{Layout, home};
pub use image::{Chosen, image};
pub use login::{LoginPage, left, login};
pub use page::Page;
pub use policies::{PolicyPage, policies};
pub use repository::repository;
pub use site::{Reader, Site};
pub use tokens::{NewSecret, Reached, TokensPage, tokens};
pub use usage::usage;
