//! Changes made by clients. If the server dies during a request, its next life is asked for the
//! outcome.

use std::sync::Arc;
use std::time::Instant;

use tarkeep::oci::{Digest, RepositoryName, TagName};
use tarkeep::registry::{Actor, Error, RestoreTarget, Restored};

use super::content::Item;
use super::hand::{Gone, Hand};
use super::journal::short;
use super::repository::Repository;

impl Hand<'_> {
    /// Pushes a blob, in one request or two.
    pub fn upload(&mut self, repository: &mut Repository, digest: &str) -> Result<(), Gone> {
        let world = self.world;
        let content = Some(("application/octet-stream", &*world.stock.blobs[digest]));
        let uploads = format!("/v2/{}/blobs/uploads/", repository.name);
        // even where no answer comes it may be there from now on
        let answer = if self.random.one_in(2) {
            repository.blob_promised(digest, Instant::now());
            self.send_content("POST", &format!("{uploads}?digest={digest}"), content, "")?
        } else {
            let session = self.send_content("POST", &uploads, None, "")?;
            let location = session
                .response
                .header("location")
                .expect("a location")
                .to_owned();
            repository.blob_promised(digest, Instant::now());
            self.send_content("PUT", &format!("{location}?digest={digest}"), content, "")?
        };
        if answer.status() != 201 {
            self.wrong(repository, &[digest], &answer, "a blob was not taken");
        }
        repository.blob_promised(digest, answer.sent + world.terms.lease);
        Ok(())
    }

    /// Mounts a blob from a repository, or from wherever it is; uploads it where that is nowhere. Until
    /// `until` it is sure to be somewhere that it can be mounted from.
    pub fn mount(
        &mut self,
        repository: &mut Repository,
        digest: &str,
        from: Option<&str>,
        until: Option<Instant>,
    ) -> Result<(), Gone> {
        let from = from.map(|from| format!("&from={from}")).unwrap_or_default();
        repository.blob_promised(digest, Instant::now());
        let answer = self.send(
            "POST",
            &format!(
                "/v2/{}/blobs/uploads/?mount={digest}{from}",
                repository.name
            ),
        )?;
        match answer.status() {
            201 => repository.blob_promised(digest, answer.sent + self.world.terms.promise()),
            202 if until.is_some_and(|until| self.world.slack.is_sure(until, answer.now)) => self
                .wrong(
                    repository,
                    &[digest],
                    &answer,
                    "a blob cannot be mounted that another repository was sure to show",
                ),
            202 => {
                let location = answer
                    .response
                    .header("location")
                    .expect("a location")
                    .to_owned();
                let world = self.world;
                let content = Some(("application/octet-stream", &*world.stock.blobs[digest]));
                let answer =
                    self.send_content("PUT", &format!("{location}?digest={digest}"), content, "")?;
                if answer.status() != 201 {
                    self.wrong(repository, &[digest], &answer, "a blob was not taken");
                }
                repository.blob_promised(digest, answer.sent + self.world.terms.lease);
            }
            _ => self.wrong(repository, &[digest], &answer, "no answer to expect"),
        }
        Ok(())
    }

    /// Takes a blob out of the repository: nobody is promised it any more, but what was deleted and needs it can come back.
    pub fn delete_blob(&mut self, repository: &mut Repository, digest: &str) -> Result<(), Gone> {
        let Ok(answer) = self.send("DELETE", &format!("/v2/{}/blobs/{digest}", repository.name))
        else {
            repository.blob_doubtful(digest);
            return Err(Gone);
        };
        let needing: Vec<_> = repository
            .needing(digest)
            .map(|manifest| manifest.item.digest.clone())
            .collect();
        match answer.status() {
            202 if !repository.blobs.contains_key(digest) => self.wrong(
                repository,
                &[digest],
                &answer,
                "deleted what cannot be there",
            ),
            202 => match needing
                .iter()
                .find(|manifest| repository.is_sure(manifest, answer.now))
            {
                Some(manifest) => self.wrong(
                    repository,
                    &[digest, manifest],
                    &answer,
                    "deleted what a manifest needs",
                ),
                None => repository.blob_gone(digest),
            },
            405 if needing.is_empty() => self.wrong(
                repository,
                &[digest],
                &answer,
                "not deleted, though nothing can need it",
            ),
            405 => {}
            404 if repository.is_blob_sure(digest, answer.now) => {
                self.wrong(repository, &[digest], &answer, "a blob is missing")
            }
            404 => repository.blob_gone(digest),
            _ => self.wrong(repository, &[digest], &answer, "no answer to expect"),
        }
        Ok(())
    }

    /// Pushes a manifest, by tag or by digest; says whether it was taken: it must be, where all it needs is promised.
    pub fn put(
        &mut self,
        repository: &mut Repository,
        item: &Arc<Item>,
        tag: Option<&str>,
    ) -> Result<bool, Gone> {
        let reference = tag.unwrap_or(&item.digest).to_owned();
        let needs: Vec<_> = item
            .blobs
            .iter()
            .chain(&item.children)
            .chain(&item.subject)
            .map(|digest| short(digest))
            .collect();
        let what = format!("= {} of {}", short(&item.digest), needs.join(" "));
        let path = format!("/v2/{}/manifests/{reference}", repository.name);
        let sent = Instant::now();
        let Ok(answer) =
            self.send_content("PUT", &path, Some((item.media_type, &item.bytes)), &what)
        else {
            let is_new = match tag {
                Some(tag) => repository
                    .tags
                    .get(tag)
                    .is_none_or(|old| old.digest != item.digest),
                None => !repository.manifests.contains_key(&item.digest),
            };
            match self.peek(repository, &reference) {
                Some(bytes) if bytes == item.bytes && is_new => {
                    self.came(repository, item, tag, sent, Instant::now())
                }
                Some(_) if !is_new => tag
                    .into_iter()
                    .for_each(|tag| repository.perhaps_tagged(tag)),
                _ => {}
            }
            return Err(Gone);
        };
        self.world.counts.pushes.add(1);
        // such a push may be refused, and so proves nothing
        self.world
            .counts
            .late
            .add(u64::from(!repository.is_complete(item, answer.now)));
        let objects: Vec<_> = item
            .blobs
            .iter()
            .chain(&item.children)
            .chain([&item.digest])
            .map(|digest| &**digest)
            .collect();
        match answer.status() {
            201 if repository.is_lacking(item)
                && !repository.manifests.contains_key(&item.digest) =>
            {
                self.wrong(
                    repository,
                    &objects,
                    &answer,
                    "a manifest was taken though something it needs cannot be there",
                )
            }
            201 => self.came(repository, item, tag, sent, answer.now),
            400 | 404
                if repository.is_complete(item, answer.now)
                    || repository.is_sure(&item.digest, answer.now) =>
            {
                self.wrong(
                    repository,
                    &objects,
                    &answer,
                    "a manifest was refused though all it needs was promised",
                )
            }
            400 | 404 => {}
            _ => self.wrong(repository, &objects, &answer, "no answer to expect"),
        }
        Ok(answer.status() == 201)
    }

    /// A manifest is there, and perhaps a tag points at it.
    fn came(
        &mut self,
        repository: &mut Repository,
        item: &Arc<Item>,
        tag: Option<&str>,
        sent: Instant,
        now: Instant,
    ) {
        self.back(repository, item, now, |repository| {
            repository.stored(item, sent, now);
            if let Some(tag) = tag {
                repository.tagged(tag, item, sent);
            }
        });
    }

    /// Notes that a manifest is there, and looks which of the tags that go with it had gone before.
    fn back(
        &mut self,
        repository: &mut Repository,
        item: &Item,
        now: Instant,
        note: impl FnOnce(&mut Repository),
    ) {
        let doubtful: Vec<_> = repository
            .tags_with(&item.digest)
            .filter(|tag| !repository.is_tag_sure(tag, now))
            .cloned()
            .collect();
        note(repository);
        for tag in doubtful {
            if self.peek(repository, &tag).is_none() {
                repository.tag_lost(&tag);
            }
        }
    }

    pub fn delete(&mut self, repository: &mut Repository, digest: &str) -> Result<(), Gone> {
        let sent = Instant::now();
        let Ok(answer) = self.send(
            "DELETE",
            &format!("/v2/{}/manifests/{digest}", repository.name),
        ) else {
            self.learn(repository, digest, sent);
            return Err(Gone);
        };
        let parents: Vec<_> = repository
            .parents(digest)
            .map(|parent| parent.item.digest.clone())
            .collect();
        match answer.status() {
            202 if !repository.manifests.contains_key(digest) => self.wrong(
                repository,
                &[digest],
                &answer,
                "deleted what cannot be there",
            ),
            202 => match parents
                .iter()
                .find(|parent| repository.is_sure(parent, answer.now))
            {
                Some(parent) => self.wrong(
                    repository,
                    &[digest, parent],
                    &answer,
                    "deleted what an index needs",
                ),
                None => repository.deleted(digest, sent),
            },
            405 if parents.is_empty() => self.wrong(
                repository,
                &[digest],
                &answer,
                "not deleted, though nothing can need it",
            ),
            405 => {}
            404 if repository.is_sure(digest, answer.now) => {
                self.wrong(repository, &[digest], &answer, "a manifest is missing")
            }
            404 => repository.found_gone(digest, answer.now),
            _ => self.wrong(repository, &[digest], &answer, "no answer to expect"),
        }
        Ok(())
    }

    /// Finds out whether a manifest is still there after something that may have deleted it.
    pub fn learn(&mut self, repository: &mut Repository, digest: &str, sent: Instant) {
        if self.peek(repository, digest).is_none() {
            if repository.is_sure(digest, Instant::now()) {
                repository.deleted(digest, sent);
            } else {
                // or a moment ago, when it was perhaps still sure
                repository.found_gone(digest, sent);
            }
        }
    }

    pub fn untag(&mut self, repository: &mut Repository, tag: &str) -> Result<(), Gone> {
        let sent = Instant::now();
        let Ok(answer) = self.send(
            "DELETE",
            &format!("/v2/{}/manifests/{tag}", repository.name),
        ) else {
            if self.peek(repository, tag).is_none() {
                repository.untagged(tag, sent);
            }
            return Err(Gone);
        };
        match answer.status() {
            202 if !repository.tags.contains_key(tag) => self.wrong(
                repository,
                &[tag, &repository.name],
                &answer,
                "removed a tag that cannot be there",
            ),
            202 => repository.untagged(tag, sent),
            404 if repository.is_tag_sure(tag, answer.now) => self.wrong(
                repository,
                &[tag, &repository.name],
                &answer,
                "a tag is missing",
            ),
            404 => repository.tag_lost(tag),
            _ => self.wrong(repository, &[tag], &answer, "no answer to expect"),
        }
        Ok(())
    }

    pub fn delete_repository(&mut self, repository: &mut Repository) -> Result<(), Gone> {
        let sent = Instant::now();
        let digests: Vec<_> = repository.manifests.keys().cloned().collect();
        let Ok(answer) = self.send("DELETE", &format!("/v2/{}/", repository.name)) else {
            digests
                .iter()
                .for_each(|digest| self.learn(repository, digest, sent));
            return Err(Gone);
        };
        let sure: Vec<_> = digests
            .iter()
            .map(|digest| repository.is_sure(digest, answer.now))
            .collect();
        match answer.status() {
            202 => {}
            404 if sure.contains(&true) => self.wrong(
                repository,
                &[&repository.name],
                &answer,
                "a repository is missing",
            ),
            404 => {}
            _ => self.wrong(
                repository,
                &[&repository.name],
                &answer,
                "no answer to expect",
            ),
        }
        for (digest, is_sure) in digests.iter().zip(sure) {
            if is_sure {
                repository.deleted(digest, sent)
            } else {
                repository.found_gone(digest, sent)
            }
        }
        Ok(())
    }

    /// Brings a deleted manifest back: it must come, within the grace period, and whole.
    pub fn restore(&mut self, repository: &mut Repository, digest: &str) {
        let Some(trashed) = repository.trash.get(digest) else {
            return;
        };
        let (item, tags, until) = (
            Arc::clone(&trashed.item),
            trashed.tags.clone(),
            trashed.until,
        );
        let sent = Instant::now();
        let result = self.restore_blindly(&repository.name, digest);
        let now = Instant::now();
        match result {
            Ok(restored) => {
                for tag in &tags {
                    let (is_free, came) = (
                        !repository.tags.contains_key(tag),
                        restored.tags.iter().any(|(other, _)| other == tag),
                    );
                    if (is_free && !came) || (came && repository.is_tag_sure(tag, now)) {
                        let message = format!(
                            "{}: restoring {digest} gave the tags {:?} of {tags:?}",
                            repository.name, restored.tags
                        );
                        self.world.violated(&[short(digest), tag], &message);
                    }
                }
                let world = self.world;
                self.back(repository, &item, now, |repository| {
                    repository.restored(&item, &world.stock.items, sent, now);
                    for other in restored
                        .others
                        .iter()
                        .filter_map(|other| world.stock.items.get(other.as_str()))
                    {
                        repository.restored(other, &world.stock.items, sent, now);
                    }
                    restored.tags.iter().for_each(|(tag, digest)| {
                        repository.tagged(tag, &world.stock.items[digest.as_str()], sent)
                    });
                });
                world.counts.restores.add(1);
            }
            Err(error) if self.world.slack.is_sure(until, now) => {
                let until = self.world.journal.seconds(until);
                let words: Vec<_> = item
                    .blobs
                    .iter()
                    .chain(&item.children)
                    .chain([&item.digest])
                    .map(|digest| short(digest))
                    .collect();
                let message = format!(
                    "{}: {digest} was to be restorable until {until}, but: {error}",
                    repository.name
                );
                self.world.violated(&words, &message);
            }
            Err(_) => {
                self.world.counts.refused_restores.add(1);
                repository.trash.remove(digest);
            }
        }
    }

    /// Restores, and leaves the judgement to others.
    pub fn restore_blindly(&self, repository: &str, digest: &str) -> Result<Restored, Error> {
        let name = RepositoryName::parse(repository).expect("a name");
        let parsed = Digest::parse(digest).expect("a digest");
        let began = Instant::now();
        let result = self.world.block_on(self.world.registry.trash().restore(
            &name,
            &parsed,
            Actor::default(),
        ));
        let now = Instant::now();
        self.world.slack.took(began, now);
        self.world.journal.note(
            began,
            now,
            format!("restore {repository} {digest}: {result:?}"),
        );
        result
    }

    /// Puts a tag back where it was before: that must work while it is remembered and what it pointed at is there, or in
    /// the trash.
    pub fn restore_tag(&mut self, repository: &mut Repository, tag: &str) {
        let Some((digest, ended)) = repository
            .past
            .get(tag)
            .map(|past| (past.digest.clone(), past.ended))
        else {
            return;
        };
        let world = self.world;
        let (name, parsed) = (
            RepositoryName::parse(&repository.name).expect("a name"),
            TagName::parse(tag).expect("a tag"),
        );
        let sent = Instant::now();
        let result = world.block_on(world.registry.tags().restore(
            &name,
            &parsed,
            RestoreTarget::Previous,
            Actor::default(),
        ));
        let now = Instant::now();
        world.slack.took(sent, now);
        world.journal.note(
            sent,
            now,
            format!(
                "restore tag {} {tag}, to be {digest}: {result:?}",
                repository.name
            ),
        );
        let is_kept = repository.is_sure(&digest, now)
            || repository
                .trash
                .get(&digest)
                .is_some_and(|trashed| self.world.slack.is_sure(trashed.until, now));
        let is_due = is_kept && self.world.slack.is_sure(ended + world.terms.history, now);
        match result {
            Ok(found) if found.to_string() == digest => {
                let item = Arc::clone(&world.stock.items[&digest]);
                self.back(repository, &item, now, |repository| {
                    repository.restored(&item, &world.stock.items, sent, now);
                    repository.tagged(tag, &item, sent);
                });
                world.counts.restores.add(1);
            }
            Err(_) if !is_due => {
                world.counts.refused_restores.add(1);
                repository.past.remove(tag);
            }
            other => {
                let message = format!(
                    "{}: tag {tag} was to be put back to {digest}, but: {other:?}",
                    repository.name
                );
                world.violated(&[short(&digest), tag], &message);
            }
        }
    }
}
