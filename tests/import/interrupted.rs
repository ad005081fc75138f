//! A take-over that is under way, killed, impossible, or not wanted.

use std::fs;
use std::process::Stdio;

use super::{KILLS, Store, checked, rounds_of_kills, tags, taken_over};
use crate::start::{command, sentence};
use crate::support::server::read_address;
use crate::support::{Image, Server, eventually, eventually_some, noise};

/// Puts a link there to what cannot be read, for a reason that is not its own, so that the take-over fails and is tried again.
fn stop_at(store: &Store) -> std::path::PathBuf {
    let path = store.tag_path("zz", "v1");
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    // the kernel only lets it be written
    std::os::unix::fs::symlink("/proc/self/clear_refs", &path).expect("a link");
    path
}

#[test]
fn clients_wait_and_probes_tell_how_far_it_is() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    store.image("app", "v1", &Image::small(1));
    let digest = store.image("zz", "v2", &Image::small(2));
    let obstacle = stop_at(&store);
    let mut server = Server::at(temporary.path(), &[]);
    let mut client = server.client();
    for path in [
        "/v2/",
        "/v2/_catalog",
        "/v2/app/manifests/v1",
        "/v2/app/blobs/x",
    ] {
        let answer = client.get(path);
        answer.refused(503, "UNAVAILABLE");
        assert_eq!(answer.header("retry-after"), Some("5"), "{answer:?}");
    }
    let push = client.request("POST", "/v2/app/blobs/uploads/").send();
    push.refused(503, "UNAVAILABLE");
    assert_eq!(client.get("/livez").status, 200);
    let far = eventually_some("the first repository is done", || {
        let ready = client.get("/readyz");
        assert_eq!(ready.status, 503);
        let text = ready.json()["checks"]["import"].to_string();
        text.contains("1 of 2 repositories").then_some(text)
    });
    assert!(far.contains("taking over the store of registry:2"), "{far}");

    // killed here, it goes on at the next start
    server.kill();
    fs::remove_file(&obstacle).expect("removed");
    fs::write(&obstacle, &digest).expect("a link");
    server.restart();
    super::wait_until_available(&server);
    eventually("it is ready", || {
        server.client().get("/readyz").status == 200
    });
    let mut client = server.client();
    Image::small(1).assert_pulls(&mut client, "app", "v1");
    assert_eq!(tags(&mut client, "zz"), serde_json::json!(["v1", "v2"]));
}

/// A few random moments; the note has more.
#[test]
fn a_kill_at_any_moment_continues_at_the_next_start() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let images: Vec<_> = (0..60)
        .map(|seed| {
            Image::new(
                "x",
                (0..5).map(|layer| noise(seed * 5 + layer, 500)).collect(),
            )
        })
        .collect();
    for (number, image) in images.iter().enumerate() {
        store.image(&format!("r{}", number % 20), &format!("v{number}"), image);
    }
    let before = store.snapshot();
    let clear = || {
        for name in ["registry.db", "registry.db-wal", "registry.db-shm"] {
            let _ = fs::remove_file(temporary.path().join(name));
        }
        for name in ["blobs", "uploads"] {
            let _ = fs::remove_dir_all(temporary.path().join(name));
        }
    };
    let whole = std::time::Instant::now();
    drop(taken_over(temporary.path()));
    let whole = whole.elapsed();
    for round in 0..rounds_of_kills(5) {
        clear();
        let moments = noise(round + 1, 6);
        for moment in &moments[..KILLS] {
            let mut child = crate::support::server::command(temporary.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the server starts");
            // the moment is what is tried here; nothing is waited for
            std::thread::sleep(whole.mul_f64(f64::from(*moment) / 255.0));
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
        let server = taken_over(temporary.path());
        let mut client = server.client();
        for (number, image) in images.iter().enumerate() {
            image.assert_pulls(
                &mut client,
                &format!("r{}", number % 20),
                &format!("v{number}"),
            );
        }
        assert_eq!(server.blob_files().len(), 60 * 6 - 59);
    }
    assert_eq!(store.snapshot(), before);
}

#[test]
fn a_store_that_vanishes_on_the_way_is_missed() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    store.image("app", "v1", &Image::small(1));
    stop_at(&store);
    let mut server = Server::at(temporary.path(), &[]);
    server.client().get("/v2/").refused(503, "UNAVAILABLE");
    server.kill();
    let (here, away) = (
        temporary.path().join("docker"),
        temporary.path().join("away"),
    );
    fs::rename(&here, &away).expect("moved");
    let mut start = command(&["serve", "--addr", "127.0.0.1:0", "--data-dir"]);
    start.arg(temporary.path());
    let message = sentence(start);
    assert!(message.contains("put it back"), "{message}");
}

/// Two servers on one directory both take it over, and both serve.
#[test]
fn two_servers_may_take_over_simultaneously() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let images: Vec<_> = (0..30).map(Image::small).collect();
    for (number, image) in images.iter().enumerate() {
        store.image(&format!("r{number}"), "v1", image);
    }
    let servers: Vec<_> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| taken_over(temporary.path())))
            .collect();
        starting
            .into_iter()
            .map(|thread| thread.join().expect("a server"))
            .collect()
    });
    for server in &servers {
        let mut client = server.client();
        for (number, image) in images.iter().enumerate() {
            image.assert_pulls(&mut client, &format!("r{number}"), "v1");
        }
    }
}

/// Another user's files are not damage: the server waits until it can read them.
#[test]
fn a_store_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        crate::support::announce_skipped("a store that cannot be read", "root reads everything");
        return;
    }
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    store.image("app", "v1", &Image::small(1));
    let mode = |mode| {
        fs::set_permissions(store.repository("app"), fs::Permissions::from_mode(mode))
            .expect("a mode");
    };
    mode(0o000);
    let server = Server::at(temporary.path(), &[]);
    eventually("the failure is logged", || {
        server.log().contains("as the user that owns")
    });
    let ready = server.client().get("/readyz").json()["checks"]["import"].to_string();
    assert!(ready.contains("the registry's log says why"), "{ready}");
    server.client().get("/v2/").refused(503, "UNAVAILABLE");
    mode(0o755);
    super::wait_until_available(&server);
    Image::small(1).assert_pulls(&mut server.client(), "app", "v1");
    checked(&server);
}

#[test]
fn a_running_take_over_can_be_stopped() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    for number in 0..20 {
        store.image(&format!("r{number}"), "v1", &Image::small(number));
    }
    let mut child = crate::support::server::command(temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut out = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    let _ = read_address(&mut out);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signalled");
    assert!(child.wait().expect("it ends").success());
    let server = taken_over(temporary.path());
    Image::small(19).assert_pulls(&mut server.client(), "r19", "v1");
}
