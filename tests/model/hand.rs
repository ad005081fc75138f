//! One client: it asks, judges the answer by the model, and tells the model what it was promised.

use std::time::Instant;

use super::content::Item;
use super::journal::short;
use super::repository::Repository;
use super::world::World;
use crate::crash::random::Random;
use crate::support::{Client, Response};

/// The server was killed, and nobody knows what became of the request.
#[derive(Debug)]
pub struct Gone;

/// An answer, and between which moments it was made.
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

pub struct Hand<'w> {
    pub world: &'w World,
    pub random: Random,
    client: Client,
    life: u64,
}

impl<'w> Hand<'w> {
    pub fn new(world: &'w World, random: Random) -> Self {
        let (life, address) = world.life.present();
        Self {
            world,
            random,
            client: Client::new(&address),
            life,
        }
    }

    pub fn send(&mut self, method: &str, path: &str) -> Result<Answer, Gone> {
        self.send_content(method, path, None, "")
    }

    /// `what` goes into the journal.
    pub fn send_content(
        &mut self,
        method: &str,
        path: &str,
        content: Option<(&str, &[u8])>,
        what: &str,
    ) -> Result<Answer, Gone> {
        let (life, address) = self.world.life.present();
        if life != self.life {
            (self.client, self.life) = (Client::new(&address), life);
        }
        let mut request = self.client.request(method, path);
        if let Some((media_type, bytes)) = content {
            request = request.header("Content-Type", media_type).body(bytes);
        }
        let sent = Instant::now();
        let result = request.try_send();
        let now = Instant::now();
        self.world.slack.took(sent, now);
        self.world.counts.requests.add(1);
        match result {
            Ok(response) if response.status < 500 => {
                self.world.journal.note(
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
            _ if self.world.life.is_over(self.life) => {
                self.world.journal.note(
                    sent,
                    now,
                    format!("{method} {path} {what} was not answered"),
                );
                Err(Gone)
            }
            Ok(response) => self.world.violated(
                &[path],
                &format!("{method} {path}: {} {}", response.status, text(&response)),
            ),
            Err(error) => self.world.violated(
                &[path],
                &format!("{method} {path}: a living server did not answer: {error}"),
            ),
        }
    }

    /// Reports a violation that concerns a manifest, a blob or a tag.
    pub fn wrong(
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
                    .world
                    .journal
                    .seconds(until))
            )
        });
        let until: Vec<_> = until.collect();
        // those that have gone as well, and whatever a tag of the repository meant
        let items = self.world.stock.items.values();
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
        self.world.violated(
            &words,
            &format!(
                "{}: {message}; {}; the answer was {answered}",
                repository.name,
                until.join(", ")
            ),
        )
    }

    /// Asks until there is an answer, and leaves the judgement to others.
    pub fn peek(&mut self, repository: &Repository, reference: &str) -> Option<Vec<u8>> {
        let path = format!("/v2/{}/manifests/{reference}", repository.name);
        loop {
            if let Ok(answer) = self.send("GET", &path) {
                return (answer.status() == 200).then_some(answer.response.body);
            }
        }
    }

    /// GET or HEAD of a manifest by digest; says whether it is there.
    pub fn look(
        &mut self,
        repository: &mut Repository,
        method: &str,
        digest: &str,
    ) -> Result<bool, Gone> {
        let answer = self.send(
            method,
            &format!("/v2/{}/manifests/{digest}", repository.name),
        )?;
        let until = repository.manifest_until(digest);
        match (answer.status(), until) {
            (200, None) => self.wrong(
                repository,
                &[digest],
                &answer,
                "a manifest that cannot be there",
            ),
            (200, Some(_)) if method == "HEAD" => repository.manifest_promised(digest, answer.sent),
            (200, Some(_)) => self.compare(repository, &self.world.stock.items[digest], &answer),
            (404, Some(until)) if self.world.slack.is_sure(until, answer.now) => {
                self.wrong(repository, &[digest], &answer, "a manifest is missing")
            }
            (404, _) => {
                self.world.counts.gone.add(1);
                repository.found_gone(digest, answer.now);
            }
            _ => self.wrong(repository, &[digest], &answer, "no answer to expect"),
        }
        Ok(answer.status() == 200)
    }

    fn compare(&self, repository: &Repository, item: &Item, answer: &Answer) {
        if answer.response.body != item.bytes {
            self.wrong(
                repository,
                &[&item.digest],
                answer,
                "a manifest with other bytes",
            );
        }
    }

    /// GET or HEAD of a tag; gives the digest that it points at.
    pub fn look_tag(
        &mut self,
        repository: &mut Repository,
        method: &str,
        tag: &str,
    ) -> Result<Option<String>, Gone> {
        let answer = self.send(method, &format!("/v2/{}/manifests/{tag}", repository.name))?;
        let expected = repository
            .tags
            .get(tag)
            .map(|found| (found.digest.clone(), repository.tag_until(found)));
        match (answer.status(), expected) {
            (200, Some((digest, _))) => {
                if answer.response.header("docker-content-digest") != Some(&digest) {
                    self.wrong(
                        repository,
                        &[&digest, tag],
                        &answer,
                        "a tag points elsewhere",
                    );
                }
                if method == "GET" {
                    self.compare(repository, &self.world.stock.items[&digest], &answer);
                }
                Ok(Some(digest))
            }
            (200, None) => self.wrong(
                repository,
                &[tag, &repository.name],
                &answer,
                "a tag that cannot be there",
            ),
            (_, Some((digest, until))) if self.world.slack.is_sure(until, answer.now) => {
                self.wrong(repository, &[&digest, tag], &answer, "a tag is missing")
            }
            _ => {
                repository.tag_lost(tag);
                Ok(None)
            }
        }
    }

    /// GET or HEAD of a blob; says whether it is there.
    pub fn look_blob(
        &mut self,
        repository: &mut Repository,
        method: &str,
        digest: &str,
    ) -> Result<bool, Gone> {
        let answer = self.send(method, &format!("/v2/{}/blobs/{digest}", repository.name))?;
        let until = repository.blob_until(digest);
        match (answer.status(), until) {
            (200, None) => self.wrong(
                repository,
                &[digest],
                &answer,
                "a blob that cannot be there",
            ),
            (200, Some(_)) if method == "HEAD" => {
                repository.blob_promised(digest, answer.sent + self.world.terms.promise())
            }
            (200, Some(_)) if answer.response.body != self.world.stock.blobs[digest] => {
                self.wrong(repository, &[digest], &answer, "a blob with other bytes")
            }
            (200, Some(_)) => {}
            (404, Some(until)) if self.world.slack.is_sure(until, answer.now) => {
                self.wrong(repository, &[digest], &answer, "a blob is missing")
            }
            (404, _) => {
                self.world.counts.gone.add(1);
                repository.blob_gone(digest);
            }
            _ => self.wrong(repository, &[digest], &answer, "no answer to expect"),
        }
        Ok(answer.status() == 200)
    }

    /// Everything behind a manifest that is sure to be there.
    pub fn pull(&mut self, repository: &mut Repository, digest: &str) -> Result<(), Gone> {
        if !self.look(repository, "GET", digest)? {
            return Ok(());
        }
        let world = self.world;
        let item = &world.stock.items[digest];
        item.children
            .iter()
            .try_for_each(|child| self.pull(repository, child))?;
        item.blobs
            .iter()
            .try_for_each(|blob| self.look_blob(repository, "GET", blob).map(|_| ()))
    }

    /// The list of what is about a manifest.
    pub fn referrers(&mut self, repository: &mut Repository, subject: &str) -> Result<(), Gone> {
        let answer = self.send(
            "GET",
            &format!("/v2/{}/referrers/{subject}", repository.name),
        )?;
        if answer.status() != 200 {
            self.wrong(repository, &[subject], &answer, "no list of referrers");
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
                self.wrong(
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
                self.wrong(
                    repository,
                    &[subject, digest],
                    &answer,
                    "a referrer is missing",
                );
            }
        }
        Ok(())
    }

    pub fn list_tags(&mut self, repository: &mut Repository) -> Result<(), Gone> {
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
            self.wrong(
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
            self.wrong(
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
