//! The frame of every page: navigation, search, and the command and API address of what it shows.

use crate::ui::assets;
use crate::ui::page::TOOK;
use crate::ui::parts::{CommandBox, Icon};
use crate::ui::query::Query;
use crate::ui::site::{Reader, Site};

/// Part of the page that the navigation marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Repositories,
    Usage,
    Policy,
    Activity,
    Tokens,
    Upstreams,
    Webhooks,
}

/// The same content elsewhere.
#[derive(Clone, Debug)]
pub struct Twin {
    /// Command that prints it.
    pub command: String,
    /// Path of its JSON below `/api/v1/`.
    pub api: String,
}

/// Frame of a page.
#[derive(Debug)]
pub struct Shell {
    pub title: String,
    pub site: Site,
    pub user: Option<String>,
    /// True if the reader may log in.
    pub has_login: bool,
    links: Vec<(Section, &'static str, &'static str)>,
    section: Section,
    pub twin: Option<Twin>,
}

/// Sections, with the name and path of each, and whether administrators alone see it.
const SECTIONS: [(Section, &str, &str, bool); 7] = [
    (Section::Repositories, "Repositories", "", false),
    (Section::Usage, "Usage", "usage", false),
    (Section::Policy, "Policy", "policies", false),
    (Section::Activity, "Activity", "activity", true),
    (Section::Tokens, "Tokens", "tokens", true),
    (Section::Upstreams, "Upstreams", "upstreams", true),
    (Section::Webhooks, "Webhooks", "webhooks", true),
];

/// Link of the navigation.
#[derive(Clone, Copy, Debug)]
pub struct NavLink {
    pub name: &'static str,
    pub path: &'static str,
    pub is_current: bool,
}

impl Shell {
    pub fn new(reader: &Reader, section: Section, title: impl Into<String>, twin: Twin) -> Self {
        let is_administrator = reader.is_administrator();
        let links = SECTIONS
            .iter()
            .filter(|(_, _, _, is_reserved)| is_administrator || !is_reserved)
            .map(|(section, name, path, _)| (*section, *name, *path));
        Self {
            title: title.into(),
            site: reader.site.clone(),
            user: reader.user.clone(),
            has_login: reader.user.is_none() && reader.has_logins,
            links: links.collect(),
            section,
            twin: Some(twin),
        }
    }

    /// Frame of a page that is made for nobody in particular.
    pub fn bare(site: &Site, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            site: site.clone(),
            user: None,
            has_login: false,
            links: vec![(Section::Repositories, "Repositories", "")],
            section: Section::Repositories,
            twin: None,
        }
    }

    /// Relative path to the form that logs in, and from there back here.
    pub fn login(&self) -> String {
        let here = Some(&*self.site.here).filter(|here| !here.is_empty());
        format!("{}login{}", self.root(), Query::default().with("to", here))
    }

    /// Relative path to `/ui/`.
    pub fn root(&self) -> &str {
        &self.site.root
    }

    pub fn links(&self) -> impl Iterator<Item = NavLink> {
        self.links.iter().map(|(section, name, path)| NavLink {
            name,
            path,
            is_current: *section == self.section,
        })
    }

    pub fn icon(&self, name: &'static str) -> Icon<'_> {
        Icon {
            root: self.root(),
            name,
        }
    }

    pub fn command(&self, command: impl Into<String>) -> CommandBox<'_> {
        CommandBox {
            root: self.root(),
            command: command.into(),
        }
    }

    /// Command that pushes or pulls something here, or the like: `VERB HOST/IMAGE`.
    pub fn at_host(&self, verb: &str, image: &str) -> CommandBox<'_> {
        self.command(format!("{verb} {}/{image}", self.site.host()))
    }

    pub fn asset(&self, name: &'static str) -> String {
        format!("{}{}", self.root(), assets::path(name))
    }

    pub fn api(&self) -> String {
        self.site.api()
    }

    pub fn took(&self) -> &'static str {
        TOOK
    }
}
