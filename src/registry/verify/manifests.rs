//! Verification of manifests: their bytes against their digests, and their references against the database.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::blob::Hasher;
use crate::events::EventKind;
use crate::meta::{
    Actor, AffectedImage, EventPlace, EventSubject, RecordedManifest, RepositoryScope, now,
};
use crate::oci::{Manifest, Reference, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::push::change::RepositoryChange;
use crate::registry::error::Error;
use crate::registry::verify::finding::{Finding, FindingKind, Outcome, Treatment};
use crate::registry::verify::run::Run;

/// Number of manifests read from the database at once.
const PAGE: usize = 50;

impl Run<'_, '_> {
    pub(super) async fn manifests(&mut self) -> Result<(), Error> {
        loop {
            let begun = Instant::now();
            let (after, scope) = (self.state.after, self.scope.clone());
            let page = self
                .registry
                .scan(move |reader| reader.manifests_after(after, &scope, PAGE))
                .await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            let (last, mut bytes) = (last.id.number(), 0);
            for manifest in page {
                bytes += manifest.bytes.len() as u64;
                self.state.manifests += 1;
                self.manifest(manifest).await?;
            }
            self.state.after = last;
            self.pacer
                .rest(&self.registry.blobs, begun.elapsed(), bytes)
                .await;
            self.advance().await?;
        }
    }

    async fn manifest(&mut self, manifest: RecordedManifest) -> Result<(), Error> {
        let (manifest, problem) = blocking(move || {
            let problem = problem_of(&manifest);
            (manifest, problem)
        })
        .await?;
        let named = match problem {
            Ok(named) => named,
            Err(problem) => return self.withdraw_manifest(manifest, problem).await,
        };
        if manifest.damage.is_some() && self.treatment != Treatment::ReportOnly {
            self.set_damage(&manifest, None).await?;
        }
        self.references(manifest, named).await
    }

    /// Takes a manifest out of service, unless another look shows that it is sound or gone.
    async fn withdraw_manifest(
        &mut self,
        manifest: RecordedManifest,
        problem: String,
    ) -> Result<(), Error> {
        let outcome = if self.treatment == Treatment::ReportOnly {
            Outcome::Reported
        } else if self.set_damage(&manifest, Some(problem.clone())).await? {
            Outcome::Withdrawn
        } else {
            return Ok(());
        };
        self.report_damaged(manifest, problem, outcome).await
    }

    /// Records what is wrong with a manifest that is still as it was read; reports whether it is.
    async fn set_damage(
        &mut self,
        manifest: &RecordedManifest,
        damage: Option<String>,
    ) -> Result<bool, Error> {
        let (id, digest) = (manifest.id, manifest.digest.clone());
        let repository = manifest.repository.clone();
        self.registry
            .meta
            .write(move |tx| {
                let page = tx.manifests_after(id.number() - 1, &RepositoryScope::ALL, 1)?;
                let present = page
                    .first()
                    .filter(|row| row.id == id && row.digest == digest);
                let is_same =
                    present.is_some_and(|row| problem_of(row).is_ok() == damage.is_none());
                if is_same {
                    tx.set_manifest_damage(id, damage.as_deref())?;
                    if damage.is_some() {
                        let subject = || {
                            Ok(EventSubject {
                                target: tx.descriptor(id)?,
                                detail: damage.as_deref(),
                                ..EventSubject::at(EventPlace::Name(&repository))
                            })
                        };
                        tx.tell(EventKind::DamageFound, &Actor::default(), now(), subject)?;
                    }
                }
                Ok::<_, Error>(is_same)
            })
            .await
    }

    /// Compares what a manifest names with what the database says that it needs.
    async fn references(
        &mut self,
        manifest: RecordedManifest,
        named: Vec<Reference>,
    ) -> Result<(), Error> {
        let compared = self
            .registry
            .scan(move |reader| {
                let recorded = reader.recorded_references(&manifest)?;
                Ok((manifest, recorded))
            })
            .await?;
        let (manifest, Some(recorded)) = compared else {
            return Ok(());
        };
        let digests: BTreeSet<_> = named.iter().map(|reference| &reference.digest).collect();
        let recorded: BTreeSet<_> = recorded.iter().collect();
        let Some(&digest) = digests.symmetric_difference(&recorded).next() else {
            return Ok(());
        };
        let problem = format!(
            "the database does not record as its references what the manifest names: {digest}"
        );
        let outcome = if self.treatment == Treatment::Repair {
            self.record_references(&manifest, named.clone()).await?;
            Outcome::Repaired
        } else {
            Outcome::Reported
        };
        self.report_damaged(manifest, problem, outcome).await
    }

    /// Records the references of a manifest anew.
    async fn record_references(
        &mut self,
        manifest: &RecordedManifest,
        named: Vec<Reference>,
    ) -> Result<(), Error> {
        let Ok(name) = RepositoryName::parse(&manifest.repository) else {
            return Ok(());
        };
        let (digest, settings) = (manifest.digest.clone(), self.registry.settings());
        self.registry
            .write(Actor::default(), move |tx, actor| {
                let change = RepositoryChange::of_known(tx, &name, &settings, actor)?;
                match tx.manifest(change.id, &digest)? {
                    Some(manifest) => change.renew_references(manifest, &named),
                    None => Ok(()),
                }
            })
            .await
    }

    async fn report_damaged(
        &mut self,
        manifest: RecordedManifest,
        problem: String,
        outcome: Outcome,
    ) -> Result<(), Error> {
        self.state.damaged += 1;
        self.report_image(FindingKind::Manifest, manifest, problem, outcome)
            .await
    }

    /// Reports something of one image, without counting it.
    pub(super) async fn report_image(
        &mut self,
        kind: FindingKind,
        manifest: RecordedManifest,
        problem: String,
        outcome: Outcome,
    ) -> Result<(), Error> {
        let RecordedManifest {
            id,
            repository,
            digest,
            ..
        } = manifest;
        let tags = self
            .registry
            .scan(move |reader| reader.image_tags(id))
            .await?;
        self.tell(Finding {
            kind,
            digest: Some(digest.clone()),
            problem,
            outcome,
            images: vec![AffectedImage {
                repository,
                digest,
                tags,
            }],
            image_count: 1,
        });
        Ok(())
    }
}

/// Compares a manifest's bytes with its digest; returns what they refer to.
fn problem_of(manifest: &RecordedManifest) -> Result<Vec<Reference>, String> {
    let RecordedManifest {
        digest,
        media_type,
        bytes,
        ..
    } = manifest;
    let actual = Hasher::digest(digest.algorithm(), bytes);
    if actual != *digest {
        return Err(format!("its bytes have digest {actual}"));
    }
    let parsed = Manifest::parse(Some(media_type), bytes).map_err(|error| error.to_string())?;
    Ok(parsed.references)
}
