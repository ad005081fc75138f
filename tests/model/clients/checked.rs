//! A client that checks each answer against the model and records promises in it.

use std::time::Instant;

use crate::crash::random::Random;
use crate::model::campaign::Campaign;
use crate::model::content::Item;
use crate::model::journal::short;
use crate::model::repository::Repository;
use crate::support::{Client, Response};

/// The server was killed, and the outcome of the request is unknown.
#[derive(Debug)]
pub struct ServerDied;

/// An answer, and the times between which it was made.
pub struct Answer {
    pub response: Response,
    pub sent: Instant,
    pub now: Instant,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.response.status
    }
}

pub struct CheckedClient<'w> {
    pub campaign: &'w Campaign,
    pub random: Random,
    client: Client,
    process: u64,
}

impl<'w> CheckedClient<'w> {
    pub fn new(campaign: &'w Campaign, random: Random) -> Self {
        let (process, address) = campaign.process.current();
        Self {
            campaign,
            random,
            client: Client::new(&address),
            process,
        }
    }

    pub fn send(&mut self, method: &str, path: &str) -> Result<Answer, ServerDied> {
        self.send_content(method, path, None, "")
    }

    /// Sends a request; `what` is added to its journal entry.
    pub fn send_content(
        &mut self,
        method: &str,
        path: &str,
        content: Option<(&str, &[u8])>,
        what: &str,
    ) -> Result<Answer, ServerDied> {
        let (process, address) = self.campaign.process.current();
        if process != self.process {
            (self.client, self.process) = (Client::new(&address), process);
        }
        let mut request = self.client.request(method, path);
        if let Some((media_type, bytes)) = content {
            request = request.header("Content-Type", media_type).body(bytes);
        }
        let sent = Instant::now();
        let result = request.try_send();
        let now = Instant::now();
        self.campaign.slack.record(sent, now);
        self.campaign.counts.requests.add(1);
        match result {
            Ok(response) if response.status < 500 => {
                self.campaign.journal.note(
                    sent,
                    now,
                    format!("{method} {path} {what} {}", response.status),
                );
                Ok(Answer {
                    response,
                    sent,
                    now,
                })
            }
            _ if self.campaign.process.has_died(self.process) => {
                self.campaign.journal.note(
                    sent,
                    now,
                    format!("{method} {path} {what} was not answered"),
                );
                Err(ServerDied)
            }
            Ok(response) => self.campaign.violated(
                &[path],
                &format!("{method} {path}: {} {}", response.status, text(&response)),
            ),
            Err(error) => self.campaign.violated(
                &[path],
                &format!("{method} {path}: a living server did not answer: {error}"),
            ),
        }
    }

    /// Reports a violation that concerns a manifest, a blob or a tag.
    pub fn report_violation(
        &self,
        repository: &Repository,
        objects: &[&str],
        answer: &Answer,
        message: &str,
    ) -> ! {
        let until = objects.iter().map(|object| {
            let until = repository
                .manifest_until(object)
                .or_else(|| repository.blob_until(object));
            format!(
                "{} is sure until {}",
                short(object),
                until.map_or("never".to_owned(), |until| self
                    .campaign
                    .journal
                    .seconds(until))
            )
        });
        let until: Vec<_> = until.collect();
        // include absent manifests and all tags of the repository
        let items = self.campaign.stock.items.values();
        let needing = items
            .filter(|item| item.blobs.iter().any(|blob| objects.contains(&&**blob)))
            .map(|item| short(&item.digest));
        let (tags, all) = (
            format!("{}/manifests/t", repository.name),
            format!("{}/ ", repository.name),
        );
        let words: Vec<_> = objects
            .iter()
            .map(|object| short(object))
            .chain(needing)
            .chain(["server killed", &*tags, &*all])
            .collect();
        let answered = format!("{} {}", answer.status(), text(&answer.response));
        self.campaign.violated(
            &words,
            &format!(
                "{}: {message}; {}; the answer was {answered}",
                repository.name,
                until.join(", ")
            ),
        )
    }

