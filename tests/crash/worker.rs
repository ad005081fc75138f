//! A client that pushes overlapping images in every way the protocol allows, and records
//! acknowledgements in the ledger.

use std::sync::Arc;

use serde_json::json;

use super::ledger::Ledger;
use super::random::Random;
use crate::support::client::Request;
use crate::support::{Client, Image, OCI_INDEX, OCI_MANIFEST, Response, descriptor, noise, sha256};

/// The server died, as intended.
#[derive(Debug)]
pub struct ServerDied;

pub const REPOSITORIES: u64 = 4;
pub const TAGS: u64 = 6;
/// Layers that many images of one round have in common.
const SHARED_LAYERS: u64 = 5;

pub struct Worker<'l> {
    /// One client per server on the directory; each request goes to any of them.
    clients: Vec<Client>,
    random: Random,
    ledger: &'l Ledger,
    /// Seed that makes the layers of this round differ from those of others.
    round: u64,
    seed: u64,
    images: u64,
}

impl<'l> Worker<'l> {
    pub fn new(
        addresses: &[String],
        ledger: &'l Ledger,
        seed: u64,
        round: u64,
        number: u64,
    ) -> Self {
        let clients = addresses
            .iter()
            .map(|address| Client::new(address))
            .collect();
        let random = Random::part(seed, round * 100 + number);
        Self {
            clients,
            random,
            ledger,
            round,
            seed: seed ^ (round << 40) ^ (number << 32),
            images: 0,
        }
    }

    /// Works until the server has died.
    pub fn run(mut self) {
        while self.step().is_ok() {}
    }

    pub fn step(&mut self) -> Result<(), ServerDied> {
        let repository = format!("crash/r{}", self.random.below(REPOSITORIES));
        let tag = format!("t{}", self.random.below(TAGS));
        match self.random.below(12) {
            0 => self.push_index(&repository, &tag),
            1 => self.retag(&repository, &tag),
            2 => self.untag(&repository, &tag),
            3 => self.abandon_session(&repository),
            _ => {
                let image = self.image();
                self.push_image(&repository, &image)?;
                self.put(&repository, &[&tag], OCI_MANIFEST, &image.manifest)
            }
        }
    }

    pub fn send(
        &mut self,
        make: impl FnOnce(&mut Client) -> Request<'_>,
    ) -> Result<Response, ServerDied> {
        let any = self.random.below(self.clients.len() as u64) as usize;
        match make(&mut self.clients[any]).try_send() {
            Ok(response) if response.status < 500 && self.ledger.is_listening() => Ok(response),
            _ if self.ledger.has_ended() => Err(ServerDied),
            failed => panic!("a living server answered {failed:?}"),
        }
    }

    /// A unique image of shared layers.
    pub fn image(&mut self) -> Image {
        self.images += 1;
        let own = self.seed.wrapping_add(self.images);
        let mut layers = vec![noise(own, self.size())];
        for _ in 0..self.random.below(3) {
            // mostly layers of this round, so that several clients push them for the first time at
            // once
            let round = if self.random.one_in(4) {
                self.random.below(self.round + 1)
            } else {
                self.round
            };
            let number = self.random.below(SHARED_LAYERS);
            let size = if number == 0 { 300_000 } else { 2000 * number };
            layers.push(noise(1000 * round + number, size as usize));
        }
        Image::new(&format!("{own:x}"), layers)
    }

    fn size(&mut self) -> usize {
        let most = if self.random.one_in(16) {
            1 << 20
        } else {
            20_000
        };
        16 + self.random.below(most) as usize
    }

    /// Pushes an image's blobs, but not its manifest.
    fn push_image(&mut self, repository: &str, image: &Image) -> Result<(), ServerDied> {
        image
            .layers
            .iter()
            .chain([&image.config])
            .try_for_each(|blob| self.push_blob(repository, blob))
    }

    fn push_index(&mut self, repository: &str, tag: &str) -> Result<(), ServerDied> {
        let children = [self.image(), self.image()];
        for child in &children {
            self.push_image(repository, child)?;
            self.put(repository, &[], OCI_MANIFEST, &child.manifest)?;
        }
        let described: Vec<_> = children
            .iter()
            .map(|child| descriptor(OCI_MANIFEST, &child.manifest))
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": described })
            .to_string();
        self.put(repository, &[tag, "index"], OCI_INDEX, index.as_bytes())
    }

    /// Points a tag at an existing manifest.
    fn retag(&mut self, repository: &str, tag: &str) -> Result<(), ServerDied> {
        let Some(digest) = self.ledger.any_manifest(repository, self.random.next()) else {
            return Ok(());
        };
        let path = format!("/v2/{repository}/manifests/{digest}");
        let manifest = self.send(|client| client.request("GET", &path))?;
        assert_eq!(
            (manifest.status, sha256(&manifest.body)),
            (200, digest),
            "a manifest of {repository}"
        );
        let media_type = manifest
            .header("content-type")
            .expect("a media type")
            .to_owned();
        self.put(repository, &[tag], &media_type, &manifest.body)
    }

    pub fn untag(&mut self, repository: &str, tag: &str) -> Result<(), ServerDied> {
        let attempt = self.ledger.begin_tag(repository, tag, None);
        let path = format!("/v2/{repository}/manifests/{tag}");
        let response = self.send(|client| client.request("DELETE", &path))?;
        match response.status {
            202 => self.ledger.tag_acknowledged(repository, tag, attempt),
            404 => self.ledger.tag_refused(repository, tag, attempt),
            _ => panic!("{response:?}"),
        }
        Ok(())
    }

