//! A database that was altered or damaged: found, explained, and healed by a push or by `--repair`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;

use super::{found, verify};
use crate::support::{Image, Server};

/// Statements that damage the database, with the kind and the name under which each is found.
fn alterations() -> Vec<(String, &'static str, String)> {
    let digest = |seed| Image::small(seed).digest();
    vec![
        (
            format!(
                "UPDATE manifest_bytes SET bytes = CAST('{{}}' AS BLOB) WHERE manifest_id = (SELECT id FROM manifests WHERE digest = '{}')",
                digest(0)
            ),
            "manifest",
            digest(0),
        ),
        (
            format!(
                "DELETE FROM manifest_bytes WHERE manifest_id = (SELECT id FROM manifests WHERE digest = '{}')",
                digest(1)
            ),
            "manifest",
            digest(1),
        ),
        (
            "UPDATE repositories SET manifests = 7".to_owned(),
            "count",
            "app".to_owned(),
        ),
        (
            format!(
                "UPDATE manifests SET holders = 3 WHERE digest = '{}'",
                digest(2)
            ),
            "count",
            digest(2),
        ),
        (
            "UPDATE blobs SET links = 9 WHERE id = 1".to_owned(),
            "count",
            "links of blob".to_owned(),
        ),
        (
            "UPDATE repository_blobs SET holders = 9 WHERE blob_id = 2".to_owned(),
            "count",
            "that need blob".to_owned(),
        ),
        (
            "UPDATE tags SET manifest_id = 999 WHERE name = 'v4'".to_owned(),
            "database",
            "a row of tags".to_owned(),
        ),
        (
            format!(
                "INSERT INTO absent_references VALUES (1, 'sha256:{}', (SELECT id FROM manifests WHERE digest = '{}'), 0, NULL, 0)",
                "0".repeat(64),
                digest(3)
            ),
            "manifest",
            digest(3),
        ),
    ]
}

fn open(server: &Server) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(server.directory().join("registry.db"));
    let database = database.expect("the database");
    database
        .execute_batch("PRAGMA foreign_keys = OFF")
        .expect("off");
    database
}

