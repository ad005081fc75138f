//! Two clients at one repository at the same time: one pushes what the other deletes, or brings back.

use std::sync::Arc;
use std::time::Instant;

use super::hand::{Gone, Hand};
use super::repository::Repository;
use crate::crash::random::Random;

/// Action of the other client.
#[derive(Clone, Copy)]
enum Other {
    Repository,
    Digest,
    Tag,
    Restore,
}

impl Hand<'_> {
    /// The push must succeed whatever the other does: deleting takes no blob away before its time. What is left of it is
    /// then asked.
    pub fn duel(&mut self, repository: &mut Repository) -> Result<(), Gone> {
        let world = self.world;
        world.counts.duels.add(1);
        let mut image = Arc::clone(
            &world.stock.images[self.random.below(world.stock.images.len() as u64) as usize],
        );
        let mut other =
            [Other::Repository, Other::Digest, Other::Tag][self.random.below(3) as usize];
        if let Some(trashed) = self
            .any_of(repository.trash.keys())
            .filter(|_| self.random.one_in(2))
        {
            let item = &repository.trash[&trashed].item;
            if item.children.is_empty() && item.signs.is_none() {
                (image, other) = (Arc::clone(item), Other::Restore);
            }
        }
        let tag = self.new_tag();
        let (name, digest, wanted) = (repository.name.clone(), image.digest.clone(), tag.clone());
        let random = Random::new(self.random.next());
        let sent = Instant::now();
        let pushed = std::thread::scope(|scope| {
            let other = scope
                .spawn(move || Hand::new(world, random).interfere(other, &name, &digest, &wanted));
            let pushed = self.push_image(repository, &image, Some(&tag));
            if other.join().is_err() {
                world.violated(&[&repository.name], "the other client in a duel failed");
            }
            pushed
        });
        if !repository.manifests.contains_key(&image.digest)
            && self.peek(repository, &image.digest).is_some()
        {
            repository.stored(&image, sent, Instant::now());
        }
        self.sort_out(repository, sent);
        pushed
    }

    fn interfere(&mut self, what: Other, name: &str, digest: &str, tag: &str) {
        let pause = std::time::Duration::from_micros(self.random.below(20_000));
        std::thread::sleep(pause);
        let path = match what {
            Other::Repository => format!("/v2/{name}/"),
            Other::Digest => format!("/v2/{name}/manifests/{digest}"),
            Other::Tag => format!("/v2/{name}/manifests/{tag}"),
            Other::Restore => {
                self.world.counts.restores.add(1);
                drop(self.restore_blindly(name, digest));
                return;
            }
        };
        if let Ok(answer) = self.send("DELETE", &path)
            && !matches!(answer.status(), 202 | 404 | 405)
        {
            self.world
                .violated(&[name], &format!("DELETE {path}: {}", answer.status()));
        }
    }

    /// Learns what two clients together came to.
    fn sort_out(&mut self, repository: &mut Repository, sent: Instant) {
        // what was restored brings its referrers along
        for digest in repository.trash.keys().cloned().collect::<Vec<_>>() {
            if self.peek(repository, &digest).is_some() {
                repository.stored(&self.world.stock.items[&digest], sent, Instant::now());
            }
        }
        let digests: Vec<_> = repository.manifests.keys().cloned().collect();
        digests
            .iter()
            .for_each(|digest| self.learn(repository, digest, sent));
        let mut names: Vec<_> = repository.tags.keys().cloned().collect();
        names.extend((0..super::worker::TAGS).map(|number| format!("t{number}")));
        for tag in names {
            let found = self
                .peek(repository, &tag)
                .map(|bytes| crate::support::sha256(&bytes));
            let known = repository.tags.get(&tag).map(|tag| tag.digest.clone());
            match found {
                None => repository.untagged(&tag, sent),
                Some(found) if Some(&found) != known.as_ref() => {
                    let item = Arc::clone(&self.world.stock.items[&found]);
                    if !repository.manifests.contains_key(&found) {
                        repository.stored(&item, sent, Instant::now());
                    }
                    repository.tagged(&tag, &item, sent);
                }
                Some(_) => {}
            }
            // which of the two was last is not known
            repository.past.remove(&tag);
        }
    }
}
