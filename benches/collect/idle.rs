//! A collection pass without garbage.

use std::path::Path;
use std::time::{Duration, Instant};

use tarkeep::registry::{Registry, RegistrySettings, Retention, SweepBy, SweepOptions};

use crate::statistics::quantile;
use crate::store::{self, Plan};

/// Images in one repository.
const IMAGES: usize = 100;
const PASSES: usize = 50;

pub async fn run(divisor: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let full_plan = Plan {
        repositories: 1000 / divisor,
        manifests: IMAGES,
        tags: 1,
        blobs: 10,
        has_files: false,
    };
    let (full, empty) = (
        directory.path().join("full"),
        directory.path().join("empty"),
    );
    let empty_plan = Plan {
        repositories: 0,
        ..full_plan
    };
    store::generate(&full, full_plan).await;
    store::generate(&empty, empty_plan).await;
    let (of_full, of_empty) = (passes(&full).await, passes(&empty).await);
    println!(
        "idle: a pass over {} blobs without garbage takes {:.2} ms, over an empty store {:.2} ms (medians of {PASSES})",
        full_plan.repositories * IMAGES * full_plan.blobs,
        of_full.as_secs_f64() * 1e3,
        of_empty.as_secs_f64() * 1e3
    );
}

async fn passes(root: &Path) -> Duration {
    let registry = Registry::open(root, RegistrySettings::default()).expect("a registry");
    let mut times = Vec::new();
    for _ in 0..PASSES {
        let sweep = SweepOptions {
            by: SweepBy::Server,
            retention: Retention::default(),
            uses_server_rules: true,
        };
        let begun = Instant::now();
        let swept = registry
            .gc()
            .sweep(sweep, None)
            .await
            .expect("a pass")
            .counts;
        times.push(begun.elapsed());
        assert_eq!(swept, Default::default(), "there was garbage");
    }
    quantile(&mut times, 0.5)
}
