//! `docs/differences.md`: every difference there is, with its reason.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::compare::Difference;

/// Reason why an answer is not the one that people are used to.
const REASONS: &[&str] = &["specification", "security", "better"];
/// Any value; and in place of requests, all that show the difference.
const ANY: &str = "…";

/// One row of a table.
struct Row {
    section: String,
    aspect: String,
    theirs: String,
    ours: String,
    requests: Vec<String>,
}

pub struct Document(Vec<Row>);

impl Document {
    /// Reads the sections, which say their reason in brackets, and their tables.
    pub fn parse(text: &str) -> Self {
        let mut rows = Vec::new();
        let mut section = String::new();
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                assert!(
                    REASONS
                        .iter()
                        .any(|reason| title.ends_with(&format!("({reason})"))),
                    "no reason in the title '{title}'"
                );
                title.clone_into(&mut section);
            } else if let Some(row) = line
                .strip_prefix("| ")
                .filter(|row| !row.starts_with("aspect |") && !row.starts_with("---"))
            {
                let cells: Vec<String> = row
                    .trim_end_matches('|')
                    .split(" | ")
                    .map(|cell| cell.trim().trim_matches('`').to_owned())
                    .collect();
                let [aspect, theirs, ours, requests] = <[String; 4]>::try_from(cells)
                    .unwrap_or_else(|cells| panic!("not four cells: {cells:?}"));
                let requests = requests.split(", ").map(str::to_owned).collect();
                rows.push(Row {
                    section: section.clone(),
                    aspect,
                    theirs,
                    ours,
                    requests,
                });
            }
        }
        Self(rows)
    }

    /// Differences found but not listed, as rows to add, and those listed but not found.
    pub fn check(&self, found: &[Difference]) -> String {
        let mut report = String::new();
        let mut unlisted: BTreeMap<(&str, &str, &str), Vec<&str>> = BTreeMap::new();
        for difference in found {
            match self.0.iter().filter(|row| row.names(difference)).count() {
                0 => unlisted
                    .entry((&difference.aspect, &difference.theirs, &difference.ours))
                    .or_default()
                    .push(&difference.request),
                1 => {}
                _ => _ = writeln!(report, "listed more than once: {difference:?}"),
            }
        }
        for ((aspect, theirs, ours), requests) in unlisted {
            _ = writeln!(
                report,
                "| {aspect} | `{theirs}` | `{ours}` | {} |",
                requests.join(", ")
            );
        }
        for row in &self.0 {
            for request in &row.requests {
                let occurs = found
                    .iter()
                    .any(|difference| row.covers(difference, request));
                if !occurs {
                    _ = writeln!(
                        report,
                        "no more: {} of '{request}', under '{}'",
                        row.aspect, row.section
                    );
                }
            }
        }
        report
    }

    /// True if a request lists the difference by name.
    pub fn is_particular(&self, difference: &Difference) -> bool {
        self.0
            .iter()
            .any(|row| row.names(difference) && row.requests.contains(&difference.request))
    }
}

impl Row {
    fn names(&self, difference: &Difference) -> bool {
        self.requests
            .iter()
            .any(|request| self.covers(difference, request))
    }

    fn covers(&self, difference: &Difference, request: &str) -> bool {
        let is = |pattern: &str, value: &str| pattern == ANY || pattern == value;
        self.aspect == difference.aspect
            && is(&self.theirs, &difference.theirs)
            && is(&self.ours, &difference.ours)
            && is(request, &difference.request)
    }
}
