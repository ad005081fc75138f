//! Images that name content which is not stored, and was not found damaged: an import brings such as they are.

use std::collections::HashSet;

use crate::meta::RecordedManifest;
use crate::oci::{Digest, Manifest};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::settings::RegistrySettings;
use crate::registry::verify::finding::{FindingKind, Outcome};
use crate::registry::verify::run::Run;

/// Number of manifests read from the database at once.
const PAGE: usize = 50;

impl Run<'_, '_> {
    /// Reports images that cannot be pulled as a whole, unless all may be so by the configuration.
    ///
    /// Those of caches come piece by piece.
    pub(super) async fn gaps(&mut self) -> Result<(), Error> {
        let (mut after, settings) = (0, self.registry.settings());
        loop {
            let scope = self.scope.clone();
            let page = self
                .registry
                .scan(move |reader| reader.gaps_after(after, &scope, PAGE))
                .await?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = last.id.number();
            for (manifest, gaps) in page {
                let settings = settings.clone();
                let (manifest, missing) = blocking(move || {
                    let missing = missing(&manifest, &gaps, &settings);
                    (manifest, missing)
                })
                .await?;
                if let Some(problem) = missing {
                    self.result.incomplete += 1;
                    self.report_image(
                        FindingKind::Incomplete,
                        manifest,
                        problem,
                        Outcome::Reported,
                    )
                    .await?;
                }
            }
        }
    }
}

/// Describes what a manifest needs and lacks; `None` if it may lack that, or is damaged itself.
pub(in crate::registry) fn missing(
    recorded: &RecordedManifest,
    gaps: &HashSet<Digest>,
    settings: &RegistrySettings,
) -> Option<String> {
    if settings.sparse {
        return None;
    }
    let mut manifest = Manifest::parse(Some(&recorded.media_type), &recorded.bytes).ok()?;
    settings
        .manifest_rules
        .mark_optional_children(&mut manifest);
    let mut missing = manifest
        .references
        .iter()
        .filter(|reference| !reference.is_optional && gaps.contains(&reference.digest));
    let first = missing.next()?;
    Some(match missing.count() {
        0 => format!("it needs {}, which is not stored", first.digest),
        more => format!(
            "it needs {} and {more} more, which are not stored",
            first.digest
        ),
    })
}
