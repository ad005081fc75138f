//! The server's own verification, in the background.

use std::time::Duration;

use crate::meta::{Millis, RepositoryScope, millis, now};
use crate::registry::error::Error;
use crate::registry::facades::Verify;
use crate::registry::verify::finding::{Finding, FindingKind, Treatment, Verification};
use crate::registry::verify::pace::Pace;
use crate::registry::verify::run::{Runner, VerifyEvent, VerifyOptions};

/// Maximum number of images that a line of the log names.
const MAX_IMAGES: usize = 20;

impl Verify<'_> {
    /// Returns the time until the server verifies again: zero if its last run was cut off, or was that of another copy.
    pub async fn due_in(self, every: Duration) -> Result<Duration, Error> {
        let place = self.registry.meta.place();
        let last = self
            .registry
            .scan(|reader| {
                let runners = [Runner::Server, Runner::Command];
                let runs = runners.map(|runner| reader.verification(runner.as_str()));
                runs.into_iter().collect::<Result<Vec<_>, _>>()
            })
            .await?;
        if last[0]
            .as_ref()
            .is_some_and(|run| run.finished_at.is_none())
        {
            return Ok(Duration::ZERO);
        }
        let whole = last
            .into_iter()
            .flatten()
            .filter(|run| run.place == place && run.scope == RepositoryScope::ALL.as_str());
        let ends = whole.filter_map(|run| Some((run.finished_at?, run.damaged)));
        let Some((end, damaged)) = ends.max() else {
            return Ok(Duration::ZERO);
        };
        self.registry.verification.note(damaged, end);
        let left: Millis = end.saturating_add(millis(every)).saturating_sub(now());
        Ok(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    /// Verifies everything, slowly; logs what is damaged, and takes it out of service.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_in_background(self) -> Result<Verification, Error> {
        let options = VerifyOptions {
            runner: Runner::Server,
            treatment: Treatment::Withdraw,
            pace: Pace::Background,
            repositories: None,
            is_anew: false,
        };
        let mut log = |event: VerifyEvent| match event {
            VerifyEvent::Finding(finding) => log_finding(&finding),
            VerifyEvent::Resumed(run) => {
                tracing::debug!(blobs = run.blobs, bytes = run.size, "verification goes on");
            }
            VerifyEvent::Progress(_) => {}
        };
        let outcome = self.run(options, &mut log).await;
        let counters = &self.registry.verification;
        match &outcome {
            Ok(verified) => counters.finish(verified, now()),
            Err(_) => counters.failed.add(1),
        }
        outcome
    }
}

fn log_finding(finding: &Finding) {
    let images: Vec<_> = finding.image_names().take(MAX_IMAGES).collect();
    let remedy = match finding.kind {
        // its problem says what to do
        FindingKind::Database => "",
        FindingKind::Count => "run registry verify --repair",
        FindingKind::Manifest | FindingKind::Blob => "push one of the images again",
        FindingKind::Incomplete => return log_incomplete(&finding.problem, &images),
    };
    tracing::error!(
        kind = finding.kind.as_str(),
        digest = finding.digest.as_ref().map(tracing::field::display),
        problem = finding.problem,
        outcome = finding.outcome.as_str(),
        remedy,
        image_count = finding.image_count,
        images = images.join(" "),
        "verification has found damage"
    );
}

/// Logs an image that lacks content, which is no damage.
fn log_incomplete(problem: &str, images: &[String]) {
    tracing::warn!(
        problem,
        remedy = "push or import the image again",
        images = images.join(" "),
        "verification has found an image that cannot be pulled as a whole"
    );
}
