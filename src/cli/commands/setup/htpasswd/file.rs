//! Lines of a password file.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tarkeep::auth;
use tarkeep::files::regular_file;

use crate::cli::commands::setup::htpasswd::end::{Code, End, end};

/// Reads a password file.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, End> {
    let content = match regular_file::read(file) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(end(
                Code::File,
                format!(
                    "htpasswd: cannot modify file {}; use '-c' to create it",
                    file.display()
                ),
            ));
        }
        Err(error) => {
            return Err(end(
                Code::File,
                format!(
                    "htpasswd: cannot open file {} for read/write access: {error}",
                    file.display()
                ),
            ));
        }
    };
    let is_readable = auth::entries(&content).all(|entry| entry.is_ok());
    let message = || {
        end(
            Code::NoHtpasswd,
            format!(
                "htpasswd: The file {} does not appear to be a valid htpasswd file.",
                file.display()
            ),
        )
    };
    if is_readable {
        Ok(content)
    } else {
        Err(message())
    }
}

/// Returns the hash of a user; the last line wins, as in the registry.
pub(super) fn hash_of(content: &[u8], user: &OsStr) -> Option<String> {
    let user = auth::user_name(user.as_bytes());
    auth::entries(content)
        .filter_map(Result::ok)
        .filter(|entry| entry.user == user)
        .last()
        .map(|entry| entry.hash)
}

/// Replaces or removes the line of a user, and reports whether there was one. Everything else stays as it is.
pub(super) fn with_line(content: &[u8], user: &OsStr, line: Option<&[u8]>) -> (Vec<u8>, bool) {
    let user = auth::user_name(user.as_bytes());
    let of_user: Vec<usize> = auth::entries(content)
        .filter_map(Result::ok)
        .filter(|entry| entry.user == user)
        .map(|entry| entry.line)
        .collect();
    let mut changed = Vec::with_capacity(content.len() + 128);
    for (old, number) in content.split_inclusive(|&byte| byte == b'\n').zip(1..) {
        match (of_user.contains(&number), line) {
            (false, _) => changed.extend_from_slice(old),
            (true, Some(line)) if of_user.first() == Some(&number) => {
                changed.extend_from_slice(line)
            }
            // deleted, or a duplicate line of the same user
            (true, _) => (),
        }
        if changed.last().is_some_and(|last| *last != b'\n') {
            changed.push(b'\n');
        }
    }
    if of_user.is_empty() {
        changed.extend_from_slice(line.unwrap_or_default());
    }
    (changed, !of_user.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_of_the_user_changes() {
        let file = b"# c\r\njoe:one\n\nann:two\njoe:three\nlast:x";
        let set = |user: &str, line| with_line(file, OsStr::new(user), line);
        let (changed, was_there) = set("joe", Some(&b"joe:new\n"[..]));
        assert_eq!(
            (&*changed, was_there),
            (&b"# c\r\njoe:new\n\nann:two\nlast:x\n"[..], true)
        );
        let (changed, was_there) = set("bob", Some(&b"bob:new\n"[..]));
        assert_eq!(
            (&*changed, was_there),
            (
                &b"# c\r\njoe:one\n\nann:two\njoe:three\nlast:x\nbob:new\n"[..],
                false
            )
        );
        let (changed, was_there) = set("joe", None);
        assert_eq!(
            (&*changed, was_there),
            (&b"# c\r\n\nann:two\nlast:x\n"[..], true)
        );
        assert!(!set("bob", None).1);
    }
}
