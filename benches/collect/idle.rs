//! A pass where there is nothing to collect.

use std::path::Path;
use std::time::{Duration, Instant};

use tarkeep::registry::{Registry, RegistrySettings, Retention, SweepOptions};

use crate::quantile;
use crate::store::{self, Plan};

const PASSES: usize = 50;

pub async fn run(divisor: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plan = Plan {
        repositories: 1000 / divisor,
        blobs: 10,
        has_files: false,
    };
    let (full, empty) = (
        directory.path().join("full"),
        directory.path().join("empty"),
    );
    store::make(&full, plan).await;
    store::make(
        &empty,
        Plan {
            repositories: 0,
            ..plan
        },
    )
    .await;
    let (of_full, of_empty) = (passes(&full).await, passes(&empty).await);
    println!(
        "idle: a pass over {} blobs without garbage takes {:.2} ms, over none {:.2} ms (medians of {PASSES})",
        plan.blobs(),
        of_full.as_secs_f64() * 1e3,
        of_empty.as_secs_f64() * 1e3
    );
}

async fn passes(root: &Path) -> Duration {
    let registry = Registry::open(root, RegistrySettings::default()).expect("a registry");
    let mut times = Vec::new();
    for _ in 0..PASSES {
        let sweep = SweepOptions {
            retention: Retention::default(),
            uses_server_rules: true,
        };
        let begun = Instant::now();
        let swept = registry.gc().sweep(sweep, None).await.expect("a pass");
        times.push(begun.elapsed());
        assert_eq!(swept, Default::default(), "there was garbage");
    }
    quantile(&mut times, 0.5)
}
