//! Changes made by clients. If the server dies during a request, its next process is asked for the
//! outcome.

use std::sync::Arc;
use std::time::Instant;

use tarkeep::oci::{Digest, RepositoryName, TagName};
use tarkeep::registry::{Actor, Error, RestoreTarget, Restored};

use super::checked::{Answer, CheckedClient, ServerDied};
use crate::model::content::Item;
use crate::model::journal::short;
use crate::model::repository::Repository;

fn manifests_needing(repository: &Repository, digest: &str) -> Vec<String> {
    let needing = repository.needing(digest);
    needing
        .map(|manifest| manifest.item.digest.clone())
        .collect()
}

impl CheckedClient<'_> {
    /// Pushes a blob, in one request or two.
    pub fn upload(&mut self, repository: &mut Repository, digest: &str) -> Result<(), ServerDied> {
        let campaign = self.campaign;
        let content = Some(("application/octet-stream", &*campaign.stock.blobs[digest]));
        let uploads = format!("/v2/{}/blobs/uploads/", repository.name);
        // even without an answer it may be present from now on
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
            self.send_content("PUT", &format!("{location}&digest={digest}"), content, "")?
        };
        if answer.status() != 201 {
            self.report_violation(repository, &[digest], &answer, "a blob was not taken");
        }
        repository.blob_promised(digest, answer.sent + campaign.retention.lease);
        Ok(())
    }

    /// Mounts a blob from one repository or from any; uploads it if no repository has it. Until
    /// `until` it is certain that it can be mounted.
    pub fn mount(
        &mut self,
        repository: &mut Repository,
        digest: &str,
        from: Option<&str>,
        until: Option<Instant>,
    ) -> Result<(), ServerDied> {
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
            201 => {
                repository.blob_promised(digest, answer.sent + self.campaign.retention.promise())
            }
            202 if until.is_some_and(|until| self.campaign.slack.is_sure(until, answer.now)) => {
                self.report_violation(
                    repository,
                    &[digest],
                    &answer,
                    "a blob cannot be mounted that another repository was sure to show",
                )
            }
            202 => {
                let location = answer
                    .response
                    .header("location")
                    .expect("a location")
                    .to_owned();
                let campaign = self.campaign;
                let content = Some(("application/octet-stream", &*campaign.stock.blobs[digest]));
                let answer =
                    self.send_content("PUT", &format!("{location}&digest={digest}"), content, "")?;
                if answer.status() != 201 {
                    self.report_violation(repository, &[digest], &answer, "a blob was not taken");
                }
                repository.blob_promised(digest, answer.sent + self.campaign.retention.lease);
            }
            _ => self.report_violation(repository, &[digest], &answer, "no answer to expect"),
        }
        Ok(())
    }

    /// Deletes a blob from the repository. It is no longer promised, but deleted manifests that
    /// need it can be restored.
    pub fn delete_blob(
        &mut self,
        repository: &mut Repository,
        digest: &str,
    ) -> Result<(), ServerDied> {
        let Ok(answer) = self.send("DELETE", &format!("/v2/{}/blobs/{digest}", repository.name))
        else {
            self.learn_blob_deletion(repository, digest);
            return Err(ServerDied);
        };
        let needing = manifests_needing(repository, digest);
        match answer.status() {
            202 if !repository.blobs.contains_key(digest) => self.report_violation(
                repository,
                &[digest],
                &answer,
                "deleted what cannot be there",
            ),
            202 => match needing
                .iter()
                .find(|manifest| repository.is_sure(manifest, answer.now))
            {
                Some(manifest) => self.report_violation(
                    repository,
                    &[digest, manifest],
                    &answer,
                    "deleted what a manifest needs",
                ),
                None => repository.blob_found_absent(digest),
            },
            405 if needing.is_empty() => self.report_violation(
                repository,
                &[digest],
                &answer,
                "not deleted, though nothing can need it",
            ),
            405 => {}
            404 if repository.is_blob_sure(digest, answer.now) => {
                self.report_violation(repository, &[digest], &answer, "a blob is missing")
            }
            404 => repository.blob_found_absent(digest),
            _ => self.report_violation(repository, &[digest], &answer, "no answer to expect"),
        }
        Ok(())
    }

    /// Finds out what a deletion did that the server did not answer: it may have deleted the blob,
    /// unless a manifest certainly needed it.
    fn learn_blob_deletion(&mut self, repository: &mut Repository, digest: &str) {
        let now = Instant::now();
        repository.blob_uncertain(digest);
        let is_needed = manifests_needing(repository, digest)
            .iter()
            .any(|manifest| repository.is_sure(manifest, now));
        if !is_needed && !self.has_blob_unchecked(repository, digest) {
            repository.blob_found_absent(digest);
        }
    }

    /// Pushes a manifest, by tag or by digest; returns whether it was accepted. It must be if
    /// everything it needs is promised.
    pub fn put(
        &mut self,
        repository: &mut Repository,
        item: &Arc<Item>,
        tag: Option<&str>,
    ) -> Result<bool, ServerDied> {
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
            self.learn_push(repository, item, tag, sent);
            return Err(ServerDied);
        };
        self.check_push(repository, item, &answer);
        if answer.status() == 201 {
            self.record_push(repository, item, tag, sent, answer.now);
        }
        Ok(answer.status() == 201)
    }

    /// Asks the next process for the outcome of a push without an answer.
    fn learn_push(
        &mut self,
        repository: &mut Repository,
        item: &Arc<Item>,
        tag: Option<&str>,
        sent: Instant,
    ) {
        let is_new = match tag {
            Some(tag) => repository
                .tags
                .get(tag)
                .is_none_or(|old| old.digest != item.digest),
            None => !repository.manifests.contains_key(&item.digest),
        };
        match self.fetch_unchecked(repository, tag.unwrap_or(&item.digest)) {
            Some(bytes) if bytes == item.bytes && is_new => {
                self.record_push(repository, item, tag, sent, Instant::now())
            }
            Some(_) if !is_new => tag
                .into_iter()
                .for_each(|tag| repository.perhaps_tagged(tag)),
            _ => {}
        }
    }

    /// Reports a push that was accepted or refused against what is known.
    fn check_push(&self, repository: &Repository, item: &Item, answer: &Answer) {
        self.campaign.counts.pushes.add(1);
        // a push of an incomplete manifest may be refused, and so proves nothing
        self.campaign
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
            201 if repository.is_missing_content(item)
                && !repository.manifests.contains_key(&item.digest) =>
            {
                self.report_violation(
                    repository,
                    &objects,
                    answer,
                    "a manifest was accepted though something it needs cannot be there",
                )
            }
            400 | 404
                if repository.is_complete(item, answer.now)
                    || repository.is_sure(&item.digest, answer.now) =>
            {
                self.report_violation(
                    repository,
                    &objects,
                    answer,
                    "a manifest was refused though all it needs was promised",
                )
            }
            201 | 400 | 404 => {}
            _ => self.report_violation(repository, &objects, answer, "no answer to expect"),
        }
    }

    /// Records a manifest, and perhaps a tag that points at it.
    fn record_push(
        &mut self,
        repository: &mut Repository,
        item: &Arc<Item>,
        tag: Option<&str>,
        sent: Instant,
        now: Instant,
    ) {
        self.record_presence(repository, item, now, |repository| {
            repository.stored(item, sent, now);
            if let Some(tag) = tag {
                repository.tagged(tag, item, sent);
            }
        });
    }

    /// Records that a manifest is present, and checks which of the tags bound to it were removed
    /// before.
    fn record_presence(
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
            if self.fetch_unchecked(repository, &tag).is_none() {
                repository.tag_found_absent(&tag);
            }
        }
    }

    pub fn delete(&mut self, repository: &mut Repository, digest: &str) -> Result<(), ServerDied> {
        let sent = Instant::now();
        let Ok(answer) = self.send(
            "DELETE",
            &format!("/v2/{}/manifests/{digest}", repository.name),
        ) else {
            self.learn_deletion(repository, digest, sent);
            return Err(ServerDied);
        };
        let parents: Vec<_> = repository
            .parents(digest)
            .map(|parent| parent.item.digest.clone())
            .collect();
        match answer.status() {
            202 if !repository.manifests.contains_key(digest) => self.report_violation(
                repository,
                &[digest],
                &answer,
                "deleted what cannot be there",
            ),
            202 => match parents
                .iter()
                .find(|parent| repository.is_sure(parent, answer.now))
            {
                Some(parent) => self.report_violation(
                    repository,
                    &[digest, parent],
                    &answer,
                    "deleted what an index needs",
                ),
                None => repository.deleted(digest, sent),
            },
            405 if parents.is_empty() => self.report_violation(
                repository,
                &[digest],
                &answer,
                "not deleted, though nothing can need it",
            ),
            405 => {}
            404 if repository.is_sure(digest, answer.now) => {
                self.report_violation(repository, &[digest], &answer, "a manifest is missing")
            }
            404 => repository.manifest_found_absent(digest, answer.now),
            _ => self.report_violation(repository, &[digest], &answer, "no answer to expect"),
        }
        Ok(())
    }

    /// Finds out if a manifest survived a request that may have deleted it.
    pub fn learn_deletion(&mut self, repository: &mut Repository, digest: &str, sent: Instant) {
        if self.fetch_unchecked(repository, digest).is_none() {
            if repository.is_sure(digest, Instant::now()) {
                repository.deleted(digest, sent);
            } else {
                // or a moment ago, when it was perhaps still certain
                repository.manifest_found_absent(digest, sent);
            }
        }
    }

    pub fn untag(&mut self, repository: &mut Repository, tag: &str) -> Result<(), ServerDied> {
        let sent = Instant::now();
        let Ok(answer) = self.send(
            "DELETE",
            &format!("/v2/{}/manifests/{tag}", repository.name),
        ) else {
            if self.fetch_unchecked(repository, tag).is_none() {
                repository.untagged(tag, sent);
            }
            return Err(ServerDied);
        };
        match answer.status() {
            202 if !repository.tags.contains_key(tag) => self.report_violation(
                repository,
                &[tag, &repository.name],
                &answer,
                "removed a tag that cannot be there",
            ),
            202 => repository.untagged(tag, sent),
            404 if repository.is_tag_sure(tag, answer.now) => self.report_violation(
                repository,
                &[tag, &repository.name],
                &answer,
                "a tag is missing",
            ),
            404 => repository.tag_found_absent(tag),
            _ => self.report_violation(repository, &[tag], &answer, "no answer to expect"),
        }
        Ok(())
    }

    pub fn delete_repository(&mut self, repository: &mut Repository) -> Result<(), ServerDied> {
        let sent = Instant::now();
        let digests: Vec<_> = repository.manifests.keys().cloned().collect();
        let Ok(answer) = self.send("DELETE", &format!("/v2/{}/", repository.name)) else {
            digests
                .iter()
                .for_each(|digest| self.learn_deletion(repository, digest, sent));
            return Err(ServerDied);
        };
        let sure: Vec<_> = digests
            .iter()
            .map(|digest| repository.is_sure(digest, answer.now))
            .collect();
        match answer.status() {
            202 => {}
            404 if sure.contains(&true) => self.report_violation(
                repository,
                &[&repository.name],
                &answer,
                "a repository is missing",
            ),
            404 => {}
            _ => self.report_violation(
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
                repository.manifest_found_absent(digest, sent)
            }
        }
        Ok(())
    }

    /// Restores a deleted manifest; within the grace period it must be restored completely.
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
        let result = self.restore_unchecked(&repository.name, digest);
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
                        self.campaign.violated(&[short(digest), tag], &message);
                    }
                }
                let campaign = self.campaign;
                self.record_presence(repository, &item, now, |repository| {
                    repository.restored(&item, &campaign.stock.items, sent, now);
                    for other in restored
                        .others
                        .iter()
                        .filter_map(|other| campaign.stock.items.get(other.as_str()))
                    {
                        repository.restored(other, &campaign.stock.items, sent, now);
                    }
                    restored.tags.iter().for_each(|(tag, digest)| {
                        repository.tag_restored(tag, &campaign.stock.items[digest.as_str()], sent)
                    });
                });
                campaign.counts.restores.add(1);
            }
            Err(error) if self.campaign.slack.is_sure(until, now) => {
                let until = self.campaign.journal.seconds(until);
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
                self.campaign.violated(&words, &message);
            }
            Err(_) => {
                self.campaign.counts.refused_restores.add(1);
                repository.trash.remove(digest);
            }
        }
    }

    /// Restores without checking the result.
    pub fn restore_unchecked(&self, repository: &str, digest: &str) -> Result<Restored, Error> {
        let name = RepositoryName::parse(repository).expect("a name");
        let parsed = Digest::parse(digest).expect("a digest");
        let began = Instant::now();
        let result = self
            .campaign
            .block_on(
                self.campaign
                    .registry
                    .trash()
                    .restore(&name, &parsed, Actor::default()),
            );
        let now = Instant::now();
        self.campaign.slack.record(began, now);
        self.campaign.journal.note(
            began,
            now,
            format!("restore {repository} {digest}: {result:?}"),
        );
        result
    }

    /// Restores a tag's earlier state; that must work while the state is remembered and its
    /// manifest is present or in the trash.
    pub fn restore_tag(&mut self, repository: &mut Repository, tag: &str) {
        let present = repository.tags.get(tag).map(|tag| &*tag.digest);
        let known = repository.past.get(tag).and_then(|past| {
            let number = past.previous(present)?;
            let (digest, ended) = past.state(number);
            Some((number, digest.to_owned(), ended))
        });
        let Some((number, digest, ended)) = known else {
            return;
        };
        let campaign = self.campaign;
        let (name, parsed) = (
            RepositoryName::parse(&repository.name).expect("a name"),
            TagName::parse(tag).expect("a tag"),
        );
        let sent = Instant::now();
        let result = campaign.block_on(campaign.registry.tags().restore(
            &name,
            &parsed,
            RestoreTarget::Previous,
            Actor::default(),
        ));
        let now = Instant::now();
        campaign.slack.record(sent, now);
        campaign.journal.note(
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
                .is_some_and(|trashed| self.campaign.slack.is_sure(trashed.until, now));
        let is_due = is_kept
            && self
                .campaign
                .slack
                .is_sure(ended + campaign.retention.history, now);
        match result {
            Ok(found) if found.digest.as_str() == digest => {
                let item = Arc::clone(&campaign.stock.items[&digest]);
                self.record_presence(repository, &item, now, |repository| {
                    repository.restored(&item, &campaign.stock.items, sent, now);
                    repository.went_back(tag, &item, sent, number);
                });
                campaign.counts.restores.add(1);
            }
            Err(_) if !is_due => {
                campaign.counts.refused_restores.add(1);
                repository.past.remove(tag);
            }
            other => {
                let message = format!(
                    "{}: tag {tag} was to be put back to {digest}, but: {other:?}",
                    repository.name
                );
                campaign.violated(&[short(&digest), tag], &message);
            }
        }
    }
}
