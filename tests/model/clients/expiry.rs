//! Races that random timing seldom hits: content is used again at the moment of its collection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checked::{CheckedClient, ServerDied};
use crate::crash::random::Random;
use crate::model::campaign::Campaign;
use crate::model::repository::Repository;
use crate::support::sha256;

/// Longest time before an expiry at which a client begins to wait for it.
const AHEAD: Duration = Duration::from_millis(40);

/// Content about to expire.
enum Expiring {
    Blob(String),
    Manifest(String),
    Trashed(String),
}

/// Uses expiring content of its own repository until the campaign stops.
pub fn run(campaign: &Campaign, random: Random, number: usize, racer: usize) {
    let mut client = CheckedClient::new(campaign, random);
    while !campaign.is_stopped() {
        let Ok(mut repository) = campaign.repositories[number].try_lock() else {
            continue;
        };
        let _ = if client.random.one_in(6) {
            client.use_at_expiry(&mut repository, number)
        } else {
            client.push_at_expiry(&mut repository, racer)
        };
    }
}

impl CheckedClient<'_> {
    pub fn use_at_expiry(
        &mut self,
        repository: &mut Repository,
        number: usize,
    ) -> Result<(), ServerDied> {
        let now = Instant::now();
        let is_near = |until: &Instant| *until > now && *until < now + AHEAD;
        let blobs = repository
            .blobs
            .keys()
            .filter_map(|blob| Some((repository.blob_until(blob)?, Expiring::Blob(blob.clone()))));
        let manifests = repository.manifests.keys().filter_map(|digest| {
            Some((
                repository.manifest_until(digest)?,
                Expiring::Manifest(digest.clone()),
            ))
        });
        let trashed = repository
            .trash
            .iter()
            .map(|(digest, trashed)| (trashed.until, Expiring::Trashed(digest.clone())));
        let mut near: Vec<_> = blobs
            .chain(manifests)
            .chain(trashed)
            .filter(|(until, _)| is_near(until))
            .collect();
        if near.is_empty() {
            return self.push_expiring_blobs(repository);
        }
        let (until, expiring) = near.swap_remove(self.random.below(near.len() as u64) as usize);
        // part of the experiment: just before the expiry, or during a sweep
        let early = self.random.below(8_000);
        let moment =
            until + Duration::from_micros(self.random.below(24_000)) - Duration::from_micros(early);
        std::thread::sleep(moment.saturating_duration_since(Instant::now()));
        self.campaign.counts.expiry_races.add(1);
        match expiring {
            Expiring::Blob(blob) => self.use_blob_at_expiry(repository, number, &blob),
            Expiring::Manifest(digest) => self.use_manifest_at_expiry(repository, &digest),
            Expiring::Trashed(digest) => {
                self.restore(repository, &digest);
                self.pull(repository, &digest)
            }
        }
    }

    /// Keeps pushing unneeded blobs at the moment of their collection, so that their rows, files
    /// and pending removals come and go all the time.
    fn push_at_expiry(
        &mut self,
        repository: &mut Repository,
        racer: usize,
    ) -> Result<(), ServerDied> {
        let campaign = self.campaign;
        let unneeded = &campaign.stock.unneeded[racer];
        if let Some(new) = unneeded
            .iter()
            .find(|blob| !repository.blobs.contains_key(*blob))
        {
            return self.upload(repository, new);
        }
        let Some((until, blob)) = unneeded
            .iter()
            .map(|blob| (repository.blobs[blob], blob))
            .min()
        else {
            return Ok(());
        };
        let moment = until + Duration::from_micros(self.random.below(20_000));
        std::thread::sleep(moment.saturating_duration_since(Instant::now()));
        campaign.counts.expiry_races.add(1);
        self.upload(repository, blob)?;
        self.push_unique_blob(repository)?;
        // this blob and one pushed a while ago: the sweep that selected them may finish only now
        let other = &unneeded[self.random.below(unneeded.len() as u64) as usize];
        for blob in [blob, other] {
            if repository.is_blob_sure(blob, Instant::now()) {
                self.read_blob(repository, "GET", blob)?;
            }
        }
        Ok(())
    }

    /// Pushes a blob once only: if its file were leaked, no later push would mend it.
    fn push_unique_blob(&mut self, repository: &Repository) -> Result<(), ServerDied> {
        let content = format!("unique {:x}", self.random.next()).into_bytes();
        let path = format!(
            "/v2/{}/blobs/uploads/?digest={}",
            repository.name,
            sha256(&content)
        );
        self.send_content(
            "POST",
            &path,
            Some(("application/octet-stream", &content)),
            "",
        )
        .map(|_| ())
    }

    /// Pushes blobs that will expire soon.
    fn push_expiring_blobs(&mut self, repository: &mut Repository) -> Result<(), ServerDied> {
        for _ in 0..3 {
            if let Some(blob) = self.any_of(self.campaign.stock.shared.iter()) {
                self.upload(repository, &blob)?;
            }
        }
        Ok(())
    }

    fn use_blob_at_expiry(
        &mut self,
        repository: &mut Repository,
        number: usize,
        blob: &str,
    ) -> Result<(), ServerDied> {
        let campaign = self.campaign;
        match self.random.below(6) {
            0..3 => {
                self.upload(repository, blob)?;
                self.read_blob(repository, "GET", blob)?;
                // the sweep that selected it may still be running
                std::thread::sleep(Duration::from_millis(self.random.below(12)));
                self.read_blob(repository, "GET", blob)?;
                Ok(())
            }
            3 => {
                let mut other =
                    campaign.repositories[(number + 1) % campaign.repositories.len()].try_lock();
                match &mut other {
                    // this repository is about to lose the blob while the other mounts it
                    Ok(other) => {
                        let until = repository.blob_until(blob);
                        self.mount(other, blob, Some(&repository.name), until)?;
                        self.read_blob(other, "GET", blob).map(|_| ())
                    }
                    Err(_) => Ok(()),
                }
            }
            _ => {
                // as docker does: an existing blob is not sent
                if !self.read_blob(repository, "HEAD", blob)? {
                    return self.upload(repository, blob);
                }
                let needing: Vec<_> = campaign
                    .stock
                    .images
                    .iter()
                    .filter(|image| image.blobs.iter().any(|needed| needed == blob))
                    .collect();
                let Some(image) =
                    needing.get(self.random.below(needing.len().max(1) as u64) as usize)
                else {
                    return Ok(());
                };
                for other in image.blobs.iter().filter(|other| *other != blob) {
                    if !self.read_blob(repository, "HEAD", other)? {
                        self.upload(repository, other)?;
                    }
                }
                // as late as the promise allows, sometimes later
                if self.random.one_in(3) {
                    std::thread::sleep(
                        campaign.retention.promise() * self.random.below(9) as u32 / 10,
                    );
                }
                if self.random.one_in(30) {
                    std::thread::sleep(campaign.retention.promise());
                }
                let tag = self.new_tag();
                if self.put(repository, image, Some(&tag))? {
                    self.pull(repository, &image.digest)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn use_manifest_at_expiry(
        &mut self,
        repository: &mut Repository,
        digest: &str,
    ) -> Result<(), ServerDied> {
        let campaign = self.campaign;
        let item = Arc::clone(&campaign.stock.items[digest]);
        match self.random.below(5) {
            0 => drop(self.put(repository, &item, None)?),
            1 if item.signs.is_none() => {
                let tag = self.new_tag();
                self.put(repository, &item, Some(&tag))?;
            }
            2 => {
                let about: Vec<_> = campaign
                    .stock
                    .referrers
                    .iter()
                    .filter(|referrer| referrer.subject.as_deref() == Some(digest))
                    .collect();
                if let Some(referrer) =
                    about.get(self.random.below(about.len().max(1) as u64) as usize)
                {
                    self.push_image(repository, referrer, None)?;
                    self.referrers(repository, digest)?;
                }
            }
            _ => {
                let above: Vec<_> = campaign
                    .stock
                    .indexes
                    .iter()
                    .filter(|index| index.children.iter().any(|child| child == digest))
                    .collect();
                let Some(index) = above.get(self.random.below(above.len().max(1) as u64) as usize)
                else {
                    return self.read_manifest(repository, "HEAD", digest).map(|_| ());
                };
                let tag = self.new_tag();
                self.push_image(repository, index, Some(&tag))?;
            }
        }
        self.pull(repository, digest)
    }
}
