//! Checks of the final state: exactly the needed content is left, in responses, on disk and in the
//! database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::campaign::Campaign;
use super::clients::checked::{CheckedClient, ServerDied};
use super::journal::short;
use super::kills;
use super::repository::Repository;
use crate::crash::audit;
use crate::crash::random::Random;
use crate::support::Server;

/// Expected content of each repository at the end.
type Kept = Vec<BTreeSet<String>>;

/// Checks an idle registry after waiting until it has collected everything due.
pub fn check(campaign: &Campaign, server: &Server, random: Random) {
    let mut client = CheckedClient::new(campaign, random);
    let now = Instant::now();
    campaign
        .journal
        .note(now, now, "all clients stopped".to_owned());
    let alive = "the server is not killed any more";
    let kept: Kept = (0..campaign.repositories.len())
        .map(|number| client.read_all(&mut campaign.lock(number)).expect(alive))
        .collect();
    wait_for_disk(campaign, server, &kept);
    wait_for_links(campaign, server, &kept);
    wait_for_trash(campaign);
    for (number, kept) in kept.iter().enumerate() {
        let mut repository = campaign.lock(number);
        repository.settled(kept, Instant::now());
        client.check_exactly(&mut repository, kept).expect(alive);
    }
    // uploads of killed servers, and unfinished work of killed collections
    kills::collect_once(campaign, &["--online"], None);
    audit::check_cleared(server.directory());
    check_counts(campaign, server);
}

fn shown(campaign: &Campaign, kept: &BTreeSet<String>) -> BTreeSet<String> {
    kept.iter()
        .flat_map(|digest| campaign.stock.items[digest].blobs.clone())
        .collect()
}