    /// Repeats the request until it is answered; does not check the answer.
    pub fn fetch_unchecked(&mut self, repository: &Repository, reference: &str) -> Option<Vec<u8>> {
        let path = format!("/v2/{}/manifests/{reference}", repository.name);
        loop {
            if let Ok(answer) = self.send("GET", &path) {
                return (answer.status() == 200).then_some(answer.response.body);
            }
        }
    }

    /// Requests a blob until that is answered; reports whether it is there, and checks nothing.
    pub fn has_blob_unchecked(&mut self, repository: &Repository, digest: &str) -> bool {
        let path = format!("/v2/{}/blobs/{digest}", repository.name);
        loop {
            if let Ok(answer) = self.send("GET", &path) {
                return answer.status() == 200;
            }
        }
    }

    /// Requests a manifest by digest with GET or HEAD; returns whether it is present.
    pub fn read_manifest(
        &mut self,
        repository: &mut Repository,
        method: &str,
        digest: &str,
    ) -> Result<bool, ServerDied> {
        let answer = self.send(
            method,
            &format!("/v2/{}/manifests/{digest}", repository.name),
        )?;
        let until = repository.manifest_until(digest);
        match (answer.status(), until) {
            (200, None) => self.report_violation(
                repository,
                &[digest],
                &answer,
                "a manifest that cannot be there",
            ),
            (200, Some(_)) if method == "HEAD" => repository.manifest_promised(digest, answer.sent),
            (200, Some(_)) => self.compare(repository, &self.campaign.stock.items[digest], &answer),
            (404, Some(until)) if self.campaign.slack.is_sure(until, answer.now) => {
                self.report_violation(repository, &[digest], &answer, "a manifest is missing")
            }
            (404, _) => {
                self.campaign.counts.absent.add(1);
                repository.manifest_found_absent(digest, answer.now);
            }
            _ => self.report_violation(repository, &[digest], &answer, "no answer to expect"),
        }
        Ok(answer.status() == 200)
    }

    fn compare(&self, repository: &Repository, item: &Item, answer: &Answer) {
        if answer.response.body != item.bytes {
            self.report_violation(
                repository,
                &[&item.digest],
                answer,
                "a manifest with other bytes",
            );
        }
    }

    /// Requests a tag with GET or HEAD; returns the digest it points at.
    pub fn read_tag(
        &mut self,
        repository: &mut Repository,
        method: &str,
        tag: &str,
    ) -> Result<Option<String>, ServerDied> {
        let answer = self.send(method, &format!("/v2/{}/manifests/{tag}", repository.name))?;
        let expected = repository
            .tags
            .get(tag)
            .map(|found| (found.digest.clone(), repository.tag_until(found)));
        match (answer.status(), expected) {
            (200, Some((digest, _))) => {
                if answer.response.header("docker-content-digest") != Some(&digest) {
                    self.report_violation(
                        repository,
                        &[&digest, tag],
                        &answer,
                        "a tag points elsewhere",
                    );
                }
                if method == "GET" {
                    self.compare(repository, &self.campaign.stock.items[&digest], &answer);
                }
                Ok(Some(digest))
            }
            (200, None) => self.report_violation(
                repository,
                &[tag, &repository.name],
                &answer,
                "a tag that cannot be there",
            ),
            (_, Some((digest, until))) if self.campaign.slack.is_sure(until, answer.now) => {
                self.report_violation(repository, &[&digest, tag], &answer, "a tag is missing")
            }
            _ => {
                repository.tag_found_absent(tag);
                Ok(None)
            }
        }
    }

