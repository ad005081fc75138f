//! Tags that manifests had, by the history of tags.

use std::collections::HashMap;

use crate::meta::error::Error;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::row::digest;
use crate::oci::Digest;

impl Reader<'_> {
    /// Returns the tags that manifests of a repository had and have lost, by digest; of each, the last one first.
    pub fn former_tags(&self, repository: &str) -> Result<HashMap<Digest, Vec<String>>, Error> {
        self.query(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT digest, tag FROM repositories JOIN tag_history ON repository_id = repositories.id
                 WHERE repositories.name = ?1 GROUP BY digest, tag ORDER BY max(tag_history.id) DESC",
            )?;
            let mut former: HashMap<_, Vec<_>> = HashMap::new();
            for row in statement.query_map([repository], |row| Ok((digest(row, 0)?, row.get(1)?)))? {
                let (digest, tag) = row?;
                former.entry(digest).or_default().push(tag);
            }
            Ok(former)
        })
    }
}
