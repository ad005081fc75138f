//! Errors as pages.

use askama::Template;

use crate::ui::parts::Text;
use crate::ui::shell::Shell;
use crate::ui::site::Site;

/// An error, as clients of the API see it.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'f> {
    pub status: u16,
    pub code: &'f str,
    pub message: &'f str,
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage<'f> {
    shell: Shell,
    status: u16,
    heading: &'static str,
    advice: &'static str,
    code: &'f str,
    message: Text,
}

/// Renders an error; the same for whatever is hidden and whatever is not there.
pub fn failure(site: &Site, failure: &Failure<'_>) -> String {
    let (heading, advice) = words(failure.status);
    let page = FailurePage {
        shell: Shell::bare(site, heading),
        status: failure.status,
        heading,
        advice,
        code: failure.code,
        message: Text::of(failure.message),
    };
    // no template fails
    page.render().unwrap_or_default()
}

/// Returns the sentence about a status, and what to do.
fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => (
            "This address is malformed",
            "Check the name, tag or digest in it, or start from the list of repositories.",
        ),
        401 => (
            "This page needs a login",
            "What everybody may pull is in the list of repositories.",
        ),
        403 => (
            "Your rights do not include this",
            "Ask an administrator of this registry, or log in as somebody else.",
        ),
        404 => (
            "There is nothing here",
            "It was never pushed, was deleted, or this login may not see it.",
        ),
        405 => (
            "This cannot be done here",
            "The configuration of this registry, or the address, does not allow it.",
        ),
        429 => (
            "Too many requests",
            "Wait a moment, then load the page again.",
        ),
        503 => (
            "The registry is busy",
            "It is starting, stopping or overloaded. Load the page again in a few seconds.",
        ),
        status if status >= 500 => (
            "The registry failed",
            "Its log has the details. Nothing was changed.",
        ),
        _ => ("This did not work", "The message below says why."),
    }
}
