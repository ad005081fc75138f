//! Damage in what people look at: `ls`, `inspect` and `why`.

use serde_json::json as value;

use super::super::{json, refusal, text};
use super::{path_of, replace, verify};
use crate::support::{Image, Server, sha256};

#[test]
fn a_damaged_blob_is_shown_with_the_images_that_need_it() {
    let server = Server::start();
    let (mut client, image, other) = (server.client(), Image::small(1), Image::small(2));
    image.push(&mut client, "app", "v1");
    other.push(&mut client, "app", "v2");
    assert!(!text(&server, &["ls", "app"]).contains("DAMAGED"));
    let digest = sha256(&image.layers[0]);
    replace(&path_of(&server, &digest), b"x");
    assert!(!verify(&server, &[]).0);

    let listed = json(&server, &["ls", "app"]);
    assert_eq!(
        (
            &listed["tags"][0]["damage"][0]["digest"],
            &listed["tags"][1]["damage"]
        ),
        (&digest.as_str().into(), &value!([]))
    );
    let table = text(&server, &["ls", "app"]);
    assert!(
        table.contains("DAMAGED") && table.contains("1 piece"),
        "{table}"
    );
    let inspected = json(&server, &["inspect", "app:v1"]);
    assert_eq!(inspected["damage"], listed["tags"][0]["damage"]);
    let facts = text(&server, &["inspect", "app:v1"]);
    assert!(
        facts.contains(&format!("Damaged        {digest}: "))
            && facts.contains("not served until it is pushed again"),
        "{facts}"
    );
    let why = json(&server, &["why", &digest]);
    assert_eq!(why["damage"], inspected["damage"]);
    assert_eq!(why["damagedImages"], value!(["app:v1"]));
    let said = text(&server, &["why", &digest]);
    assert!(
        said.contains("is a damaged blob")
            && said.contains("it is damaged, and not served until it is pushed again: ")
            && said.contains("needed by app:v1"),
        "{said}"
    );
    let said = text(&server, &["why", "app:v1"]);
    assert!(
        said.contains(&format!("its part {digest} is damaged")),
        "{said}"
    );

    image.push(&mut client, "app", "v1");
    assert_eq!(
        json(&server, &["ls", "app"])["tags"][0]["damage"],
        value!([])
    );
}

#[test]
fn a_tag_with_a_damaged_manifest_is_still_listed() {
    let server = Server::start();
    let (mut client, image) = (server.client(), Image::small(1));
    image.push(&mut client, "app", "v1");
    let database = rusqlite::Connection::open(server.directory().join("registry.db"));
    database
        .expect("the database")
        .execute("UPDATE manifest_bytes SET bytes = x'7b7d'", [])
        .expect("a change");
    assert!(!verify(&server, &[]).0);
    let listed = json(&server, &["ls", "app"]);
    let tag = &listed["tags"][0];
    assert_eq!(
        (&tag["tag"], &tag["size"], &tag["damage"][0]["digest"]),
        (&"v1".into(), &value!(null), &image.digest().into())
    );
    assert!(text(&server, &["ls", "app"]).contains("1 piece"));
    assert!(refusal(&server, &["inspect", "app:v1"]).contains("is damaged"));
}
