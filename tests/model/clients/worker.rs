//! Random operations of clients: everything that users and tools do with a registry.

use std::sync::Arc;

use super::checked::{CheckedClient, ServerDied};
use crate::crash::random::Random;
use crate::model::campaign::Campaign;
use crate::model::content::Item;
use crate::model::kills;
use crate::model::repository::Repository;

pub const TAGS: u64 = 5;

/// Performs operations until the campaign stops.
pub fn work(campaign: &Campaign, random: Random) {
    let mut client = CheckedClient::new(campaign, random);
    while !campaign.is_stopped() {
        let number = client.random.below(campaign.repositories.len() as u64) as usize;
        let Ok(mut repository) = campaign.repositories[number].try_lock() else {
            // another client changes it at the moment: read from it all the same
            client.read_unlocked(number);
            continue;
        };
        for _ in 0..4 {
            // operations interrupted by a kill are not repeated
            let _ = client.step(&mut repository, number);
        }
    }
}

impl CheckedClient<'_> {
    fn step(&mut self, repository: &mut Repository, number: usize) -> Result<(), ServerDied> {
        match self.random.below(100) {
            0..24 => self.use_at_expiry(repository, number),
            24..42 => self.push(repository),
            42..47 => self.push_index(repository),
            47..52 => self.push_referrer(repository),
            52..55 => self.push_signature(repository),
            55..60 => self.mount_blob(repository, number),
            60..64 => self.retag(repository),
            64..68 => match self.any_tag(repository) {
                Some(tag) => self.untag(repository, &tag),
                None => Ok(()),
            },
            68..72 => match self.any_manifest(repository) {
                Some(digest) => self.delete(repository, &digest),
                None => Ok(()),
            },
            72 => self.delete_repository(repository),
            73..76 => match self.any_of(repository.trash.keys()) {
                Some(digest) => {
                    self.restore(repository, &digest);
                    self.pull(repository, &digest)
                }
                None => Ok(()),
            },
            76..78 => {
                if let Some(tag) = self.any_of(repository.restorable_tags().iter()) {
                    self.restore_tag(repository, &tag);
                }
                Ok(())
            }
            78..80 => self.push_during_change(repository),
            80..83 => self.delete_and_restore(repository),
            83 => {
                self.collect_now(repository);
                self.read_something(repository)
            }
            84..86 => match self.any_of(repository.blobs.keys()) {
                Some(blob) => self.delete_blob(repository, &blob),
                None => Ok(()),
            },
            _ => self.read_something(repository),
        }
    }

    pub fn any_of<'k>(
        &mut self,
        mut keys: impl ExactSizeIterator<Item = &'k String>,
    ) -> Option<String> {
        let count = keys.len() as u64;
        if count == 0 {
            None
        } else {
            keys.nth(self.random.below(count) as usize).cloned()
        }
    }

    fn any_tag(&mut self, repository: &Repository) -> Option<String> {
        self.any_of(repository.tags.keys())
    }

    pub fn any_manifest(&mut self, repository: &Repository) -> Option<String> {
        self.any_of(repository.manifests.keys())
    }

    pub fn new_tag(&mut self) -> String {
        format!("t{}", self.random.below(TAGS))
    }

    /// Pushes an image as docker does: existing blobs are not sent.
    fn push(&mut self, repository: &mut Repository) -> Result<(), ServerDied> {
        let image = Arc::clone(
            &self.campaign.stock.images
                [self.random.below(self.campaign.stock.images.len() as u64) as usize],
        );
        let tag = if self.random.one_in(3) {
            None
        } else {
            Some(self.new_tag())
        };
        self.push_image(repository, &image, tag.as_deref())
    }

    /// Pushes a manifest and everything it needs. It must succeed, unless it took so long that a
    /// promise ended: then it is repeated.
    pub fn push_image(
        &mut self,
        repository: &mut Repository,
        item: &Arc<Item>,
        tag: Option<&str>,
    ) -> Result<(), ServerDied> {
        let campaign = self.campaign;
        for _ in 0..20 {
            for blob in &item.blobs {
                if !self.read_blob(repository, "HEAD", blob)? {
                    self.upload(repository, blob)?;
                }
            }
            for child in &item.children {
                if !self.read_manifest(repository, "HEAD", child)? {
                    self.push_image(repository, &campaign.stock.items[child], None)?;
                }
            }
            if self.put(repository, item, tag)? {
                break;
            }
        }
        Ok(())
    }

    fn push_index(&mut self, repository: &mut Repository) -> Result<(), ServerDied> {
        let index = Arc::clone(
            &self.campaign.stock.indexes
                [self.random.below(self.campaign.stock.indexes.len() as u64) as usize],
        );
        let tag = if self.random.one_in(3) {
            None
        } else {
            Some(self.new_tag())
        };
        self.push_image(repository, &index, tag.as_deref())
    }

    /// Pushes a referrer of a present or future subject.
    fn push_referrer(&mut self, repository: &mut Repository) -> Result<(), ServerDied> {
        let stock = &self.campaign.stock.referrers;
        let fits = |item: &&Arc<Item>| {
            item.subject
                .as_ref()
                .is_some_and(|subject| repository.manifests.contains_key(subject))
        };
        let fitting: Vec<_> = stock.iter().filter(fits).collect();
        let of = if fitting.is_empty() || self.random.one_in(8) {
            stock.iter().collect()
        } else {
            fitting
        };
        let referrer = Arc::clone(of[self.random.below(of.len() as u64) as usize]);
        self.push_image(repository, &referrer, None)?;
        match &referrer.subject {
            Some(subject) => self.referrers(repository, subject),
            None => Ok(()),
        }
    }

    /// Signs an image by tag, as cosign does.
    fn push_signature(&mut self, repository: &mut Repository) -> Result<(), ServerDied> {
        let now = std::time::Instant::now();
        let soon = now + self.campaign.retention.promise();
        let there = |item: &&Arc<Item>| {
            item.signs
                .as_ref()
                .is_some_and(|(image, _)| repository.is_sure(image, soon))
        };
        let there: Vec<_> = self
            .campaign
            .stock
            .signatures
            .iter()
            .filter(there)
            .cloned()
            .collect();
        let Some(signature) = there.get(self.random.below(there.len().max(1) as u64) as usize)
        else {
            return Ok(());
        };
        let Some((image, tag)) = &signature.signs else {
            return Ok(());
        };
        self.push_image(repository, signature, Some(tag))?;
        if !repository.is_sure(image, std::time::Instant::now()) {
            // too late: its image may be removed for good, and nothing would remove the tag
            return self.untag(repository, tag);
        }
        Ok(())
    }

    fn mount_blob(&mut self, repository: &mut Repository, number: usize) -> Result<(), ServerDied> {
        let other = self.random.below(self.campaign.repositories.len() as u64) as usize;
        if other == number {
            return Ok(());
        }
        // while the other repository is locked, its content is known
        let from = self.campaign.repositories[other].try_lock().ok();
        let name = format!("model/r{other}");
        let known = from
            .as_ref()
            .and_then(|from| self.any_of(from.blobs.keys()));
        let blob = known.or_else(|| self.any_of(self.campaign.stock.shared.iter()));
        let Some(blob) = blob else { return Ok(()) };
        let until = from.as_ref().and_then(|from| from.blob_until(&blob));
        let from_name = if self.random.one_in(3) {
            None
        } else {
            Some(&*name)
        };
        self.mount(repository, &blob, from_name, until)?;
        drop(from);
        self.read_blob(repository, "GET", &blob).map(|_| ())
    }

    /// Frees what was deleted, as an owner does on a full disk.
    fn collect_now(&mut self, repository: &mut Repository) {
        let arguments = ["--now", "--yes", &*repository.name];
        kills::collect_once(self.campaign, &arguments, None);
        self.campaign.counts.undo_ends.add(1);
        repository.undo_ended();
    }

    /// Deletes a manifest, perhaps its blobs too, and restores it.
    fn delete_and_restore(&mut self, repository: &mut Repository) -> Result<(), ServerDied> {
        let Some(digest) = self.any_manifest(repository) else {
            return Ok(());
        };
        self.delete(repository, &digest)?;
        let Some(item) = repository
            .trash
            .get(&digest)
            .map(|trashed| Arc::clone(&trashed.item))
        else {
            return Ok(());
        };
        for blob in item.blobs.iter() {
            if self.random.one_in(3) {
                self.delete_blob(repository, blob)?;
            }
        }
        if self.random.one_in(2) {
            std::thread::sleep(self.campaign.retention.grace * self.random.below(9) as u32 / 10);
        }
        self.restore(repository, &digest);
        self.pull(repository, &digest)
    }

    /// Points a tag at an existing manifest by pushing the same bytes again.
    fn retag(&mut self, repository: &mut Repository) -> Result<(), ServerDied> {
        let Some(digest) = self.any_manifest(repository) else {
            return Ok(());
        };
        let (item, tag) = (
            Arc::clone(&self.campaign.stock.items[&digest]),
            self.new_tag(),
        );
        if item.signs.is_none() && self.read_manifest(repository, "HEAD", &digest)? {
            self.put(repository, &item, Some(&tag))?;
        }
        Ok(())
    }

    fn read_something(&mut self, repository: &mut Repository) -> Result<(), ServerDied> {
        for _ in 0..8 {
            match self.random.below(10) {
                0..4 => match self.any_of(repository.blobs.keys()) {
                    Some(blob) => drop(self.read_blob(repository, "GET", &blob)?),
                    None => return Ok(()),
                },
                4 => match self.any_of(repository.blobs.keys()) {
                    Some(blob) => drop(self.read_blob(repository, "HEAD", &blob)?),
                    None => return Ok(()),
                },
                5 => match self.any_manifest(repository) {
                    Some(digest) => drop(self.read_manifest(repository, "HEAD", &digest)?),
                    None => return Ok(()),
                },
                6 => match self.any_manifest(repository) {
                    Some(digest) => {
                        self.referrers(repository, &digest)?;
                        self.pull(repository, &digest)?;
                    }
                    None => return Ok(()),
                },
                7 => match self.any_tag(repository) {
                    Some(tag) => drop(self.read_tag(repository, "HEAD", &tag)?),
                    None => return Ok(()),
                },
                8 => match self.any_tag(repository) {
                    Some(tag) => {
                        if let Some(digest) = self.read_tag(repository, "GET", &tag)? {
                            self.pull(repository, &digest)?;
                        }
                    }
                    None => return Ok(()),
                },
                _ => self.list_tags(repository)?,
            }
        }
        Ok(())
    }

    /// Reads from a repository that another client is changing: any valid answer will do.
    fn read_unlocked(&mut self, number: usize) {
        let campaign = self.campaign;
        let Some(blob) = self.any_of(campaign.stock.shared.iter()) else {
            return;
        };
        let Ok(answer) = self.send("GET", &format!("/v2/model/r{number}/blobs/{blob}")) else {
            return;
        };
        match answer.status() {
            200 if answer.response.body == campaign.stock.blobs[&blob] => {}
            404 => {}
            status => campaign.violated(
                &[&blob[7..19]],
                &format!("GET of a blob of model/r{number}: {status}, or other bytes"),
            ),
        }
    }
}
