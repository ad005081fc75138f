//! Two clients in one repository at the same time: one pushes what the other deletes or restores.

use std::sync::Arc;
use std::time::Instant;

use super::checked::{CheckedClient, ServerDied};
use crate::crash::random::Random;
use crate::model::repository::Repository;

/// Action of the other client.
#[derive(Clone, Copy)]
enum Other {
    Repository,
    Digest,
    Tag,
    Restore,
}

impl CheckedClient<'_> {
    /// Pushes while another client changes the same content. The push must succeed, since deleting
    /// never removes a blob early; the outcome is read afterwards.
    pub fn push_during_change(&mut self, repository: &mut Repository) -> Result<(), ServerDied> {
        let campaign = self.campaign;
        campaign.counts.concurrent_changes.add(1);
        let mut image = Arc::clone(
            &campaign.stock.images[self.random.below(campaign.stock.images.len() as u64) as usize],
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
        // the other client may remove the tag before the push moves it
        repository.untagged(&tag, sent);
        let pushed = std::thread::scope(|scope| {
            let other = scope.spawn(move || {
                CheckedClient::new(campaign, random)
                    .change_concurrently(other, &name, &digest, &wanted)
            });
            let pushed = self.push_image(repository, &image, Some(&tag));
            if other.join().is_err() {
                campaign.violated(
                    &[&repository.name],
                    "the other client of a concurrent change failed",
                );
            }
            pushed
        });
        if !repository.manifests.contains_key(&image.digest)
            && self.fetch_unchecked(repository, &image.digest).is_some()
        {
            repository.stored(&image, sent, Instant::now());
        }
        self.learn_outcome(repository, sent);
        pushed
    }

    fn change_concurrently(&mut self, what: Other, name: &str, digest: &str, tag: &str) {
        let pause = std::time::Duration::from_micros(self.random.below(20_000));
        std::thread::sleep(pause);
        let path = match what {
            Other::Repository => format!("/v2/{name}/"),
            Other::Digest => format!("/v2/{name}/manifests/{digest}"),
            Other::Tag => format!("/v2/{name}/manifests/{tag}"),
            Other::Restore => {
                self.campaign.counts.restores.add(1);
                drop(self.restore_unchecked(name, digest));
                return;
            }
        };
        if let Ok(answer) = self.send("DELETE", &path)
            && !matches!(answer.status(), 202 | 404 | 405)
        {
            self.campaign
                .violated(&[name], &format!("DELETE {path}: {}", answer.status()));
        }
    }

    /// Reads the outcome of two concurrent clients.
    fn learn_outcome(&mut self, repository: &mut Repository, sent: Instant) {
        // a restore brings referrers along
        for digest in repository.trash.keys().cloned().collect::<Vec<_>>() {
            if self.fetch_unchecked(repository, &digest).is_some() {
                repository.stored(&self.campaign.stock.items[&digest], sent, Instant::now());
            }
        }
        let digests: Vec<_> = repository.manifests.keys().cloned().collect();
        digests
            .iter()
            .for_each(|digest| self.learn_deletion(repository, digest, sent));
        let mut names: Vec<_> = repository.tags.keys().cloned().collect();
        names.extend((0..super::worker::TAGS).map(|number| format!("t{number}")));
        for tag in names {
            let found = self
                .fetch_unchecked(repository, &tag)
                .map(|bytes| crate::support::sha256(&bytes));
            let known = repository.tags.get(&tag).map(|tag| tag.digest.clone());
            match found {
                None => repository.untagged(&tag, sent),
                Some(found) if Some(&found) != known.as_ref() => {
                    let item = Arc::clone(&self.campaign.stock.items[&found]);
                    if !repository.manifests.contains_key(&found) {
                        repository.stored(&item, sent, Instant::now());
                    }
                    repository.tagged(&tag, &item, sent);
                }
                Some(_) => {}
            }
            // the order of the two changes is unknown
            repository.past.remove(&tag);
        }
    }
}