    /// Requests a blob with GET or HEAD; returns whether it is present.
    pub fn read_blob(
        &mut self,
        repository: &mut Repository,
        method: &str,
        digest: &str,
    ) -> Result<bool, ServerDied> {
        let answer = self.send(method, &format!("/v2/{}/blobs/{digest}", repository.name))?;
        let until = repository.blob_until(digest);
        match (answer.status(), until) {
            (200, None) => self.report_violation(
                repository,
                &[digest],
                &answer,
                "a blob that cannot be there",
            ),
            (200, Some(_)) if method == "HEAD" => {
                repository.blob_promised(digest, answer.sent + self.campaign.retention.promise())
            }
            (200, Some(_)) if answer.response.body != self.campaign.stock.blobs[digest] => {
                self.report_violation(repository, &[digest], &answer, "a blob with other bytes")
            }
            (200, Some(_)) => {}
            (404, Some(until)) if self.campaign.slack.is_sure(until, answer.now) => {
                self.report_violation(repository, &[digest], &answer, "a blob is missing")
            }
            (404, _) => {
                self.campaign.counts.absent.add(1);
                repository.blob_found_absent(digest);
            }
            _ => self.report_violation(repository, &[digest], &answer, "no answer to expect"),
        }
        Ok(answer.status() == 200)
    }

    /// Reads everything that a manifest needs and that is certainly present.
    pub fn pull(&mut self, repository: &mut Repository, digest: &str) -> Result<(), ServerDied> {
        if !self.read_manifest(repository, "GET", digest)? {
            return Ok(());
        }
        let campaign = self.campaign;
        let item = &campaign.stock.items[digest];
        item.children
            .iter()
            .try_for_each(|child| self.pull(repository, child))?;
        item.blobs
            .iter()
            .try_for_each(|blob| self.read_blob(repository, "GET", blob).map(|_| ()))
    }

    /// Reads and checks the referrers of a manifest.
    pub fn referrers(
        &mut self,
        repository: &mut Repository,
        subject: &str,
    ) -> Result<(), ServerDied> {
        let answer = self.send(
            "GET",
            &format!("/v2/{}/referrers/{subject}", repository.name),
        )?;
        if answer.status() != 200 {
            self.report_violation(repository, &[subject], &answer, "no list of referrers");
        }
        let list = answer.response.json();
        let listed: Vec<_> = list["manifests"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|entry| entry["digest"].as_str())
            .collect();
        for digest in &listed {
            if !repository.manifests.contains_key(*digest) {
                self.report_violation(
                    repository,
                    &[subject, digest],
                    &answer,
                    "a referrer that cannot be there",
                );
            }
        }
        for referrer in repository
            .manifests
            .values()
            .filter(|manifest| manifest.item.subject.as_deref() == Some(subject))
        {
            let digest = &referrer.item.digest;
            if !listed.contains(&&**digest) && repository.is_sure(digest, answer.now) {
                self.report_violation(
                    repository,
                    &[subject, digest],
                    &answer,
                    "a referrer is missing",
                );
            }
        }
        Ok(())
    }

    pub fn list_tags(&mut self, repository: &mut Repository) -> Result<(), ServerDied> {
        let answer = self.send("GET", &format!("/v2/{}/tags/list", repository.name))?;
        let list = if answer.status() == 200 {
            answer.response.json()
        } else {
            serde_json::Value::Null
        };
        let listed: Vec<_> = list["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|tag| tag.as_str())
            .collect();
        if let Some(extra) = listed
            .iter()
            .find(|tag| !repository.tags.contains_key(**tag))
        {
            self.report_violation(
                repository,
                &[extra, &repository.name],
                &answer,
                "a tag that cannot be there is listed",
            );
        }
        if let Some(missing) = repository
            .tags
            .keys()
            .find(|tag| !listed.contains(&&***tag) && repository.is_tag_sure(tag, answer.now))
        {
            self.report_violation(
                repository,
                &[missing, &repository.name],
                &answer,
                "a tag is not listed",
            );
        }
        Ok(())
    }
}

/// Readable text of a response.
pub fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body[..response.body.len().min(400)]).into_owned()
}
