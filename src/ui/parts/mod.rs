//! Parts of pages: values as HTML.
//!
//! Each type is safe to write into a page as it is: it escapes the text that it holds.

mod bar;
mod command;
mod icon;
mod name;
mod size;
mod text;
mod time;

pub(super) use bar::{Bar, scaled};
pub(super) use command::CommandBox;
pub(super) use icon::Icon;
pub(super) use name::{ImageName, RepositoryLabel, Short, short};
pub(super) use size::{Count, Size};
pub(super) use text::{Block, Text, label_name, link};
pub(super) use time::{Moment, Promise};
