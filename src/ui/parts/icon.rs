//! Icons.

use std::fmt;

use askama::filters::HtmlSafe;

use crate::ui::assets;

/// Icon of `assets/icons.svg`; it says nothing without words beside it.
#[derive(Clone, Copy, Debug)]
pub struct Icon<'r> {
    /// Relative path to `/ui/`.
    pub root: &'r str,
    pub name: &'static str,
}

impl fmt::Display for Icon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { root, name } = self;
        write!(
            f,
            "<svg class=\"icon\" aria-hidden=\"true\"><use href=\"{root}{}#{name}\"/></svg>",
            assets::path("icons")
        )
    }
}

impl HtmlSafe for Icon<'_> {}
