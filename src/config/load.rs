//! Reading a configuration: the file, then variables over it, then validation against the table of keys.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::config::draft::Draft;
use crate::config::error::{Error, Problem, Report};
use crate::config::loaded::Loaded;
use crate::config::schema::Config;
use crate::config::source::{Content, Node, Origin, read_file};
use crate::config::{environment, keys, validate};
use crate::files::regular_file;

impl Config {
    /// Reads `file`, if given, and overrides it with the `REGISTRY_…` variables of `environment`.
    ///
    /// The draft holds the problems found; the parts of the server add theirs.
    ///
    /// # Errors
    /// The file cannot be read, or is not YAML.
    pub fn draft(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Draft, Error> {
        let mut report = Report::default();
        let mut tree = match file {
            Some(path) => read(path)?,
            None => Node {
                origin: Origin::Default,
                content: Content::Null,
            },
        };
        if file.is_some() {
            validate::version(&tree, &mut report);
        }
        expand_short_forms(&mut tree);
        environment::overlay(&mut tree, environment, &mut report);
        let checked = validate::check(&tree, &mut report);
        Ok(Draft::new(checked, report, &tree.origin))
    }

    /// Reads a part of a configuration from text; `name` is what messages call it.
    ///
    /// # Errors
    /// It is not YAML.
    pub fn part(text: &str, name: &Path) -> Result<Draft, Error> {
        let mut report = Report::default();
        let tree = parsed(text, name)?;
        let checked = validate::check(&tree, &mut report);
        Ok(Draft::new(checked, report, &tree.origin))
    }

    /// Reads a configuration that no part of the server validates further.
    ///
    /// # Errors
    /// The file cannot be read, or all problems of its values and of the variables.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded, Error> {
        Self::draft(file, environment)?.finish()
    }
}

fn read(path: &Path) -> Result<Node, Error> {
    let text = read_text(path).map_err(|cause| Error::Read {
        path: path.to_owned(),
        cause,
    })?;
    parsed(&text, path)
}

fn parsed(text: &str, path: &Path) -> Result<Node, Error> {
    let path = Arc::from(path);
    read_file(text, &path).map_err(|error| {
        let origin = Origin::File {
            path,
            line: error.line.unwrap_or(1),
        };
        Error::Problems(vec![Problem {
            origin,
            about: String::new(),
            sentence: error.cause,
        }])
    })
}

fn read_text(path: &Path) -> io::Result<String> {
    // a shell passes a pipe to `registry serve <(...)`, and its own input, by such a name
    let is_passed = path == Path::new("/dev/stdin") || path.starts_with("/dev/fd");
    let content = if is_passed {
        regular_file::read_bounded(File::open(path)?)
    } else {
        regular_file::read(path)
    };
    String::from_utf8(content?).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// Turns the short form `auth: none` into `auth: {none: {}}`.
fn expand_short_forms(tree: &mut Node) {
    let Content::Map(members) = &mut tree.content else {
        return;
    };
    for (name, member) in members {
        if let Content::Scalar(word) = &member.content
            && !keys::alternatives(name).is_empty()
        {
            let chosen = Node {
                origin: member.origin.clone(),
                content: Content::Null,
            };
            member.content = Content::Map(vec![(word.text.clone(), chosen)]);
        }
    }
}
