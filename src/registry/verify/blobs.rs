//! Verification of blobs: their files against their digests.

use crate::meta::{AffectedImage, Damaged, RecordedBlob};
use crate::oci::Digest;
use crate::registry::error::Error;
use crate::registry::verify::comparison::{Comparison, Damage, withdraw};
use crate::registry::verify::finding::{Finding, FindingKind, Outcome, Treatment};
use crate::registry::verify::run::Run;

/// Number of blobs read from the database at once.
const PAGE: usize = 500;
/// Maximum number of images that a finding lists.
const MAX_IMAGES: usize = 10_000;

impl Run<'_, '_> {
    /// Reports what was found damaged before, and has not been pushed again since.
    pub(super) async fn quarantined(&mut self) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let (from, scope) = (after.clone(), self.scope.clone());
            let page = self
                .registry
                .scan(move |reader| reader.damaged_blobs(&from, &scope, PAGE))
                .await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.digest.to_string();
            for Damaged { digest, damage } in page {
                let problem = format!("{damage}; found before, and not pushed again since");
                self.report_blob(digest, problem, Outcome::Withdrawn)
                    .await?;
            }
        }
    }

    pub(super) async fn blobs(&mut self) -> Result<(), Error> {
        self.expect().await?;
        loop {
            let (after, scope) = (self.state.after, self.scope.clone());
            let page = self
                .registry
                .scan(move |reader| reader.blobs_after(after, &scope, PAGE))
                .await?;
            if page.is_empty() {
                return Ok(());
            }
            for blob in page {
                let (number, size) = (blob.id.number(), blob.size);
                self.blob(blob).await?;
                self.state.after = number;
                self.progress.blobs += 1;
                self.progress.size += size;
                self.advance().await?;
            }
        }
    }

    /// Finds out how much there is to read.
    async fn expect(&mut self) -> Result<(), Error> {
        let (after, scope) = (self.state.after, self.scope.clone());
        let (blobs, size) = self
            .registry
            .scan(move |reader| reader.blobs_left(after, &scope))
            .await?;
        self.progress.blobs = self.state.blobs;
        self.progress.size = self.state.size;
        self.progress.all_blobs = self.state.blobs + blobs;
        self.progress.all_size = self.state.size + size;
        Ok(())
    }

    async fn blob(&mut self, blob: RecordedBlob) -> Result<(), Error> {
        let digest = blob.digest;
        match self
            .registry
            .verify()
            .compare(&digest, &mut self.pacer)
            .await?
        {
            Comparison::Sound { size } => {
                self.state.blobs += 1;
                self.state.size += size;
                self.registry.verification.count(size);
                self.sound(digest, blob.size, size).await
            }
            Comparison::Unreadable(error) => {
                let problem = format!("the file cannot be read: {error}");
                self.damaged(digest, problem, Outcome::Reported).await
            }
            Comparison::Damaged(damage) if self.treatment == Treatment::ReportOnly => {
                self.damaged(digest, damage.problem, Outcome::Reported)
                    .await
            }
            Comparison::Damaged(_) => match self.withdraw(&digest).await? {
                Some(damage) => {
                    self.damaged(digest, damage.problem, Outcome::Withdrawn)
                        .await
                }
                // collected meanwhile, or pushed again
                None => Ok(()),
            },
        }
    }

    /// Compares the recorded size of a blob with that of its file, which has the right digest.
    async fn sound(&mut self, digest: Digest, recorded: u64, actual: u64) -> Result<(), Error> {
        if recorded == actual {
            return Ok(());
        }
        let wanted = digest.clone();
        let present = self
            .registry
            .scan(move |reader| Ok(reader.blob(&wanted)?.map(|blob| blob.size)))
            .await?;
        if present != Some(recorded) {
            return Ok(());
        }
        let outcome = if self.treatment == Treatment::ReportOnly {
            Outcome::Reported
        } else {
            self.registry
                .verify()
                .confirm(vec![(digest.clone(), actual)])
                .await?;
            Outcome::Repaired
        };
        let problem = format!("the database records {recorded} bytes, and the file has {actual}");
        self.report_blob(digest, problem, outcome).await
    }

    async fn damaged(
        &mut self,
        digest: Digest,
        problem: String,
        outcome: Outcome,
    ) -> Result<(), Error> {
        let wanted = digest.clone();
        let is_there = self
            .registry
            .scan(move |reader| Ok(reader.blob(&wanted)?.is_some()))
            .await?;
        // collected meanwhile
        if outcome == Outcome::Reported && !is_there {
            return Ok(());
        }
        self.state.blobs += 1;
        self.report_blob(digest, problem, outcome).await
    }

    async fn report_blob(
        &mut self,
        digest: Digest,
        problem: String,
        outcome: Outcome,
    ) -> Result<(), Error> {
        let wanted = digest.clone();
        let (images, image_count): (Vec<AffectedImage>, u64) = self
            .registry
            .scan(move |reader| reader.images_needing(&wanted, MAX_IMAGES))
            .await?;
        self.report(Finding {
            kind: FindingKind::Blob,
            digest: Some(digest),
            problem,
            outcome,
            images,
            image_count,
        });
        Ok(())
    }

    /// Takes a damaged blob out of all repositories; `None` if it is gone, or sound at a second look.
    ///
    /// It is unverified in between, so that whoever pushes it replaces it.
    async fn withdraw(&mut self, digest: &Digest) -> Result<Option<Damage>, Error> {
        let registry = self.registry;
        let suspect = digest.clone();
        registry
            .meta
            .write(move |tx| Ok::<_, Error>(tx.suspect_blob(&suspect)?))
            .await?;
        let damage = match registry.verify().compare(digest, &mut self.pacer).await? {
            Comparison::Damaged(damage) => damage,
            Comparison::Sound { size } => {
                registry
                    .verify()
                    .confirm(vec![(digest.clone(), size)])
                    .await?;
                return Ok(None);
            }
            Comparison::Unreadable(_) => return Ok(None),
        };
        let (wanted, found) = (digest.clone(), damage.clone());
        let is_withdrawn = registry
            .meta
            .write(move |tx| withdraw(tx, &wanted, &found))
            .await?;
        Ok(is_withdrawn.then_some(damage))
    }
}
