//! The page at `/ui/`.

mod artifacts;
mod content;
mod deleting;
mod hostile;
mod issuer;
mod pages;
mod policies;
mod sessions;
mod several;
mod tokens;

use crate::support::client::Response;

/// Returns the text of a page.
fn text(page: &Response) -> String {
    String::from_utf8(page.body.clone()).expect("a page is UTF-8")
}
