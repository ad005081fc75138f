//! Processes that are killed now and then: the server, and collections beside it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::world::World;
use crate::crash::random::Random;
use crate::support::Server;

/// Kills the server again and again, until the clients have done enough.
pub fn kill_now_and_then(world: &World, server: &mut Server, mut random: Random) {
    while !world.rest(Duration::from_millis(300 + random.below(2500))) {
        let began = Instant::now();
        world.life.renew(server);
        world.counts.kills.add(1);
        world.journal.note(
            began,
            Instant::now(),
            "server killed and started again".to_owned(),
        );
    }
}

/// Runs `registry gc --online` again and again, and kills some of them.
pub fn collect(world: &World, mut random: Random, pauses: bool) {
    loop {
        // the experiment: anywhere between its first and its last change
        let kill_after = random
            .one_in(3)
            .then(|| Duration::from_micros(random.below(60_000)));
        collect_once(world, kill_after);
        let pause = if pauses {
            Duration::from_millis(random.below(200))
        } else {
            Duration::ZERO
        };
        if world.rest(pause) {
            return;
        }
    }
}

/// Runs `registry gc --online`, which must succeed unless it is killed.
pub fn collect_once(world: &World, kill_after: Option<Duration>) {
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command
        .args(["gc", "--online", "--output", "json", "--data-dir"])
        .arg(&world.directory);
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
    world.counts.collections.add(1);
    let said = [output.stdout.trim_ascii(), output.stderr.trim_ascii()]
        .map(String::from_utf8_lossy)
        .join(" ");
    let is_killed = kill_after.is_some() && output.status.code().is_none();
    world.journal.note(
        began,
        Instant::now(),
        format!("gc{} {said}", if is_killed { " killed" } else { "" }),
    );
    if !(output.status.success() || is_killed) {
        world.violated(
            &["gc", "server killed"],
            &format!("gc failed: {} {said}", output.status),
        );
    }
}
