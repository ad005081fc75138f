//! A verification, beside a running server.
//!
//! Each read sees the last commit, and content may come and go meanwhile. So nothing counts as damaged before a second look.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::blob::Hasher;
use crate::meta::{RecordedManifest, WithdrawnFrom};
use crate::oci::{Digest, Manifest};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Verify;
use crate::registry::verify::comparison::{Comparison, withdraw};
use crate::registry::verify::finding::{
    AffectedImage, Finding, FindingKind, Treatment, Verification,
};

/// Number of blobs read from the database at once.
const BLOBS: usize = 500;
/// Number of manifests read from the database at once.
const MANIFESTS: usize = 50;

impl Verify<'_> {
    /// Verifies everything, reading blobs at half the speed of the disk.
    ///
    /// # Errors
    /// Errors of the database, if it is too damaged to be read.
    pub async fn run(self, treatment: Treatment) -> Result<Verification, Error> {
        let mut result = Verification::default();
        let registry = self.registry;
        let damage = registry.scan(|reader| reader.structural_damage()).await?;
        let counts = registry.scan(|reader| reader.wrong_counts()).await?;
        let database = damage.into_iter().map(|line| (FindingKind::Database, line));
        let counts = counts
            .into_iter()
            .map(|name| (FindingKind::Count, format!("the number is wrong: {name}")));
        let findings = database.chain(counts).map(|(kind, problem)| Finding {
            kind,
            digest: None,
            problem,
            images: Vec::new(),
        });
        result.findings.extend(findings);
        self.manifests(&mut result).await?;
        self.blobs(treatment, &mut result).await?;
        Ok(result)
    }

    async fn manifests(self, result: &mut Verification) -> Result<(), Error> {
        let mut after = None;
        loop {
            let batch = self
                .registry
                .scan(move |reader| reader.manifests_after(after, MANIFESTS))
                .await?;
            let Some(last) = batch.last() else {
                return Ok(());
            };
            after = Some(last.id);
            for manifest in batch {
                result.manifests += 1;
                result.findings.extend(self.manifest(manifest).await?);
            }
        }
    }

    async fn manifest(self, manifest: RecordedManifest) -> Result<Option<Finding>, Error> {
        let (manifest, problem) = blocking(move || {
            let problem = problem_of(&manifest);
            (manifest, problem)
        })
        .await?;
        let named = match problem {
            Ok(references) => references,
            Err(problem) => return Ok(Some(self.finding(manifest, problem).await?)),
        };
        let compared = self
            .registry
            .scan(move |reader| {
                let recorded = reader.recorded_references(&manifest)?;
                Ok((manifest, recorded))
            })
            .await?;
        let (manifest, Some(recorded)) = compared else {
            return Ok(None);
        };
        let recorded: BTreeSet<_> = recorded.into_iter().collect();
        match named.symmetric_difference(&recorded).next() {
            Some(digest) => {
                let problem = format!(
                    "the database does not record as its references what the manifest names: {digest}"
                );
                Ok(Some(self.finding(manifest, problem).await?))
            }
            None => Ok(None),
        }
    }

    async fn finding(self, manifest: RecordedManifest, problem: String) -> Result<Finding, Error> {
        let RecordedManifest {
            id,
            repository,
            digest,
            ..
        } = manifest;
        let tags = self.registry.scan(move |reader| reader.tags_on(id)).await?;
        Ok(Finding {
            kind: FindingKind::Manifest,
            digest: Some(digest.clone()),
            problem,
            images: vec![AffectedImage {
                repository,
                digest,
                tags,
            }],
        })
    }

    async fn blobs(self, treatment: Treatment, result: &mut Verification) -> Result<(), Error> {
        let mut after = None;
        loop {
            let batch = self
                .registry
                .scan(move |reader| reader.blobs_after(after, BLOBS))
                .await?;
            let Some((last, _)) = batch.last() else {
                return Ok(());
            };
            after = Some(*last);
            for (_, digest) in batch {
                let begun = Instant::now();
                self.blob(digest, treatment, result).await?;
                tokio::time::sleep(begun.elapsed()).await;
            }
        }
    }

    async fn blob(
        self,
        digest: Digest,
        treatment: Treatment,
        result: &mut Verification,
    ) -> Result<(), Error> {
        let (problem, images) = match self.compare(&digest).await? {
            Comparison::Sound { size } => {
                result.blobs += 1;
                result.size += size;
                return Ok(());
            }
            Comparison::Unreadable(error) => (
                format!("the file cannot be read: {error}"),
                self.images_of(&digest).await?,
            ),
            Comparison::Damaged { found } => {
                let images = match treatment {
                    Treatment::ReportOnly => self.images_of(&digest).await?,
                    Treatment::Withdraw => self.withdraw(&digest).await?,
                };
                let problem = match found {
                    Some(found) => format!("the file has digest {found}"),
                    None => "the file is missing".to_owned(),
                };
                (problem, images)
            }
        };
        // collected meanwhile, or pushed again
        let Some(images) = images else {
            return Ok(());
        };
        result.blobs += 1;
        result.findings.push(Finding {
            kind: FindingKind::Blob,
            digest: Some(digest),
            problem,
            images: images.into_iter().map(AffectedImage::from).collect(),
        });
        Ok(())
    }

    /// Lists the images that need a blob; `None` if the blob is gone.
    async fn images_of(self, digest: &Digest) -> Result<Option<Vec<WithdrawnFrom>>, Error> {
        let digest = digest.clone();
        self.registry
            .scan(move |reader| match reader.blob(&digest)? {
                Some(blob) => Ok(Some(reader.manifests_naming(blob)?)),
                None => Ok(None),
            })
            .await
    }

    /// Takes a damaged blob out of all repositories; `None` if it is gone, or sound at a second look.
    ///
    /// It is unverified in between, so that whoever pushes it replaces it.
    async fn withdraw(self, digest: &Digest) -> Result<Option<Vec<WithdrawnFrom>>, Error> {
        let registry = self.registry;
        let suspect = digest.clone();
        registry
            .meta
            .write(move |tx| Ok::<_, Error>(tx.suspect_blob(&suspect)?))
            .await?;
        if let Comparison::Sound { size } = self.compare(digest).await? {
            self.confirm(digest.clone(), size).await?;
            return Ok(None);
        }
        let digest = digest.clone();
        registry.meta.write(move |tx| withdraw(tx, &digest)).await
    }
}

/// Compares a manifest's bytes with its digest; returns what they refer to.
fn problem_of(manifest: &RecordedManifest) -> Result<BTreeSet<Digest>, String> {
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
    let references = parsed.references.into_iter();
    Ok(references.map(|reference| reference.digest).collect())
}
