//! A system clock that jumps: nothing is collected too early, and nothing stays for years.
//!
//! The clock is set for single processes, by a library that shifts it by the seconds in a file.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::support::{Image, Server, eventually, sha256};

const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void) {
    char text[32] = {0};
    const char *path = getenv("CLOCK_OFFSET");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
        close(file);
    }
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += offset();
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    int result = syscall(SYS_gettimeofday, time, zone);
    if (result == 0) time->tv_sec += offset();
    return result;
}
"#;

const TEN_YEARS: i64 = 10 * 365 * 24 * 3600;
const SETTINGS: [(&str, &str); 4] = [
    (
        "REGISTRY_POLICIES",
        "[{repositories: '**', tags: [{match: ['*'], younger: 90d}]}]",
    ),
    ("REGISTRY_GC_INTERVAL", "20ms"),
    (
        "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_INTERVAL",
        "20ms",
    ),
    ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
];

/// A clock that can be set, and the data directory of the processes that go by it.
struct Clock {
    directory: TempDir,
    environment: [(&'static str, String); 2],
}

impl Clock {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let [source, library, offset] =
            ["clock.c", "clock.so", "offset"].map(|name| directory.path().join(name));
        std::fs::write(&source, LIBRARY).expect("a file");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status();
        assert!(compiled.expect("a C compiler").success());
        let text = |path: &PathBuf| path.display().to_string();
        let environment = [
            ("LD_PRELOAD", text(&library)),
            ("CLOCK_OFFSET", text(&offset)),
        ];
        let clock = Self {
            directory,
            environment,
        };
        clock.set(0);
        clock
    }

    /// Makes the clock wrong by so many seconds.
    fn set(&self, offset: i64) {
        let path = self.directory.path().join("offset");
        let new = path.with_extension("new");
        std::fs::write(&new, offset.to_string()).expect("a file");
        std::fs::rename(new, path).expect("it is replaced");
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn server(&self) -> Server {
        let mut settings = SETTINGS.to_vec();
        settings.extend(
            self.environment
                .iter()
                .map(|(name, value)| (*name, &**value)),
        );
        Server::at(&self.data(), &settings)
    }

    fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(self.data())
            .envs(self.environment.iter().cloned());
        command.output().expect("the command runs")
    }

    /// Collects in another process, which ends when everything that is due is removed.
    fn collect(&self) {
        let output = self.cli(&["gc"]);
        assert!(output.status.success(), "{output:?}");
    }
}

/// Asserts that no time is recorded that is still to come, and no deadline that is more than eight days away.
fn assert_no_future(data: &Path) {
    let path = data.join("registry.db");
    let database =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    for condition in [
        "tags WHERE updated_at > now",
        "tags WHERE pulled_at > now",
        "manifests WHERE pushed_at > now",
        "manifests WHERE review_from > now",
        "repository_blobs WHERE idle_since > now",
        "blobs WHERE idle_since > now",
        "trash WHERE deleted_at > now",
        "tag_history WHERE until > now",
        "uploads WHERE expires_at > now + 8 * 24 * 3600 * 1000",
        "audit WHERE at > now",
        "tokens WHERE created_at > now",
        "token_secrets WHERE expires_at > now + 3 * 3600 * 1000",
    ] {
        let sql =
            format!("SELECT count(*) FROM (SELECT unixepoch() * 1000 + 1000 AS now), {condition}");
        let found: u64 = database
            .query_row(&sql, [], |row| row.get(0))
            .expect("a count");
        assert_eq!(found, 0, "{condition}");
    }
}

#[test]
fn ten_years_ahead_and_back_lose_nothing() {
    let clock = Clock::new();
    let mut server = clock.server();
    let client = &mut server.client();
    let (kept, deleted, late) = (Image::small(1), Image::small(2), Image::small(3));
    kept.push(client, "app", "kept");
    deleted.push(client, "app", "deleted");
    let path = format!("/v2/app/manifests/{}", deleted.digest());
    assert_eq!(client.delete(&path).status, 202);
    let upload = client.begin_upload("app");

    clock.set(TEN_YEARS);
    eventually("the jump is logged", || {
        server.log().contains("the clock is ahead")
    });
    let check = |server: &Server| {
        clock.collect();
        let client = &mut server.client();
        kept.assert_pulls(client, "app", "kept");
        for blob in [&deleted.config, &deleted.layers[0]] {
            let path = format!("/v2/app/blobs/{}", sha256(blob));
            assert_eq!(client.head(&path).status, 200, "its lease goes on");
        }
        let open = client.get(&upload).status;
        assert_eq!(open, 204, "the session goes on");
    };
    check(&server);
    late.push(client, "late", "late");
    client.begin_upload("late");
    drop(client.delete(&format!("/v2/late/manifests/{}", late.digest())));
    late.push(client, "late", "again");
    let token = [
        "token",
        "create",
        "late",
        "--repositories",
        "**",
        "--may",
        "pull",
        "--expires",
        "2h",
    ];
    assert!(clock.cli(&token).status.success());

    // a start does not take the wrong clock for time off either
    server.stop();
    server.restart();
    check(&server);

    clock.set(0);
    eventually("the return is logged", || {
        server.log().contains("the clock is back")
    });
    check(&server);
    late.assert_pulls(&mut server.client(), "late", "again");
    assert_no_future(&clock.data());
    let audit = clock.cli(&["audit", "--repository", "app"]).stdout;
    let audit = String::from_utf8_lossy(&audit);
    assert!(audit.contains("kept"), "rows of before the jump: {audit}");
}

/// After a boot nothing but the clock tells how long the machine was off.
#[test]
fn years_between_two_starts_do_not_count() {
    let clock = Clock::new();
    let mut server = clock.server();
    let kept = Image::small(1);
    kept.push(&mut server.client(), "app", "kept");
    server.stop();
    clock.set(TEN_YEARS);
    // offline, too
    clock.collect();
    server.restart();
    eventually("the jump is logged", || {
        server.log().contains("the clock is ahead")
    });
    clock.collect();
    kept.assert_pulls(&mut server.client(), "app", "kept");
}

#[test]
fn a_clock_that_was_always_ahead_is_set_back_once_its_owner_says_so() {
    let clock = Clock::new();
    clock.set(TEN_YEARS);
    let mut server = clock.server();
    let client = &mut server.client();
    let kept = Image::small(1);
    kept.push(client, "app", "kept");
    let upload = client.begin_upload("app");
    server.stop();

    clock.set(0);
    server.restart();
    eventually("the lag is logged", || {
        server.log().contains("the system's clock is behind")
    });
    clock.collect();
    kept.assert_pulls(&mut server.client(), "app", "kept");
    let accepted = clock.cli(&["gc", "--accept-clock", "--output", "json"]);
    assert!(accepted.status.success(), "{accepted:?}");
    let accepted: serde_json::Value = serde_json::from_slice(&accepted.stdout).expect("JSON");
    assert_eq!(accepted, serde_json::json!({ "accepted": true }));
    eventually("it is set back", || {
        server.log().contains("the clock is set back")
    });
    clock.collect();
    kept.assert_pulls(&mut server.client(), "app", "kept");
    assert_eq!(server.client().get(&upload).status, 204);
    assert_no_future(&clock.data());
    let refused = clock.cli(&["gc", "--accept-clock"]);
    let sentence = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && sentence.contains("is not behind"),
        "{sentence}"
    );
}
