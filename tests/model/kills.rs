//! Kills of the server and of collections beside it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::campaign::Campaign;
use crate::crash::random::Random;
use crate::support::Server;

/// Kills and restarts the server until the campaign stops.
pub fn kill_now_and_then(campaign: &Campaign, server: &mut Server, mut random: Random) {
    while !campaign.rest(Duration::from_millis(300 + random.below(2500))) {
        let began = Instant::now();
        campaign.process.kill_and_restart(server);
        campaign.counts.kills.add(1);
        campaign.journal.note(
            began,
            Instant::now(),
            "server killed and started again".to_owned(),
        );
    }
}

/// Runs `registry gc --online` repeatedly, and kills some runs.
pub fn collect(campaign: &Campaign, mut random: Random, pauses: bool) {
    loop {
        // part of the experiment: anywhere between the first and the last change
        let kill_after = random
            .one_in(3)
            .then(|| Duration::from_micros(random.below(60_000)));
        collect_once(campaign, &["--online"], kill_after);
        let pause = if pauses {
            Duration::from_millis(random.below(200))
        } else {
            Duration::ZERO
        };
        if campaign.rest(pause) {
            return;
        }
    }
}

/// Runs `registry gc`, which must succeed unless it is killed.
pub fn collect_once(campaign: &Campaign, arguments: &[&str], kill_after: Option<Duration>) {
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command
        .arg("gc")
        .args(arguments)
        .args(["--output", "json", "--data-dir"])
        .arg(&campaign.directory);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("gc starts");
    if let Some(time) = kill_after {
        std::thread::sleep(time);
        child.kill().expect("gc can be killed");
    }
    let output = child.wait_with_output().expect("gc ends");
    campaign.counts.collections.add(1);
    let printed = [output.stdout.trim_ascii(), output.stderr.trim_ascii()]
        .map(String::from_utf8_lossy)
        .join(" ");
    let is_killed = kill_after.is_some() && output.status.code().is_none();
    campaign.journal.note(
        began,
        Instant::now(),
        format!(
            "gc {}{} {printed}",
            arguments.join(" "),
            if is_killed { " killed" } else { "" }
        ),
    );
    // of two at once, one is refused
    let is_second = printed.contains("another gc --now");
    if !(output.status.success() || is_killed || is_second) {
        campaign.violated(
            &["gc", "server killed"],
            &format!("gc failed: {} {printed}", output.status),
        );
    }
}
