//! The page: reports as HTML, for people.
//!
//! Each page is a template in `templates/`, filled with the reports that `/api/v1` answers with. Everything that clients
//! chose is shown as text, within bounds. Nothing here knows HTTP; addresses are relative, so that pages work below any prefix.
//!
//! - `site`, `shell`: addresses, and the frame of every page. `assets`: stylesheet, script and pictures.
//! - `parts`: sizes, times, names and bars. `query`: queries of links. `page`: a page that is ready.
//! - `changes`: rows of the audit log in words. `disk`: the bar of the disk.
//! - `delete`: what goes, stays and comes back. `home`: the page of the same name. `login`: the form that logs in. `failure`: errors.

mod assets;
mod changes;
mod delete;
mod disk;
mod failure;
mod home;
mod login;
mod page;
mod parts;
mod query;
mod shell;
mod site;

pub use assets::{Asset, asset};
pub use delete::{delete, deleted};
pub use failure::{Failure, failure};
pub use home::{Layout, home};
pub use login::{LoginPage, login};
pub use page::Page;
pub use site::{Reader, Site};
