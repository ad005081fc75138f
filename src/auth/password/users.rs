//! Content of a htpasswd file: a user and a bcrypt hash on each line.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::basic::text;
use super::bcrypt_hash::{BcryptHash, DEFAULT_COST};

/// Maximum number of invalid lines that an error names.
const MOST_NAMED: usize = 10;

/// Invalid line of a htpasswd file.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("line {line} is not USER:HASH")]
    Line { line: usize },
    #[error("line {line}, user '{user}': {cause}; create one with registry htpasswd -Bn {user}")]
    Hash {
        line: usize,
        user: String,
        cause: String,
    },
}

/// User and hash on one line.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Line number, from 1.
    pub line: usize,
    pub user: String,
    /// Unvalidated text after the colon.
    pub hash: String,
}

/// Returns the entries of a file.
///
/// Comments, empty lines, surrounding spaces, a byte order mark and carriage returns are ignored.
pub fn entries(content: &[u8]) -> impl Iterator<Item = Result<Entry, UserError>> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let lines = content
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .zip(1..);
    lines
        .filter(|(line, _)| !line.is_empty() && !line.starts_with(b"#"))
        .map(|(text_of_line, line)| {
            let colon = text_of_line
                .iter()
                .position(|&byte| byte == b':')
                .ok_or(UserError::Line { line })?;
            Ok(Entry {
                line,
                user: text(&text_of_line[..colon]),
                hash: text(&text_of_line[colon + 1..]),
            })
        })
}

/// A user's line.
#[derive(Debug)]
struct Line {
    hash: BcryptHash,
    /// See [`BcryptHash::fingerprint`]; each request with a token of this user compares it.
    fingerprint: String,
}

/// Users who may log in, and their hashes.
#[derive(Debug)]
pub(super) struct Users {
    lines: HashMap<String, Line>,
    /// Hash for unknown users, of the commonest cost: their logins take as long as most.
    dummy: BcryptHash,
}

impl Users {
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.lines.keys().cloned().collect()
    }

    /// Parses a whole file. The last of several lines of one user counts, as in distribution, and a warning is logged.
    ///
    /// # Errors
    /// The lines that are malformed, or whose hashes are not bcrypt's.
    pub(super) fn parse(content: &[u8]) -> Result<Self, String> {
        let mut lines = HashMap::new();
        let mut bad = Vec::new();
        let read = |entry: Result<Entry, UserError>| {
            let Entry { line, user, hash } = entry?;
            match hash.parse::<BcryptHash>() {
                Ok(hash) => Ok((line, user, hash)),
                Err(cause) => Err(UserError::Hash { line, user, cause }),
            }
        };
        for entry in entries(content).map(read) {
            let (line, user, hash) = match entry {
                Ok(read) => read,
                Err(error) => {
                    bad.push(error.to_string());
                    continue;
                }
            };
            if lines.contains_key(&user) {
                tracing::warn!(
                    user = user.as_str(),
                    line,
                    "this user has more than one line in the htpasswd file; the last one counts"
                );
            }
            let fingerprint = hash.fingerprint();
            lines.insert(user, Line { hash, fingerprint });
        }
        if !bad.is_empty() {
            let more = bad.len().saturating_sub(MOST_NAMED);
            bad.truncate(MOST_NAMED);
            let more = if more > 0 {
                format!("; and {more} more")
            } else {
                String::new()
            };
            return Err(format!("{}{more}", bad.join("; ")));
        }
        let dummy = BcryptHash::dummy(commonest_cost(&lines));
        Ok(Self { lines, dummy })
    }

    pub(super) fn hash_of(&self, user: &str) -> Option<&BcryptHash> {
        self.lines.get(user).map(|line| &line.hash)
    }

    /// Returns what tells a user's line from any other; `None` if there is none.
    pub(super) fn fingerprint_of(&self, user: &str) -> Option<&str> {
        self.lines.get(user).map(|line| &*line.fingerprint)
    }

    /// Returns the user's hash and true, or the dummy and false for an unknown user.
    pub(super) fn hash_or_dummy(&self, user: &str) -> (&BcryptHash, bool) {
        self.hash_of(user)
            .map_or((&self.dummy, false), |hash| (hash, true))
    }

    pub(super) fn dummy(&self) -> &BcryptHash {
        &self.dummy
    }
}

