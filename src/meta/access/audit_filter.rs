//! Filters of the audit log, and the queries that answer them by an index alone.

use rusqlite::types::Value;

/// Rows of the audit log that are asked for.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Text with which the repository begins; all of it if `is_whole`.
    pub repository: Option<String>,
    pub is_whole: bool,
    pub name: Option<String>,
    pub action: Option<&'static str>,
}

/// Numbers of rows between which a query looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Number of the first row.
    pub from: i64,
    /// Number after that of the last row.
    pub before: i64,
}

/// Query for matching rows and its values.
#[derive(Debug)]
pub(super) struct AuditQuery {
    pub sql: String,
    pub values: Vec<Value>,
}

/// Columns of a row.
const ROW: &str = "id, at, action, repository, tag, digest, former, name, credential, address, user_agent, detail";

/// Character above all those of names, which ends a range of names with one beginning.
const AFTER: char = '\u{7f}';

/// Actions that a push makes. Their rows are most of the log, so that a scan finds them soon.
const FREQUENT: [&str; 2] = ["push", "tag"];

impl AuditQuery {
    /// Returns the query of the rows in a span that are about repositories, oldest first.
    pub(super) fn about_repositories(span: Span, limit: usize) -> Self {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Self {
            sql: format!(
                "SELECT {ROW} FROM audit NOT INDEXED
                 WHERE id >= ? AND id < ? AND repository IS NOT NULL ORDER BY id LIMIT ?"
            ),
            values: [span.from, span.before, limit].map(Value::from).into(),
        }
    }
}

impl AuditFilter {
    /// Reports whether the index has the rows in another order than that of their numbers.
    pub(super) fn is_by_prefix(&self) -> bool {
        self.repository.is_some() && !self.is_whole
    }

    /// Returns the query of the rows in a span, newest first, by the index that knows most about them.
    pub(super) fn by_index(&self, span: Span, limit: usize) -> AuditQuery {
        let is_rare = self
            .action
            .is_some_and(|action| !FREQUENT.contains(&action));
        let index = match (&self.repository, &self.name, is_rare) {
            (Some(_), _, true) => "INDEXED BY audit_by_repository_and_action",
            (Some(_), _, false) => "INDEXED BY audit_by_repository",
            (None, Some(_), true) => "INDEXED BY audit_by_name_and_action",
            (None, Some(_), false) => "INDEXED BY audit_by_name",
            (None, None, true) => "INDEXED BY audit_by_action",
            (None, None, false) => "NOT INDEXED",
        };
        self.query(index, span, limit)
    }

    /// Returns the query of the rows in a span by their numbers.
    pub(super) fn by_number(&self, span: Span, limit: usize) -> AuditQuery {
        self.query("NOT INDEXED", span, limit)
    }

    fn query(&self, index: &str, span: Span, limit: usize) -> AuditQuery {
        let mut conditions = "id >= ? AND id < ?".to_owned();
        let mut values = vec![Value::from(span.from), Value::from(span.before)];
        let mut add = |condition: &str, value: &str| {
            conditions += condition;
            values.push(Value::from(value.to_owned()));
        };
        match (&self.repository, self.is_whole) {
            (Some(name), true) => add(" AND repository = ?", name),
            (Some(prefix), false) => {
                add(" AND repository >= ?", prefix);
                add(" AND repository < ?", &format!("{prefix}{AFTER}"));
            }
            (None, _) => {}
        }
        if let Some(name) = &self.name {
            add(" AND name = ?", name);
        }
        match self.action {
            Some(action) if FREQUENT.contains(&action) => add(" AND action = ?", action),
            // in the words of the indexes, which SQLite uses for nothing else
            Some(action) => add(" AND action NOT IN ('push', 'tag') AND action = ?", action),
            None => {}
        }
        // the index is enough to find them, and the rows of those that are not asked for stay unread
        let sql = format!(
            "SELECT {ROW} FROM audit WHERE id IN
             (SELECT id FROM audit {index} WHERE {conditions} ORDER BY id DESC LIMIT ?) ORDER BY id DESC"
        );
        values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
        AuditQuery { sql, values }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::meta::sqlite::connection::open_writer;

    fn plan(connection: &Connection, query: &AuditQuery) -> String {
        let mut plan = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {}", query.sql))
            .unwrap();
        let values = rusqlite::params_from_iter(query.values.clone());
        let steps = plan.query_map(values, |row| row.get::<_, String>(3));
        let steps: Vec<_> = steps.unwrap().map(Result::unwrap).collect();
        steps.join("; ")
    }

    /// A repository or prefix, a name, an action, and the index with its columns.
    type Case = (
        Option<(&'static str, bool)>,
        Option<&'static str>,
        Option<&'static str>,
        &'static str,
    );

    const CASES: [Case; 8] = [
        (
            Some(("a", true)),
            None,
            None,
            "audit_by_repository (repository=? AND id>? AND id<?)",
        ),
        (
            Some(("a", true)),
            Some("n"),
            Some("delete"),
            "audit_by_repository_and_action (repository=? AND action=? AND id>? AND id<?)",
        ),
        (
            Some(("a/", false)),
            None,
            None,
            "audit_by_repository (repository>? AND repository<?)",
        ),
        (
            Some(("a/", false)),
            Some("n"),
            Some("push"),
            "audit_by_repository (repository>? AND repository<?)",
        ),
        (
            None,
            Some("n"),
            None,
            "audit_by_name (name=? AND id>? AND id<?)",
        ),
        (
            None,
            Some("n"),
            Some("push"),
            "audit_by_name (name=? AND id>? AND id<?)",
        ),
        (
            None,
            Some("n"),
            Some("delete"),
            "audit_by_name_and_action (name=? AND action=? AND id>? AND id<?)",
        ),
        (
            None,
            None,
            Some("delete"),
            "audit_by_action (action=? AND id>? AND id<?)",
        ),
    ];

    #[test]
    fn every_filter_is_answered_by_an_index_alone() {
        let directory = tempfile::TempDir::new().unwrap();
        let connection = open_writer(&directory.path().join("db")).unwrap();
        let span = Span {
            from: 0,
            before: 1_000_001,
        };
        for (repository, name, action, expected) in CASES {
            let filter = AuditFilter {
                repository: repository.map(|(text, _)| text.to_owned()),
                is_whole: repository.is_some_and(|(_, is_whole)| is_whole),
                name: name.map(str::to_owned),
                action,
            };
            let found = plan(&connection, &filter.by_index(span, 10));
            let steps: Vec<_> = found.split("; ").collect();
            assert_eq!(
                steps[..2],
                [
                    "SEARCH audit USING INTEGER PRIMARY KEY (rowid=?)",
                    "LIST SUBQUERY 1"
                ],
                "{found}"
            );
            assert_eq!(
                steps[2],
                format!("SEARCH audit USING COVERING INDEX {expected}"),
                "{filter:?}"
            );
            assert_eq!(
                steps.len() - 3,
                usize::from(filter.is_by_prefix()),
                "only a prefix needs sorting: {found}"
            );
        }
        let all = AuditFilter::default();
        let found = plan(&connection, &all.by_index(span, 10));
        assert!(
            found.ends_with("SEARCH audit USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
            "{found}"
        );
    }
}