    /// Puts a manifest with all its tags, by tag if there is one, else by digest.
    pub fn put(
        &mut self,
        repository: &str,
        tags: &[&str],
        media_type: &str,
        content: &[u8],
    ) -> Result<(), ServerDied> {
        let digest = sha256(content);
        let attempts: Vec<_> = tags
            .iter()
            .map(|tag| (tag, self.ledger.begin_tag(repository, tag, Some(&digest))))
            .collect();
        let reference = match tags {
            [tag] => (*tag).to_owned(),
            _ => format!(
                "{digest}?{}",
                tags.iter()
                    .map(|tag| format!("tag={tag}"))
                    .collect::<Vec<_>>()
                    .join("&")
            ),
        };
        let path = format!("/v2/{repository}/manifests/{reference}");
        let response = self.send(|client| {
            client
                .request("PUT", &path)
                .header("Content-Type", media_type)
                .body(content)
        })?;
        assert_eq!(response.status, 201, "{response:?}");
        self.ledger.manifest_acknowledged(repository, &digest);
        attempts
            .iter()
            .for_each(|(tag, attempt)| self.ledger.tag_acknowledged(repository, tag, *attempt));
        Ok(())
    }

    pub fn push_blob(&mut self, repository: &str, content: &[u8]) -> Result<(), ServerDied> {
        let digest = sha256(content);
        match self.random.below(7) {
            0 => {
                let path = format!("/v2/{repository}/blobs/{digest}");
                if self.send(|client| client.request("HEAD", &path))?.status == 200 {
                    return Ok(());
                }
                self.push_in_chunks(repository, content, 0)
            }
            1 => self.push_monolithic(repository, content),
            2 => self.mount(repository, content),
            chunks => self.push_in_chunks(repository, content, chunks as usize - 3),
        }
    }

    /// Pushes a blob with a single POST.
    pub fn push_monolithic(&mut self, repository: &str, content: &[u8]) -> Result<(), ServerDied> {
        let digest = sha256(content);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let response = self.send(|client| client.request("POST", &path).body(content))?;
        assert_eq!(response.status, 201, "{response:?}");
        self.ledger.blob_acknowledged(repository, &digest);
        Ok(())
    }

    /// Mounts a blob from any repository that has it; pushes it if none has.
    pub fn mount(&mut self, repository: &str, content: &[u8]) -> Result<(), ServerDied> {
        let digest = sha256(content);
        let from = self.ledger.holder(&digest);
        let origin = from
            .filter(|_| !self.random.one_in(3))
            .map(|from| format!("&from={from}"))
            .unwrap_or_default();
        let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}{origin}");
        let response = self.send(|client| client.request("POST", &path))?;
        match response.status {
            201 => self.ledger.blob_acknowledged(repository, &digest),
            202 => {
                let Some(location) = response.header("location") else {
                    return Err(ServerDied);
                };
                self.ledger
                    .upload_opened(location, repository, &Arc::from(content));
                return self.finish(location, content);
            }
            _ => panic!("{response:?}"),
        }
        Ok(())
    }

    /// Pushes with POST, `chunks` PATCHes, and PUT for the rest.
    pub fn push_in_chunks(
        &mut self,
        repository: &str,
        content: &[u8],
        chunks: usize,
    ) -> Result<(), ServerDied> {
        let location = self.open_session(repository, content)?;
        let length = content.len() / (chunks + 1);
        for number in 0..chunks {
            self.append(
                &location,
                &content[number * length..(number + 1) * length],
                number * length,
            )?;
        }
        self.finish(&location, &content[chunks * length..])
    }

    /// Opens a session that is not finished during this run of the server.
    fn abandon_session(&mut self, repository: &str) -> Result<(), ServerDied> {
        self.images += 1;
        let content = noise(self.seed.wrapping_sub(self.images), 4 * self.size());
        let location = self.open_session(repository, &content)?;
        let kept = content.len() / 2;
        self.append(&location, &content[..kept / 2], 0)?;
        self.append(&location, &content[kept / 2..kept], kept / 2)
    }

    pub fn open_session(&mut self, repository: &str, content: &[u8]) -> Result<String, ServerDied> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let response = self.send(|client| client.request("POST", &path))?;
        assert_eq!(response.status, 202, "{response:?}");
        let Some(location) = response.header("location") else {
            return Err(ServerDied);
        };
        self.ledger
            .upload_opened(location, repository, &Arc::from(content));
        Ok(location.to_owned())
    }

    pub fn append(
        &mut self,
        location: &str,
        chunk: &[u8],
        offset: usize,
    ) -> Result<(), ServerDied> {
        let end = offset + chunk.len();
        self.ledger.upload(location, |upload| upload.sent = end);
        // with and without Content-Range, as chunks and as streams
        let ranged = !chunk.is_empty() && !self.random.one_in(2);
        let response = self.send(|client| {
            let request = client.request("PATCH", location).body(chunk);
            if ranged {
                request.header("Content-Range", &format!("{offset}-{}", end - 1))
            } else {
                request
            }
        })?;
        assert_eq!(response.status, 202, "{response:?}");
        if let Some(range) = response.header("range").filter(|_| end > 0) {
            assert_eq!(range, format!("0-{}", end - 1));
        }
        self.ledger
            .upload(location, |upload| upload.acknowledged = end);
        Ok(())
    }

    pub fn finish(&mut self, location: &str, rest: &[u8]) -> Result<(), ServerDied> {
        let mut digest = String::new();
        self.ledger.upload(location, |upload| {
            digest = sha256(&upload.content);
            upload.sent = upload.content.len();
            upload.is_finishing = true;
        });
        let path = format!("{location}&digest={digest}");
        let response = self.send(|client| client.request("PUT", &path).body(rest))?;
        assert_eq!(response.status, 201, "{response:?}");
        self.ledger.upload_finished(location, &digest);
        Ok(())
    }
}
