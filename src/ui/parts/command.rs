//! Commands to copy.

use std::fmt;

use askama::filters::{Escaper, Html, HtmlSafe};

use crate::ui::parts::icon::Icon;

/// Command with a button that copies it.
#[derive(Clone, Debug)]
pub struct CommandBox<'r> {
    /// Relative path to `/ui/`.
    pub root: &'r str,
    pub command: String,
}

impl fmt::Display for CommandBox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut command = String::new();
        Html.write_escaped_str(&mut command, &self.command)?;
        let copy = Icon {
            root: self.root,
            name: "copy",
        };
        write!(
            f,
            "<div class=\"box\"><span class=\"prompt\" aria-hidden=\"true\">$</span><code>{command}</code>\
             <button class=\"copy\" type=\"button\" data-copy=\"{command}\" hidden>{copy}<span class=\"hidden\">Copy the \
             command</span></button></div>"
        )
    }
}

impl HtmlSafe for CommandBox<'_> {}
