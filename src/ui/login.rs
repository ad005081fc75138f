//! The form that logs in.

use std::time::Duration;

use askama::Template;

use crate::registry::{Error, SessionTimes};
use crate::ui::page::Page;
use crate::ui::parts::Text;
use crate::ui::query::Query;
use crate::ui::shell::Shell;
use crate::ui::site::Site;

/// State of the form.
#[derive(Clone, Copy, Debug)]
pub struct LoginPage<'f> {
    /// User that was typed before.
    pub user: &'f str,
    /// Path below `/ui/` to go on to.
    pub to: &'f str,
    /// Reason for which the login before was refused.
    pub message: Option<&'f str>,
    /// True if a user and password, or a token, may be right.
    pub has_form: bool,
    /// Name of the issuer at which people log in.
    pub issuer: Option<&'f str>,
    pub times: SessionTimes,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginForm<'f> {
    shell: Shell,
    user: &'f str,
    to: &'f str,
    message: Option<Text>,
    has_form: bool,
    issuer: Option<Text>,
    onward: Query,
    idle: String,
    lifetime: String,
}

/// Renders the form.
///
/// # Errors
/// [`Error::Internal`], which no template causes.
pub fn login(site: &Site, page: &LoginPage<'_>) -> Result<Page, Error> {
    Page::of(&LoginForm {
        shell: Shell::bare(site, "Log in"),
        user: page.user,
        to: page.to,
        message: page.message.map(Text::of),
        has_form: page.has_form,
        issuer: page.issuer.map(Text::of),
        onward: Query::default().with("to", Some(page.to).filter(|to| !to.is_empty())),
        idle: words(page.times.idle),
        lifetime: words(page.times.lifetime),
    })
}

#[derive(Template)]
#[template(path = "left.html")]
struct LeftPage<'p> {
    shell: Shell,
    label: Text,
    address: &'p str,
}

/// Says that somebody is logged out here, and leads to the issuer, which logs them out as well.
///
/// # Errors
/// [`Error::Internal`], which no template causes.
pub fn left(site: &Site, label: &str, address: &str) -> Result<Page, Error> {
    Page::of(&LeftPage {
        shell: Shell::bare(site, "Logged out"),
        label: Text::of(label),
        address,
    })
}

/// Returns a length of time in words: `12 hours`.
fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (number, unit) = match seconds {
        s if s >= 86_400 && s % 86_400 == 0 => (s / 86_400, "day"),
        s if s >= 3_600 && s % 3_600 == 0 => (s / 3_600, "hour"),
        s if s >= 60 && s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}
