//! An upload's hash state is stored in its session's row: it continues after a restart without
//! reading the file back.

use std::path::Path;

use rusqlite::{Connection, params};
use tarkeep::blob::Hasher;
use tarkeep::oci::Algorithm;

use crate::protocol::sha512;
use crate::support::{Server, noise, sha256};

/// Length that is no multiple of the hash's block size.
const ARRIVED: usize = (64 << 20) + 13;

/// Number of bytes that the server has read from files.
fn bytes_read(server: &Server) -> usize {
    let path = format!("/proc/{}/io", server.pid());
    let counters = std::fs::read_to_string(path).expect("Linux tells");
    counters
        .lines()
        .find_map(|line| line.strip_prefix("rchar: "))
        .expect("a counter")
        .parse()
        .expect("a number")
}

/// Sends `chunks` of `content`, kills the server, applies `change` to its database, and sends the
/// rest to a new process. Verifies the digest and the bytes, and returns how much the new process
/// read from files.
fn finish_after_crash(
    content: &[u8],
    chunks: &[usize],
    algorithm: Algorithm,
    change: impl FnOnce(&Connection),
) -> usize {
    let mut server = Server::start();
    let mut client = server.client();
    let path = format!(
        "/v2/a/blobs/uploads/?digest-algorithm={}",
        algorithm.as_str()
    );
    let begun = client.request("POST", &path).send();
    let location = begun.header("location").expect("a location").to_owned();
    let mut sent = 0;
    for chunk in chunks {
        let body = &content[sent..sent + chunk];
        let response = client.request("PATCH", &location).body(body).send();
        assert_eq!(response.status, 202, "{response:?}");
        sent += chunk;
    }
    // the next chunk does not need the earlier ones either
    let read = bytes_read(&server);
    assert!(read < 1 << 20, "{algorithm:?}: {read} bytes were read");
    server.kill();
    change(&open_database(server.directory()));
    server.restart();

    let mut client = server.client();
    assert_eq!(client.get("/v2/").status, 200);
    let before = bytes_read(&server);
    let digest = match algorithm {
        Algorithm::Sha256 => sha256(content),
        Algorithm::Sha512 => sha512(content),
    };
    let response = client
        .request("PUT", &format!("{location}&digest={digest}"))
        .body(&content[sent..])
        .send();
    assert_eq!(response.status, 201, "{response:?}");
    let read = bytes_read(&server) - before;
    assert!(client.get(&format!("/v2/a/blobs/{digest}")).body == content);
    read
}

fn open_database(directory: &Path) -> Connection {
    Connection::open(directory.join("registry.db")).expect("a database")
}

/// Returns the hash state of the only session.
fn hash_state(database: &Connection) -> Option<Vec<u8>> {
    database
        .query_row("SELECT hash_state FROM uploads", [], |row| row.get(0))
        .expect("a session")
}

fn set_hash_state(database: &Connection, state: &[u8]) {
    let changed = database.execute("UPDATE uploads SET hash_state = ?1", params![state]);
    assert_eq!(changed, Ok(1));
}

#[test]
fn an_upload_resumes_after_a_crash_without_rereading_its_file() {
    let content = noise(1, ARRIVED + 1000);
    for algorithm in Algorithm::ALL {
        let is_saved = Hasher::new(algorithm).save().is_some();
        let chunks = [ARRIVED / 2, ARRIVED - ARRIVED / 2];
        let read = finish_after_crash(&content, &chunks, algorithm, |database| {
            assert_eq!(hash_state(database).is_some(), is_saved);
        });
        // includes reads of the database
        let expected = if is_saved {
            0..1 << 20
        } else {
            ARRIVED..ARRIVED + (1 << 20)
        };
        assert!(
            expected.contains(&read),
            "{algorithm:?}: {read} bytes were read"
        );
    }
}

#[test]
fn an_unusable_hash_state_is_replaced_by_rereading_the_file() {
    let content = noise(2, 2_000_013);
    let check = |change: &dyn Fn(&Connection)| {
        let read = finish_after_crash(&content, &[500_001, 999_000], Algorithm::Sha256, change);
        assert!(read >= 1_499_001, "{read} bytes were read");
    };
    check(&|database| {
        let changed = database.execute("UPDATE uploads SET hash_state = NULL", []);
        assert_eq!(changed, Ok(1));
    });
    check(&|database| set_hash_state(database, b""));
    check(&|database| set_hash_state(database, &[0; 115]));
    let mut earlier = Hasher::new(Algorithm::Sha256);
    earlier.update(&content[..500_001]);
    let mut other = Hasher::new(Algorithm::Sha512);
    other.update(&content[..1_499_001]);
    for state in [earlier, other].iter().filter_map(Hasher::save) {
        check(&|database| set_hash_state(database, &state));
    }
    if Hasher::new(Algorithm::Sha256).save().is_none() {
        return;
    }
    // format, length, hash value, unfinished block, checksum
    for place in [0, 2, 20, 60, 114] {
        check(&|database| {
            let mut state = hash_state(database).expect("a state");
            state[place] ^= 1;
            set_hash_state(database, &state);
        });
    }
}
