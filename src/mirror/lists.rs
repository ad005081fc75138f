//! Lists of mirrors: tags and referrers that the upstream has.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::asked::ListKey;
use super::error::Error;
use super::mirrors::{Mirrored, Mirrors};
use super::notes::Served;
use crate::oci::{Digest, Referrer, RepositoryName, TagName};
use crate::registry::{AdoptionItem, Registry};
use crate::upstream;

/// Number of tags that are compared at once with those that were here.
const COMPARED: usize = 10_000;

/// List of an upstream, in order.
#[derive(Debug)]
pub enum Listed<T> {
    /// The repository has no upstream, or may not ask it.
    Nothing,
    Found(T),
    /// The upstream could not be asked.
    Failed(Error),
}

/// Part of a list of referrers, by digest.
#[derive(Clone, Copy, Debug)]
pub struct ReferrersPart<'p> {
    /// Digest after which it begins.
    pub after: &'p str,
    pub artifact_type: Option<&'p str>,
    /// Maximum number of its entries.
    pub limit: usize,
}

impl Mirrors {
    /// Lists `limit` of the tags that the upstream of a repository has after one of them.
    ///
    /// # Errors
    /// Those of the database, and [`Error::Crowded`] while too many lists are wanted.
    pub async fn upstream_tags(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        after: &str,
        limit: usize,
    ) -> Result<Listed<BTreeSet<String>>, Error> {
        let Some((mirror, mirrored)) = self.mirrored(registry, name).await? else {
            return Ok(Listed::Nothing);
        };
        let (key, is_adopted) = (ListKey::of(name, ""), mirrored.is_adopted());
        // boxed, as the next: a request of any kind would have room for it
        let asking = Box::pin(async move { mirrored.tags().await });
        let tags = match listed(mirror.lists.tags(key, mirror.fresh(), asking).await)? {
            Listed::Found(tags) => tags,
            Listed::Failed(error) => return Ok(Listed::Failed(error)),
            Listed::Nothing => return Ok(Listed::Nothing),
        };
        let mut rest = tags
            .range::<str, _>((Bound::Excluded(after), Bound::Unbounded))
            .cloned();
        if !is_adopted {
            return Ok(Listed::Found(rest.take(limit).collect()));
        }
        let (mut part, upstreams) = (BTreeSet::new(), registry.upstreams());
        while part.len() < limit {
            let some: BTreeSet<_> = rest.by_ref().take(COMPARED).collect();
            if some.is_empty() {
                break;
            }
            // what was deleted here is not there any more
            part.extend(upstreams.wanted(name, some).await?.tags);
        }
        Ok(Listed::Found(part.into_iter().take(limit).collect()))
    }

    /// Lists a part of what the upstream of a repository has about a manifest.
    ///
    /// # Errors
    /// As [`Self::upstream_tags`].
    pub async fn upstream_referrers(
        &self,
        registry: &Registry,
        name: &RepositoryName,
        subject: &Digest,
        part: ReferrersPart<'_>,
    ) -> Result<Listed<Vec<Referrer>>, Error> {
        let Some((mirror, mirrored)) = self.mirrored(registry, name).await? else {
            return Ok(Listed::Nothing);
        };
        let (key, mirrored) = (ListKey::of(name, subject.as_str()), Arc::new(mirrored));
        let (asker, subject) = (Arc::clone(&mirrored), subject.clone());
        let asking = Box::pin(async move { asker.referrers(&subject).await });
        let found = match listed(mirror.lists.referrers(key, mirror.fresh(), asking).await)? {
            Listed::Found(found) => found,
            Listed::Failed(error) => return Ok(Listed::Failed(error)),
            Listed::Nothing => return Ok(Listed::Nothing),
        };
        let is_meant = |referrer: &&Referrer| {
            let artifact_type = referrer.artifact_type.as_deref();
            referrer.digest.as_str() > part.after
                && (part.artifact_type.is_none() || part.artifact_type == artifact_type)
        };
        let mut kept = Vec::new();
        for referrer in found.iter().filter(is_meant) {
            if kept.len() == part.limit {
                break;
            }
            let digest = Digest::parse(&referrer.digest);
            let item = digest.as_ref().map(AdoptionItem::Digest);
            if let Ok(item) = item
                && mirrored.may_come(item).await?
            {
                kept.push(referrer.clone());
            }
        }
        Ok(Listed::Found(kept))
    }
}

/// Tells a list that did not come from one for which there was no room.
fn listed<T>(asked: Result<T, Error>) -> Result<Listed<T>, Error> {
    match asked {
        Ok(found) => Ok(Listed::Found(found)),
        Err(error @ (Error::Crowded | Error::Upstream(upstream::Error::Crowded))) => Err(error),
        Err(error) => Ok(Listed::Failed(error)),
    }
}

impl Mirrored {
    /// Logs that a list did not come; what is here is listed instead.
    fn note_failure(&self, what: &str, error: &upstream::Error) {
        let failed: Result<(), Error> = Err(error.clone().into());
        let _ = self.noted(what, Served::Nothing, failed);
    }

    async fn tags(&self) -> Result<BTreeSet<String>, upstream::Error> {
        let asked = self.upstream.tags(&self.source).await;
        let mut tags = asked.inspect_err(|error| self.note_failure("its tags", error))?;
        tags.retain(|tag| TagName::parse(tag).is_ok());
        Ok(tags)
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Referrer>, upstream::Error> {
        let asked = self.upstream.referrers(&self.source, subject).await;
        let asked = match asked {
            Ok(None) => {
                let asking = self.upstream.referrers_by_tag(&self.source, subject);
                asking.await.map(Some)
            }
            asked => asked,
        };
        let found = asked.inspect_err(|error| self.note_failure("its referrers", error))?;
        let mut referrers = found.unwrap_or_default();
        referrers.sort_unstable_by(|one, other| one.digest.cmp(&other.digest));
        referrers.dedup_by(|one, other| one.digest == other.digest);
        Ok(referrers)
    }
}