#[test]
fn an_altered_database_is_found_and_repaired() {
    let server = Server::start();
    let mut client = server.client();
    let images: Vec<_> = (0..5).map(Image::small).collect();
    for (seed, image) in images.iter().enumerate() {
        image.push(&mut client, "app", &format!("v{seed}"));
    }
    let database = open(&server);
    // what a tag that points elsewhere leaves behind
    let mut expected = vec![("count", images[4].digest())];
    for (sql, kind, name) in alterations() {
        database
            .execute_batch(&sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        expected.push((kind, name.clone()));
        let (is_sound, printed) = verify(&server, &["--dry-run"]);
        let found = found(&printed, kind);
        assert!(
            !is_sound && found.iter().any(|found| found.contains(&name)),
            "{name} is not in {printed}"
        );
        for kind in ["blob", "manifest", "count", "database"] {
            for found in super::found(&printed, kind) {
                let is_altered =
                    |(altered, name): &(&str, String)| *altered == kind && found.contains(name);
                assert!(
                    expected.iter().any(is_altered),
                    "{kind} {found} was not altered"
                );
            }
        }
    }
    let (_, printed) = verify(&server, &[]);
    assert!(found(&printed, "blob").is_empty(), "{printed}");
    let output = server.cli(&["verify"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && text.contains("needed by app:v0"),
        "{text}"
    );
    // the tag that points nowhere is somebody's decision
    database
        .execute_batch("UPDATE tags SET manifest_id = (SELECT manifest_id FROM tags WHERE name = 'v3') WHERE name = 'v4'")
        .expect("mended");
    let (is_sound, _) = verify(&server, &["--repair"]);
    assert!(!is_sound);
    for (seed, image) in images.iter().enumerate() {
        image.push(&mut client, "app", &format!("v{seed}"));
        image.assert_pulls(&mut client, "app", &format!("v{seed}"));
    }
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
}

#[test]
fn a_damaged_manifest_is_not_served_and_healed_by_a_push() {
    let server = Server::start();
    let (mut client, image) = (server.client(), Image::small(1));
    image.push(&mut client, "app", "v1");
    open(&server)
        .execute_batch("UPDATE manifest_bytes SET bytes = CAST('{}' AS BLOB)")
        .expect("altered");
    let (is_sound, printed) = verify(&server, &[]);
    assert!(!is_sound);
    assert_eq!(printed["findings"][0]["outcome"], "withdrawn", "{printed}");
    for reference in ["v1", &image.digest()] {
        let path = format!("/v2/app/manifests/{reference}");
        assert_eq!(client.head(&path).status, 404);
        let answer = client.get(&path);
        answer.refused(404, "MANIFEST_UNKNOWN");
        let detail = &answer.json()["errors"][0]["detail"];
        assert!(
            detail["digest"] == image.digest() && detail["damage"].is_string(),
            "{detail}"
        );
    }
    assert!(server.log().contains("a damaged manifest is asked for"));
    image.push(&mut client, "app", "v1");
    image.assert_pulls(&mut client, "app", "v1");
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
}

#[test]
fn a_wrong_size_of_a_blob_is_found_and_mended() {
    let server = Server::start();
    let (mut client, image) = (server.client(), Image::small(1));
    image.push(&mut client, "app", "v1");
    open(&server)
        .execute_batch("UPDATE blobs SET size = size + 1 WHERE id = 1")
        .expect("altered");
    for (flags, outcome) in [(&["--dry-run"][..], "reported"), (&[], "repaired")] {
        let (is_sound, printed) = verify(&server, flags);
        assert!(!is_sound);
        let finding = &printed["findings"][0];
        assert_eq!(finding["outcome"], outcome, "{printed}");
        assert_eq!(finding["images"][0]["tags"][0], "v1", "{printed}");
    }
    image.assert_pulls(&mut client, "app", "v1");
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
}

/// Pages get other bytes, one after the other, as on a disk that forgets.
#[test]
fn a_hole_in_the_database_is_found_and_the_answer_says_what_to_do() {
    let mut server = Server::start();
    let mut client = server.client();
    for seed in 0..200 {
        Image::small(seed).push(&mut client, "app", &format!("v{seed}"));
    }
    server.stop();
    let database = open(&server);
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, usize>(0));
    number("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
    let free = number("PRAGMA freelist_count").expect("a number");
    drop(database);
    let path = server.directory().join("registry.db");
    let whole = fs::read(&path).expect("the database");
    let pages = whole.len() / 4096;
    assert!(pages > 40, "{pages}");
    let mut missed = 0;
    for page in (1..pages).step_by(pages / 12) {
        let file = fs::File::options().write(true).open(&path).expect("a file");
        file.write_all_at(&[0xa5; 4096], page as u64 * 4096)
            .expect("written");
        let output = server.cli(&["verify", "--dry-run"]);
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            missed += 1;
        } else {
            assert!(said.contains("backup"), "page {page}: {said}");
            assert!(!said.contains("\\n"), "page {page}: {said}");
            let mut lines: Vec<_> = said.lines().collect();
            lines.sort_unstable();
            let count = lines.len();
            lines.dedup();
            assert_eq!(lines.len(), count, "page {page}: {said}");
        }
        fs::write(&path, &whole).expect("restored");
    }
    assert!(missed <= free, "{missed} of {free} free pages");
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
}

/// By whichever process it was found, and until verification finds no more.
#[test]
fn the_probe_says_that_the_database_is_damaged() {
    let server = Server::start();
    let mut client = server.client();
    for seed in 0..200 {
        Image::small(seed).push(&mut client, "app", &format!("v{seed}"));
    }
    let state = |client: &mut crate::support::Client| {
        client.get("/readyz?verbose").json()["checks"]["database"].to_string()
    };
    let database = open(&server);
    let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, u64>(0));
    number("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'tag_history'";
    let page = number(sql).expect("a page");
    drop(database);
    let path = server.directory().join("registry.db");
    let whole = fs::read(&path).expect("the database");
    let file = fs::File::options().write(true).open(&path).expect("a file");
    let offset = (page - 1) * 4096;
    file.write_all_at(&[0xa5; 4096], offset).expect("written");
    assert!(!verify(&server, &[]).0);
    crate::support::eventually("the probe says so", || {
        state(&mut client).contains("the database is damaged")
    });
    assert_eq!(client.get("/readyz").status, 503);
    let offset = usize::try_from(offset).expect("small");
    let sound = &whole[offset..offset + 4096];
    file.write_all_at(sound, offset as u64).expect("written");
    verify(&server, &["--restart"]);
    crate::support::eventually("it is sound again", || state(&mut client) == "\"ok\"");
}

#[test]
fn one_changed_bit_in_each_of_100_manifests_is_found_and_nothing_else() {
    let server = Server::start();
    let mut client = server.client();
    let images: Vec<_> = (0..105).map(Image::small).collect();
    for (seed, image) in images.iter().enumerate() {
        image.push(&mut client, "app", &format!("v{seed}"));
    }
    let (altered, sound) = images.split_at(100);
    let database = open(&server);
    for (number, image) in altered.iter().enumerate() {
        let mut bytes = image.manifest.clone();
        bytes[number % image.manifest.len()] ^= 1 << (number % 8);
        let sql = "UPDATE manifest_bytes SET bytes = ?1
                   WHERE manifest_id = (SELECT id FROM manifests WHERE digest = ?2)";
        let changed = database.execute(sql, (&bytes, image.digest()));
        assert_eq!(changed.expect("altered"), 1);
    }
    let expected: BTreeSet<_> = altered.iter().map(Image::digest).collect();
    for flags in [&["--dry-run"][..], &[], &[]] {
        let (is_sound, printed) = verify(&server, flags);
        assert!(!is_sound);
        assert_eq!(found(&printed, "manifest"), expected, "{flags:?}");
        assert_eq!(printed["findingCount"], 100, "{flags:?}");
    }
    for (seed, image) in sound.iter().enumerate() {
        image.assert_pulls(&mut client, "app", &format!("v{}", 100 + seed));
    }
    for (seed, image) in altered.iter().enumerate() {
        image.push(&mut client, "app", &format!("v{seed}"));
        image.assert_pulls(&mut client, "app", &format!("v{seed}"));
    }
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
}
