//! The content of artifacts that are no images: a chart, packages, provenance, files.

use crate::oci::RepositoryName;
use crate::registry::{Error, ImageDescription, Registry};
use crate::report::{self, ContentItem, PackageItem};
use crate::ui::parts::{Block, link};

/// Maximum number of packages on a page.
const PACKAGES: usize = 200;

/// Content as a page shows it.
#[derive(Debug, Default)]
pub struct Contents {
    pub item: ContentItem,
    /// Text that is looked for in packages.
    pub wanted: Option<String>,
    /// Packages that have it.
    found: Vec<PackageItem>,
}

impl Contents {
    /// Reads the content of an artifact.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of(
        registry: &Registry,
        repository: &RepositoryName,
        described: &ImageDescription,
        wanted: Option<&str>,
    ) -> Result<Self, Error> {
        let item = report::content(registry, repository, described).await?;
        let wanted = wanted.map(str::trim).filter(|wanted| !wanted.is_empty());
        let text = wanted.unwrap_or_default().to_lowercase();
        let has = |package: &&PackageItem| {
            let PackageItem {
                name,
                version,
                license,
            } = package;
            let mut texts = [name, version, license].into_iter();
            texts.any(|one| one.to_lowercase().contains(&text))
        };
        let packages = item.packages.iter().flatten();
        Ok(Self {
            found: packages.filter(has).cloned().collect(),
            wanted: wanted.map(str::to_owned),
            item,
        })
    }

    /// Number of packages that were looked for.
    pub fn count(&self) -> u64 {
        self.found.len() as u64
    }

    pub fn packages(&self) -> &[PackageItem] {
        &self.found[..self.found.len().min(PACKAGES)]
    }

    pub fn block<'t>(&self, text: &'t str) -> Block<'t> {
        Block(text)
    }

    /// Address of the web, if it is one.
    pub fn link<'t>(&self, text: &'t str) -> Option<&'t str> {
        link(text)
    }
}