/// Waits until exactly the needed blobs have files.
fn wait_for_disk(campaign: &Campaign, server: &Server, kept: &Kept) {
    let expected: BTreeSet<String> = kept.iter().flat_map(|kept| shown(campaign, kept)).collect();
    let deadline = Instant::now() + campaign.retention.all_over();
    loop {
        let name = |path: &std::path::PathBuf| {
            path.file_name()
                .and_then(|name| name.to_str())
                .map(|hex| format!("sha256:{hex}"))
        };
        let found: BTreeSet<String> = server.blob_files().iter().filter_map(name).collect();
        if found == expected {
            return;
        }
        let (lost, left): (Vec<_>, Vec<_>) = found
            .symmetric_difference(&expected)
            .partition(|digest| expected.contains(*digest));
        if !lost.is_empty() || Instant::now() > deadline {
            let words: Vec<_> = lost
                .iter()
                .chain(&left)
                .take(4)
                .map(|digest| short(digest))
                .collect();
            campaign.violated(
                &words,
                &format!(
                    "at rest, the files of {lost:?} are missing, and those of {left:?} are left"
                ),
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until each repository has exactly the blobs that its manifests need. Reads the database,
/// because a request for a blob would extend its lease.
fn wait_for_links(campaign: &Campaign, server: &Server, kept: &Kept) {
    let connection = open(server);
    let names = (0..kept.len()).map(|number| campaign.lock(number).name.clone());
    let links = |(name, kept): (String, &BTreeSet<String>)| {
        shown(campaign, kept)
            .into_iter()
            .map(move |blob| (name.clone(), blob))
    };
    let expected: BTreeSet<(String, String)> = names.zip(kept).flat_map(links).collect();
    let deadline = Instant::now() + campaign.retention.all_over();
    let sql = "SELECT name, digest FROM repository_blobs JOIN repositories ON repositories.id = repository_id JOIN blobs ON blobs.id = blob_id";
    loop {
        let mut statement = connection.prepare(sql).expect("a schema as expected");
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("rows");
        let found: BTreeSet<(String, String)> = rows.collect::<Result<_, _>>().expect("rows");
        if found == expected {
            return;
        }
        let (lost, left): (Vec<_>, Vec<_>) = found
            .symmetric_difference(&expected)
            .partition(|link| expected.contains(*link));
        if !lost.is_empty() || Instant::now() > deadline {
            let mut words: Vec<_> = lost
                .iter()
                .chain(&left)
                .take(4)
                .map(|(_, digest)| short(digest))
                .collect();
            let holders: Vec<_> = left
                .iter()
                .flat_map(|(repository, blob)| holders(&connection, repository, blob))
                .collect();
            words.extend(holders.iter().map(|(manifest, _)| short(manifest)));
            campaign.violated(&words, &format!("at rest, {lost:?} are not shown, and {left:?} are still shown, held by {holders:#?}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The manifests that need a blob in a repository, with their rows and tags.
fn holders(connection: &Connection, repository: &str, blob: &str) -> Vec<(String, String)> {
    let sql = "SELECT manifests.digest, 'holders ' || manifests.holders || ', idle since ' || ifnull(manifests.idle_since, '-') || ', review from '
            || ifnull(manifests.review_from, '-') || ', held by ' || ifnull(held_by, '-') || ', link idle since ' || ifnull(link.idle_since, '-')
            || ', now ' || unixepoch('subsec') || ', tags ' || ifnull((SELECT group_concat(name) FROM tags WHERE manifest_id = manifests.id), '-')
        FROM manifests JOIN repositories ON repositories.id = repository_id JOIN manifest_blobs ON manifest_id = manifests.id
        JOIN blobs ON blobs.id = blob_id JOIN repository_blobs AS link ON link.blob_id = blobs.id AND link.repository_id = repositories.id
        WHERE repositories.name = ?1 AND blobs.digest = ?2";
    let mut statement = connection.prepare(sql).expect("a schema as expected");
    let rows = statement
        .query_map([repository, blob], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

fn open(server: &Server) -> Connection {
    let path = server.directory().join("registry.db");
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    connection
        .busy_timeout(Duration::from_secs(20))
        .expect("a timeout");
    connection
}

/// Waits until the trash is empty and no tag history is left.
fn wait_for_trash(campaign: &Campaign) {
    let deadline = Instant::now() + campaign.retention.all_over();
    loop {
        let trash = campaign
            .block_on(campaign.registry.trash().list(None, String::new()))
            .expect("the trash")
            .items;
        if trash.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            let digest = trash[0].digest.to_string();
            campaign.violated(
                &[short(&digest)],
                &format!("at rest, the trash still holds {trash:?}"),
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl CheckedClient<'_> {
    /// Reads everything that is certainly present; returns the manifests that stay for good: tagged
    /// ones, what they need, and their referrers.
    fn read_all(&mut self, repository: &mut Repository) -> Result<BTreeSet<String>, ServerDied> {
        for digest in repository.manifests.keys().cloned().collect::<Vec<_>>() {
            self.read_manifest(repository, "GET", &digest)?;
        }
        for blob in repository.blobs.keys().cloned().collect::<Vec<_>>() {
            self.read_blob(repository, "GET", &blob)?;
        }
        for tag in repository.tags.keys().cloned().collect::<Vec<_>>() {
            self.read_tag(repository, "GET", &tag)?;
        }
        for tag in repository.orphaned_tags() {
            self.untag(repository, &tag)?;
        }
        let mut kept: BTreeSet<String> = BTreeSet::new();
        loop {
            let before = kept.len();
            let now = Instant::now();
            for (name, tag) in &repository.tags {
                // a tag bound to an image is removed with it
                if tag.image().is_none_or(|image| kept.contains(image))
                    && repository.is_tag_sure(name, now)
                {
                    kept.insert(tag.digest.clone());
                }
            }
            for manifest in repository.manifests.values() {
                if kept.contains(&manifest.item.digest) {
                    kept.extend(manifest.item.children.iter().cloned());
                }
            }
            let waiting = repository.manifests.values().filter(|manifest| {
                manifest
                    .item
                    .subject
                    .as_ref()
                    .is_some_and(|subject| kept.contains(subject))
                    && !kept.contains(&manifest.item.digest)
            });
            for referrer in waiting
                .map(|manifest| manifest.item.digest.clone())
                .collect::<Vec<_>>()
            {
                // its subject stays for good, so if the referrer is present now, it stays too
                if self.read_manifest(repository, "GET", &referrer)? {
                    kept.insert(referrer);
                }
            }
            if kept.len() == before {
                return Ok(kept);
            }
        }
    }

    /// Requests all known content and asserts that exactly the needed content is present.
    fn check_exactly(
        &mut self,
        repository: &mut Repository,
        kept: &BTreeSet<String>,
    ) -> Result<(), ServerDied> {
        let campaign = self.campaign;
        for digest in campaign.stock.items.keys() {
            if self.read_manifest(repository, "GET", digest)? != kept.contains(digest) {
                let message = format!(
                    "{}: at rest, {digest} is {}",
                    repository.name,
                    if kept.contains(digest) {
                        "missing"
                    } else {
                        "there"
                    }
                );
                campaign.violated(&[short(digest)], &message);
            }
        }
        let shown = shown(campaign, kept);
        for blob in campaign.stock.blobs.keys() {
            if self.read_blob(repository, "GET", blob)? != shown.contains(blob) {
                let message = format!(
                    "{}: at rest, {blob} is {}",
                    repository.name,
                    if shown.contains(blob) {
                        "missing"
                    } else {
                        "there"
                    }
                );
                campaign.violated(&[short(blob)], &message);
            }
        }
        kept.iter()
            .try_for_each(|digest| self.referrers(repository, digest))?;
        self.list_tags(repository)
    }
}

/// Checks that stored counts match the rows.
fn check_counts(campaign: &Campaign, server: &Server) {
    let connection = open(server);
    let deadline = Instant::now() + campaign.retention.all_over();
    for (what, sql) in COUNTS {
        loop {
            let mut statement = connection.prepare(sql).expect("a schema as expected");
            let found: BTreeMap<String, String> = statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
                .expect("rows")
                .collect::<Result<_, _>>()
                .expect("rows");
            if found.is_empty() {
                break;
            }
            // pending removals are cleared a moment after the files, and histories with time
            if Instant::now() > deadline {
                let words: Vec<_> = found.keys().map(|key| short(key)).collect();
                campaign.violated(&words, &format!("at rest, {what}: {found:?}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Forbidden states, each with a name, a description and the query that would find it.
const COUNTS: [(&str, &str); 8] = [
    (
        "links with a wrong count of holders",
        "SELECT digest, name || ': ' || holders FROM (SELECT digest, name, holders, link.idle_since, (
             SELECT count(*) FROM manifest_blobs JOIN manifests ON manifests.id = manifest_id
             WHERE manifest_blobs.blob_id = link.blob_id AND manifests.repository_id = link.repository_id) AS real
         FROM repository_blobs AS link JOIN blobs ON blobs.id = blob_id JOIN repositories ON repositories.id = link.repository_id)
         WHERE holders <> real OR (real = 0) <> (idle_since IS NOT NULL)",
    ),
    (
        "blobs with a wrong count of links",
        "SELECT digest, links FROM (SELECT digest, links, idle_since, (SELECT count(*) FROM repository_blobs WHERE blob_id = blobs.id)
         AS real FROM blobs) WHERE links <> real OR (real = 0) <> (idle_since IS NOT NULL)",
    ),
    (
        "manifests with a wrong count of holders",
        "SELECT digest, holders FROM (SELECT digest, holders, idle_since, review_from,
             (SELECT count(*) FROM tags WHERE manifest_id = manifests.id)
             + (SELECT count(*) FROM manifest_children WHERE child_id = manifests.id) + (held_by IS NOT NULL) AS real FROM manifests)
         WHERE holders <> real OR (real = 0) <> (idle_since IS NOT NULL) OR (real = 0) <> (review_from IS NOT NULL)",
    ),
    (
        "referrers that their subject does not hold",
        "SELECT manifests.digest, manifests.subject FROM manifests
         JOIN manifests AS subjects ON subjects.repository_id = manifests.repository_id AND subjects.digest = manifests.subject
         WHERE manifests.held_by IS NOT subjects.id",
    ),
    ("files to be removed", "SELECT digest, id || '' FROM removals"),
    ("histories that are over", "SELECT digest, tag FROM tag_history"),
    ("uploads of nobody", "SELECT id, repository FROM uploads WHERE expires_at < unixepoch('subsec') * 1000"),
    ("empty repositories", "SELECT name, id || '' FROM repositories WHERE manifests = 0"),
];