/// Returns the commonest cost, of two the higher: a single costly hash must not slow down every failed login.
fn commonest_cost(lines: &HashMap<String, Line>) -> u32 {
    let mut numbers: BTreeMap<u32, usize> = BTreeMap::new();
    for line in lines.values() {
        *numbers.entry(line.hash.cost()).or_default() += 1;
    }
    numbers
        .into_iter()
        .max_by_key(|&(cost, number)| (number, cost))
        .map_or(DEFAULT_COST, |(cost, _)| cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$05$wEPT.PzhL0nkRag3myfE.erSvqPIbeZFihnVf9YXscnxJXVXw/ChO";

    #[test]
    fn files_as_people_write_them() {
        let mut file = format!(
            "\u{feff}# users\r\n\r\njoe:{HASH}\r\n  ann:{HASH}  \n#bob:{HASH}\nzoë:{HASH}\n:{HASH}"
        )
        .into_bytes();
        file.extend(b"\njos\xe9:");
        file.extend(HASH.as_bytes());
        let users = Users::parse(&file).unwrap();
        for name in ["joe", "ann", "zoë", "", "josé"] {
            assert!(users.hash_of(name).is_some(), "{name}");
        }
        assert!(users.hash_of("bob").is_none() && users.hash_of("#bob").is_none());
        assert!(Users::parse(b"").unwrap().hash_of("").is_none());
    }

    #[test]
    fn invalid_lines_are_named() {
        let message = |file: String| Users::parse(file.as_bytes()).unwrap_err();
        assert_eq!(
            message(format!("joe:{HASH}\n\ngarbage\n")),
            "line 3 is not USER:HASH"
        );
        assert_eq!(
            message(format!("a\njoe:{HASH}\nb\n")),
            "line 1 is not USER:HASH; line 3 is not USER:HASH"
        );
        assert!(message("x\n".repeat(13)).ends_with("line 10 is not USER:HASH; and 3 more"));
        let message = message(format!(
            "joe:{HASH}\n# c\nann:$apr1$TVAkvpFM$TDu8Y1TeeHSc2Dp0O4EBm/\n"
        ));
        assert!(
            message.starts_with("line 3, user 'ann': not a bcrypt hash"),
            "{message}"
        );
        assert!(!message.contains("apr1"), "{message}");
        assert!(
            Users::parse(format!("joe:{}", &HASH[..50]).as_bytes()).is_err(),
            "half of a line"
        );
    }

    #[test]
    fn the_last_line_of_a_user_counts() {
        let other = BcryptHash::of(b"other", 4).unwrap();
        let users =
            Users::parse(format!("joe:{HASH}\njoe:{}\n", other.as_str()).as_bytes()).unwrap();
        assert_eq!(users.hash_of("joe"), Some(&other));
    }

    #[test]
    fn unknown_users_cost_as_much_as_most_users() {
        let hash = |cost| BcryptHash::dummy(cost).as_str().to_owned();
        let cost_of = |costs: &[u32]| {
            let line = |(number, &cost): (usize, &u32)| format!("user{number}:{}\n", hash(cost));
            let file: String = costs.iter().enumerate().map(line).collect();
            Users::parse(file.as_bytes()).unwrap().dummy().cost()
        };
        assert_eq!(cost_of(&[4, 4, 12]), 4);
        assert_eq!(cost_of(&[17, 10, 10, 5]), 10);
        assert_eq!(cost_of(&[5, 12]), 12);
        assert_eq!(cost_of(&[]), DEFAULT_COST);
    }

    #[test]
    fn a_cost_that_blocks_logins_is_an_invalid_line() {
        let costly = HASH.replacen("05", "31", 1);
        let message = Users::parse(format!("joe:{HASH}\nann:{costly}\n").as_bytes()).unwrap_err();
        assert!(
            message.starts_with("line 2, user 'ann': its cost is 31"),
            "{message}"
        );
    }
}
