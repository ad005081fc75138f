//! Races that chance alone seldom hits: content is needed again at the moment of its collection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::hand::{Gone, Hand};
use super::repository::Repository;
use super::world::World;
use crate::crash::random::Random;
use crate::support::sha256;

/// Longest time before an expiry at which a client begins to wait for it.
const AHEAD: Duration = Duration::from_millis(40);

/// Something that may go any moment.
enum Doomed {
    Blob(String),
    Manifest(String),
    Trashed(String),
}

/// In a repository of its own, does nothing else until it is enough.
pub fn hunt(world: &World, random: Random, number: usize, hunter: usize) {
    let mut hand = Hand::new(world, random);
    while !world.is_stopped() {
        let Ok(mut repository) = world.repositories[number].try_lock() else {
            continue;
        };
        let _ = if hand.random.one_in(6) {
            hand.strike(&mut repository, number)
        } else {
            hand.chase(&mut repository, hunter)
        };
    }
}

impl Hand<'_> {
    pub fn strike(&mut self, repository: &mut Repository, number: usize) -> Result<(), Gone> {
        let now = Instant::now();
        let is_near = |until: &Instant| *until > now && *until < now + AHEAD;
        let blobs = repository
            .blobs
            .keys()
            .filter_map(|blob| Some((repository.blob_until(blob)?, Doomed::Blob(blob.clone()))));
        let manifests = repository.manifests.keys().filter_map(|digest| {
            Some((
                repository.manifest_until(digest)?,
                Doomed::Manifest(digest.clone()),
            ))
        });
        let trashed = repository
            .trash
            .iter()
            .map(|(digest, trashed)| (trashed.until, Doomed::Trashed(digest.clone())));
        let mut near: Vec<_> = blobs
            .chain(manifests)
            .chain(trashed)
            .filter(|(until, _)| is_near(until))
            .collect();
        if near.is_empty() {
            return self.prepare(repository);
        }
        let (until, doomed) = near.swap_remove(self.random.below(near.len() as u64) as usize);
        // the experiment: just before its end, or while a sweep is at it
        let early = self.random.below(8_000);
        let moment =
            until + Duration::from_micros(self.random.below(24_000)) - Duration::from_micros(early);
        std::thread::sleep(moment.saturating_duration_since(Instant::now()));
        self.world.counts.strikes.add(1);
        match doomed {
            Doomed::Blob(blob) => self.strike_blob(repository, number, &blob),
            Doomed::Manifest(digest) => self.strike_manifest(repository, &digest),
            Doomed::Trashed(digest) => {
                self.restore(repository, &digest);
                self.pull(repository, &digest)
            }
        }
    }

    /// Pushes blobs that no manifest needs, again and again, each in the moment in which it is collected: its row, its file
    /// and the note of its removal come and go all the time.
    fn chase(&mut self, repository: &mut Repository, hunter: usize) -> Result<(), Gone> {
        let world = self.world;
        let prey = &world.stock.prey[hunter];
        if let Some(new) = prey
            .iter()
            .find(|blob| !repository.blobs.contains_key(*blob))
        {
            return self.upload(repository, new);
        }
        let Some((until, blob)) = prey.iter().map(|blob| (repository.blobs[blob], blob)).min()
        else {
            return Ok(());
        };
        let moment = until + Duration::from_micros(self.random.below(20_000));
        std::thread::sleep(moment.saturating_duration_since(Instant::now()));
        world.counts.strikes.add(1);
        self.upload(repository, blob)?;
        self.litter(repository)?;
        // of this one and of another that was pushed a while ago: the sweep that had judged them may only now be done
        let other = &prey[self.random.below(prey.len() as u64) as usize];
        for blob in [blob, other] {
            if repository.is_blob_sure(blob, Instant::now()) {
                self.look_blob(repository, "GET", blob)?;
            }
        }
        Ok(())
    }

    /// Pushes a blob that nobody pushes a second time: should its file be forgotten, nothing ever mends that.
    fn litter(&mut self, repository: &Repository) -> Result<(), Gone> {
        let content = format!("nobody's {:x}", self.random.next()).into_bytes();
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

    /// Leaves something that will be due soon.
    fn prepare(&mut self, repository: &mut Repository) -> Result<(), Gone> {
        for _ in 0..3 {
            if let Some(blob) = self.any_of(self.world.stock.shared.iter()) {
                self.upload(repository, &blob)?;
            }
        }
        Ok(())
    }

    fn strike_blob(
        &mut self,
        repository: &mut Repository,
        number: usize,
        blob: &str,
    ) -> Result<(), Gone> {
        let world = self.world;
        match self.random.below(6) {
            0..3 => {
                self.upload(repository, blob)?;
                self.look_blob(repository, "GET", blob)?;
                // the sweep that had already judged it may still be at work
                std::thread::sleep(Duration::from_millis(self.random.below(12)));
                self.look_blob(repository, "GET", blob)?;
                Ok(())
            }
            3 => {
                let mut other =
                    world.repositories[(number + 1) % world.repositories.len()].try_lock();
                match &mut other {
                    // this one is about to lose it, and the other wants it from here
                    Ok(other) => {
                        let until = repository.blob_until(blob);
                        self.mount(other, blob, Some(&repository.name), until)?;
                        self.look_blob(other, "GET", blob).map(|_| ())
                    }
                    Err(_) => Ok(()),
                }
            }
            _ => {
                // docker: it is there, so it is not sent
                if !self.look_blob(repository, "HEAD", blob)? {
                    return self.upload(repository, blob);
                }
                let needing: Vec<_> = world
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
                    if !self.look_blob(repository, "HEAD", other)? {
                        self.upload(repository, other)?;
                    }
                }
                // as late as the promise allows, and sometimes later
                if self.random.one_in(3) {
                    std::thread::sleep(world.terms.promise() * self.random.below(9) as u32 / 10);
                }
                if self.random.one_in(30) {
                    std::thread::sleep(world.terms.promise());
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

    fn strike_manifest(&mut self, repository: &mut Repository, digest: &str) -> Result<(), Gone> {
        let world = self.world;
        let item = Arc::clone(&world.stock.items[digest]);
        match self.random.below(5) {
            0 => drop(self.put(repository, &item, None)?),
            1 if item.signs.is_none() => {
                let tag = self.new_tag();
                self.put(repository, &item, Some(&tag))?;
            }
            2 => {
                let about: Vec<_> = world
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
                let above: Vec<_> = world
                    .stock
                    .indexes
                    .iter()
                    .filter(|index| index.children.iter().any(|child| child == digest))
                    .collect();
                let Some(index) = above.get(self.random.below(above.len().max(1) as u64) as usize)
                else {
                    return self.look(repository, "HEAD", digest).map(|_| ());
                };
                let tag = self.new_tag();
                self.push_image(repository, index, Some(&tag))?;
            }
        }
        self.pull(repository, digest)
    }
}
