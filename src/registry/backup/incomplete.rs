//! Images of a backup that cannot be pulled as a whole from where it was made either.

use crate::meta::{AffectedImage, DatabaseCopy};
use crate::registry::error::Error;
use crate::registry::facades::Backups;
use crate::registry::verify::gaps::missing;

/// Number of manifests read from the database at once.
const PAGE: usize = 50;
/// Maximum number of images that are named.
const MAX_NAMED: usize = 10_000;

/// An image that names content which is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncompleteImage {
    pub image: AffectedImage,
    /// Sentence about the content that it lacks.
    pub problem: String,
}

/// Images that name content which is not stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncompleteImages {
    /// The first 10,000.
    pub named: Vec<IncompleteImage>,
    /// Number of all.
    pub count: u64,
}

impl Backups<'_> {
    /// Finds the images in a copied database that name content which is not stored. Blocks.
    ///
    /// Those that may, by the configuration or because they are of a mirror, are none.
    pub fn incomplete_images(self, copy: &DatabaseCopy) -> Result<IncompleteImages, Error> {
        let settings = self.registry.settings();
        let (mut found, mut after) = (IncompleteImages::default(), 0);
        loop {
            let page = copy.gaps_after(after, PAGE)?;
            let Some((last, _)) = page.last() else {
                return Ok(found);
            };
            after = last.id.number();
            for (manifest, gaps) in page {
                let Some(problem) = missing(&manifest, &gaps, &settings) else {
                    continue;
                };
                found.count += 1;
                if found.named.len() < MAX_NAMED {
                    let image = AffectedImage {
                        tags: copy.image_tags(&manifest)?,
                        repository: manifest.repository,
                        digest: manifest.digest,
                    };
                    found.named.push(IncompleteImage { image, problem });
                }
            }
        }
    }
}

impl IncompleteImage {
    /// Names of the image: its tags, or else its digest.
    pub fn names(&self) -> Vec<String> {
        crate::registry::verify::finding::image_names(&self.image)
    }
}
