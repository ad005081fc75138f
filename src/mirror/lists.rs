//! Lists of mirrors: tags and referrers that the upstream has.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::to_raw_value;
use tokio::time::timeout;

use super::error::Error;
use super::mirrors::{Mirrored, Mirrors};
use super::notes::Served;
use crate::oci::layout::LayoutIndex;
use crate::oci::{Descriptor, Digest, Referrer, RepositoryName, TagName};
use crate::registry::{AdoptionItem, Registry};
use crate::upstream;

/// Maximum time for a whole list.
const PATIENCE: Duration = Duration::from_secs(30);
/// Maximum number of entries of a list that is remembered.
const REMEMBERED: usize = 10_000;

/// List of an upstream, in order.
#[derive(Debug)]
pub enum Listed<T> {
    /// The repository has no upstream, or may not ask it.
    Nothing,
    Found(Arc<T>),
    /// The upstream could not be asked.
    Failed(Error),
}

impl Mirrors {
    /// Lists the tags that the upstream of a repository has.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn upstream_tags(
        &self,
        registry: &Registry,
        name: &RepositoryName,
    ) -> Result<Listed<BTreeSet<String>>, Error> {
        let Some((mirror, mirrored)) = self.mirrored(registry, name).await? else {
            return Ok(Listed::Nothing);
        };
        let is_small = |tags: &BTreeSet<String>| tags.len() <= REMEMBERED;
        // boxed, as the next: a request of any kind would have room for it
        let asking = Box::pin(mirrored.tags());
        let asked = mirror.tags.get(name, mirror.fresh(), is_small, asking);
        let listed = listed(asked.await);
        match listed {
            // what was deleted here is not there any more
            Listed::Found(tags) if mirrored.is_adopted() => {
                let upstreams = registry.upstreams();
                let wanted = upstreams.wanted(name, (*tags).clone()).await?;
                Ok(Listed::Found(Arc::new(wanted.tags)))
            }
            listed => Ok(listed),
        }
    }

    /// Lists what the upstream of a repository has about a manifest, by digest.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn upstream_referrers(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        subject: &Digest,
    ) -> Result<Listed<Vec<Referrer>>, Error> {
        let Some((mirror, mirrored)) = self.mirrored(registry, name).await? else {
            return Ok(Listed::Nothing);
        };
        let key = (name.clone(), subject.clone());
        let is_small = |referrers: &Vec<Referrer>| referrers.len() <= REMEMBERED / 100;
        let asking = Box::pin(mirrored.referrers(subject));
        let asked = mirror.referrers.get(&key, mirror.fresh(), is_small, asking);
        let listed = listed(asked.await);
        match listed {
            Listed::Found(found) if mirrored.is_adopted() => {
                let mut kept = Vec::with_capacity(found.len());
                for referrer in found.iter() {
                    let digest = Digest::parse(&referrer.digest);
                    let item = digest.as_ref().map(AdoptionItem::Digest);
                    if let Ok(item) = item
                        && mirrored.may_come(item).await?
                    {
                        kept.push(referrer.clone());
                    }
                }
                Ok(Listed::Found(Arc::new(kept)))
            }
            listed => Ok(listed),
        }
    }
}

fn listed<T>(asked: Result<Arc<T>, upstream::Error>) -> Listed<T> {
    match asked {
        Ok(found) => Listed::Found(found),
        Err(error) => Listed::Failed(error.into()),
    }
}

/// Waits for a list, in limited time.
async fn in_time<T>(
    asking: impl Future<Output = Result<T, upstream::Error>>,
) -> Result<T, upstream::Error> {
    let asked = timeout(PATIENCE, asking).await;
    asked.unwrap_or(Err(upstream::Error::Timeout(PATIENCE)))
}

impl Mirrored {
    /// Logs that a list did not come; what is here is listed instead.
    fn note_failure(&self, what: &str, error: &upstream::Error) {
        let failed: Result<(), Error> = Err(error.clone().into());
        let _ = self.noted(what, Served::Nothing, failed);
    }

    async fn tags(&self) -> Result<BTreeSet<String>, upstream::Error> {
        let asked = in_time(self.upstream.tags(&self.source)).await;
        let mut tags = asked.inspect_err(|error| self.note_failure("its tags", error))?;
        tags.retain(|tag| TagName::parse(tag).is_ok());
        Ok(tags)
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Referrer>, upstream::Error> {
        let asked = in_time(self.upstream.referrers(&self.source, subject)).await;
        let found = asked.inspect_err(|error| self.note_failure("its referrers", error))?;
        let descriptors = match found {
            Some(descriptors) => descriptors,
            None => self.referrers_by_tag(subject).await?,
        };
        let mut referrers: Vec<_> = descriptors.into_iter().filter_map(referrer).collect();
        referrers.sort_unstable_by(|one, other| one.digest.cmp(&other.digest));
        referrers.dedup_by(|one, other| one.digest == other.digest);
        Ok(referrers)
    }

    /// Reads the list that clients keep as a tag where a registry has none ("Referrers Tag Schema").
    async fn referrers_by_tag(&self, subject: &Digest) -> Result<Vec<Descriptor>, upstream::Error> {
        let tag = subject.as_str().replacen(':', "-", 1);
        match self.upstream.manifest(&self.source, &tag).await {
            Ok(bytes) => {
                let index = serde_json::from_slice::<LayoutIndex>(&bytes);
                Ok(index.map(|index| index.manifests).unwrap_or_default())
            }
            Err(upstream::Error::NotFound) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Turns what an upstream lists into what is listed here; `None` if it is no descriptor.
fn referrer(descriptor: Descriptor) -> Option<Referrer> {
    let digest = Digest::parse(&descriptor.digest).ok()?;
    Some(Referrer {
        media_type: descriptor.media_type,
        digest: digest.as_str().to_owned(),
        size: usize::try_from(descriptor.size).ok()?,
        artifact_type: descriptor.artifact_type,
        annotations: descriptor
            .annotations
            .and_then(|annotations| to_raw_value(&annotations).ok()),
    })
}
