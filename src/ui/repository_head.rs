//! The head of each page of a repository.

use crate::oci::RepositoryName;
use crate::registry::{Error, Registry};
use crate::report::{self, UsageItem};
use crate::ui::parts::Size;
use crate::ui::site::Reader;

/// Head of a page of a repository.
pub struct Head {
    pub name: String,
    pub usage: UsageItem,
    pub is_public: bool,
    /// Host of the registry whose content it caches.
    pub upstream: Option<String>,
    /// Glob of the policy that applies.
    pub policy: Option<String>,
    tab: Tab,
}

/// Tab of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Tags,
    Untagged,
    Trash,
    Policy,
}

/// Link to a tab.
pub struct TabLink {
    pub name: &'static str,
    /// Path below `/ui/`.
    pub path: String,
    pub is_current: bool,
}

impl Head {
    /// Reads what the head says.
    ///
    /// # Errors
    /// [`Error::NameUnknown`], and those of the database.
    pub async fn of(
        registry: &Registry,
        reader: &Reader,
        name: &RepositoryName,
        tab: Tab,
    ) -> Result<Self, Error> {
        let settings = registry.settings();
        let policy = settings.retention.policy(name.as_str());
        let found = report::overview(registry, vec![name.clone()], &reader.viewer).await?;
        let unknown = || Error::NameUnknown(name.clone());
        let found = found.into_iter().next().ok_or_else(unknown)?;
        Ok(Self {
            name: name.to_string(),
            is_public: reader.is_public(name.as_str()),
            upstream: found.upstream,
            usage: found.usage,
            policy: policy.map(|policy| policy.repositories.to_string()),
            tab,
        })
    }

    /// Folder of the repository, with a slash at its end.
    pub fn folder(&self) -> &str {
        self.name
            .rfind('/')
            .map_or("", |slash| &self.name[..=slash])
    }

    pub fn last(&self) -> &str {
        self.name
            .rfind('/')
            .map_or(&self.name, |slash| &self.name[slash + 1..])
    }

    pub fn exclusive(&self) -> Option<Size> {
        self.usage.exclusive_size.map(Size)
    }

    pub fn size(&self) -> Size {
        Size(self.usage.size)
    }

    pub fn logical(&self) -> Size {
        Size(self.usage.logical_size)
    }

    pub fn tabs(&self) -> Vec<TabLink> {
        let tab = |tab, name, folder: &str| TabLink {
            name,
            path: format!("{folder}/{}", self.name),
            is_current: self.tab == tab,
        };
        vec![
            tab(Tab::Tags, "Tags", "repositories"),
            tab(Tab::Untagged, "Untagged", "untagged"),
            tab(Tab::Trash, "Trash", "trash"),
            tab(Tab::Policy, "Policy", "policies"),
        ]
    }
}
