//! The registries that a server adopts: each is walked through by a task of its own, as long as the configuration has it.

use tarkeep::import::{Adopter, WalkedRegistry};
use tarkeep::mirror::{Adopted, Mirrors};
use tarkeep::oci::{Glob, RepositoryName};
use tarkeep::registry::{Adoption, Registry};
use tarkeep::upstream::Upstream;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// A walk that goes on until it is complete, or this is dropped.
struct Walking {
    adopted: Adopted,
    task: AbortHandle,
}

impl Drop for Walking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns the registries that are being adopted, as they are recorded.
pub(super) fn of(mirrors: &Mirrors) -> Vec<Adoption> {
    let adopted = mirrors.adopted();
    let adopted = adopted.into_iter().map(|(adopted, _)| Adoption {
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
    adopted.collect()
}

/// Records the registries that are being adopted from now on. Blocks.
pub(super) fn set(mirrors: &Mirrors, registry: &Registry, runtime: &Handle) {
    let adoptions = registry.upstreams().set_adoptions(of(mirrors));
    if let Err(error) = runtime.block_on(adoptions) {
        tracing::warn!(%error, "cannot record which registries are adopted");
    }
}

/// Walks through the registries that are being adopted, of every configuration.
pub(super) async fn run(mirrors: Mirrors, registry: Registry) {
    let mut walking: Vec<Walking> = Vec::new();
    loop {
        let changed = mirrors.changed();
        let adopted = mirrors.adopted();
        walking.retain(|walk| adopted.iter().any(|(adopted, _)| *adopted == walk.adopted));
        for (adopted, upstream) in adopted {
            if !walking.iter().any(|walk| walk.adopted == adopted) {
                walking.push(start(adopted, upstream, &registry));
            }
        }
        changed.await;
    }
}

fn start(adopted: Adopted, upstream: Upstream, registry: &Registry) -> Walking {
    let adopter = Adopter {
        registry: registry.clone(),
        upstream,
        url: adopted.url.clone(),
        prefix: adopted.prefix.clone(),
        allow: adopted.allow.iter().map(Glob::clone).collect(),
    };
    let task = tokio::spawn(adopter.run()).abort_handle();
    Walking { adopted, task }
}
