//! The registries that a server adopts: each is walked through by a task of its own, as long as the configuration has it.

use std::time::Duration;

use tarkeep::import::{Adopter, WalkedRegistry};
use tarkeep::mirror::{Mirrors, WalkedUpstream};
use tarkeep::oci::RepositoryName;
use tarkeep::registry::{self, Adoption, Registry};
use tarkeep::upstream::Upstream;
use tokio::task::AbortHandle;

/// A walk that goes on until it is complete, or this is dropped.
struct Walking {
    adopted: WalkedUpstream,
    task: AbortHandle,
}

impl Drop for Walking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Pause before adoptions that could not be recorded are recorded again.
const RETRY: Duration = Duration::from_secs(5);

/// Records the registries that are being adopted from now on, before clients ask for their content.
pub(super) async fn record(
    registry: &Registry,
    adopted: impl IntoIterator<Item = WalkedUpstream>,
) -> Result<(), registry::Error> {
    let adopted = adopted.into_iter().map(|adopted| Adoption {
        name: adopted
            .prefix
            .as_ref()
            .map(RepositoryName::to_string)
            .unwrap_or_default(),
        url: adopted.url,
        allow: adopted
            .allow
            .iter()
            .map(|glob| glob.as_str().to_owned())
            .collect(),
    });
    registry
        .upstreams()
        .set_adoptions(adopted.collect())
        .await
        .inspect_err(|error| tracing::warn!(%error, "cannot record which registries are adopted"))
}

/// Walks through the registries that are being adopted, of every configuration.
pub(super) async fn run(mirrors: Mirrors, registry: Registry) {
    let mut walking: Vec<Walking> = Vec::new();
    loop {
        let changed = mirrors.changed();
        let all = mirrors.adopted();
        walking.retain(|walk| all.iter().any(|(adopted, _)| *adopted == walk.adopted));
        // again, because a walk ends when its adoption is not recorded
        let recorded = record(&registry, all.iter().map(|(adopted, _)| adopted.clone()));
        if recorded.await.is_err() {
            let _ = tokio::time::timeout(RETRY, changed).await;
            continue;
        }
        for (adopted, upstream) in all {
            if !walking.iter().any(|walk| walk.adopted == adopted) {
                walking.push(start(adopted, upstream, &registry));
            }
        }
        changed.await;
    }
}

/// Returns an upstream as a registry through which a walk goes.
pub(super) fn walked(
    of: &WalkedUpstream,
    upstream: Upstream,
    registry: &Registry,
) -> WalkedRegistry {
    WalkedRegistry {
        registry: registry.clone(),
        upstream,
        url: of.url.clone(),
        prefix: of.prefix.clone(),
        allow: of.allow.clone(),
    }
}

fn start(adopted: WalkedUpstream, upstream: Upstream, registry: &Registry) -> Walking {
    let walked = walked(&adopted, upstream, registry);
    let adopter = Adopter { walked };
    let task = tokio::spawn(adopter.run()).abort_handle();
    Walking { adopted, task }
}
