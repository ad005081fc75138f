//! The address of a page, and whoever reads it.

use crate::registry::Visibility;
use crate::report::{People, Viewer};

/// Addresses of the registry, as the reader of a page knows it.
#[derive(Clone, Debug)]
pub struct Site {
    /// Relative path from the page to `/ui/`, with a slash at its end.
    pub root: String,
    /// Scheme, host and path of the registry: `https://registry.example.com`.
    pub url: String,
    /// Path and query of the page below `/ui/`, to come back to after a login.
    pub here: String,
}

impl Site {
    /// Describes the site from a page so many folders below `/ui/`; `None` for `/ui` itself.
    pub fn new(depth: Option<usize>, url: String, here: String) -> Self {
        let root = match depth {
            None => "ui/".to_owned(),
            Some(0) => "./".to_owned(),
            Some(depth) => "../".repeat(depth),
        };
        Self { root, url, here }
    }

    /// Name of the registry in commands: host and path.
    pub fn host(&self) -> &str {
        match self.url.split_once("://") {
            Some((_, host)) => host,
            None => &self.url,
        }
    }

    /// Relative path from the page to the API.
    pub(super) fn api(&self) -> String {
        match self.root.strip_prefix("./") {
            Some(_) => "../api/v1/".to_owned(),
            None if self.root == "ui/" => "api/v1/".to_owned(),
            None => format!("{}../api/v1/", self.root),
        }
    }
}

/// Whoever a page is made for.
#[derive(Clone, Debug)]
pub struct Reader {
    pub viewer: Viewer,
    /// Name of their login.
    pub user: Option<String>,
    /// True if they may delete and restore in the repository that the page is about.
    pub may_delete: bool,
    /// True if they may point tags elsewhere there.
    pub may_move_tags: bool,
    /// True if they may change what administrators have: tokens and deliveries.
    pub may_administer: bool,
    /// Repositories that are open to everybody; `None` where all are.
    pub public: Option<Visibility>,
    /// True if somebody could log in.
    pub has_logins: bool,
    pub site: Site,
}

impl Reader {
    /// Reports whether a repository is open to everybody, while others are not.
    pub(super) fn is_public(&self, repository: &str) -> bool {
        let public = self.public.as_ref();
        public.is_some_and(|public| public.shows(repository))
    }

    /// Reports whether they see what administrators see.
    pub fn is_administrator(&self) -> bool {
        self.viewer.people == People::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_back_to_the_root() {
        for (depth, root, api) in [
            (None, "ui/", "api/v1/"),
            (Some(0), "./", "../api/v1/"),
            (Some(2), "../../", "../../../api/v1/"),
        ] {
            let site = Site::new(depth, "https://r.example/x".to_owned(), String::new());
            assert_eq!((&*site.root, &*site.api()), (root, api));
            assert_eq!(site.host(), "r.example/x");
        }
    }
}
