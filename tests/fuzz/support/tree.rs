//! Directories made of the lines that the fuzzer wrote.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

/// Maximum number of lines that count.
const LINES: usize = 200;
/// Maximum number of parts of a path.
const PARTS: usize = 12;

/// A directory that is made anew for each input, beside a file that is not in it.
pub struct Tree {
    directory: PathBuf,
    outside: PathBuf,
    digests: Vec<String>,
}

impl Tree {
    pub fn new(directory: PathBuf) -> Self {
        let outside = directory.join("outside");
        fs::write(&outside, "content of another file, which no source has").expect("a file");
        Self {
            directory,
            outside,
            digests: Vec::new(),
        }
    }

    /// Directory to import.
    pub fn root(&self) -> PathBuf {
        self.directory.join("source")
    }

    /// Makes the directory.
    pub fn make(&mut self, script: &str) {
        let _ = fs::remove_dir_all(self.root());
        fs::create_dir_all(self.root()).expect("a directory");
        self.digests.clear();
        for line in script.lines().take(LINES) {
            self.line(line);
        }
    }

    fn line(&mut self, line: &str) {
        let line = self.filled(line);
        let Some((word, rest)) = line.split_once(' ') else {
            return;
        };
        let parts: Vec<_> = rest.split(' ').collect();
        match (word, &*parts) {
            ("blob", _) => {
                let hex: String = Sha256::digest(rest)
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                self.file(&format!("blobs/sha256/{}/{hex}/data", &hex[..2]), rest);
                self.digests.push(hex);
            }
            ("layer", [name, digest]) => self.linked(&format!("{name}/_layers"), digest),
            ("revision", [name, digest]) => {
                self.linked(&format!("{name}/_manifests/revisions"), digest)
            }
            ("tag", [name, tag, digest]) => {
                let tag = format!("{name}/_manifests/tags/{tag}");
                self.linked(&format!("{tag}/index"), digest);
                self.file(&format!("repositories/{tag}/current/link"), digest);
            }
            ("file", [path, ..]) => {
                let content = rest.split_once(' ').map_or("", |(_, content)| content);
                self.file(path, content);
            }
            ("link", [path, target]) => {
                if let Some(path) = self.path(path) {
                    let _ = symlink(target, path);
                }
            }
            ("directory", [path]) => {
                if let Some(path) = self.path(path) {
                    let _ = fs::create_dir(path);
                }
            }
            ("fifo", [path]) => {
                if let Some(path) = self.path(path) {
                    let mode = rustix::fs::Mode::from_raw_mode(0o600);
                    let _ = rustix::fs::mknodat(
                        rustix::fs::CWD,
                        path,
                        rustix::fs::FileType::Fifo,
                        mode,
                        0,
                    );
                }
            }
            _ => {}
        }
    }

    /// Puts digests and the outside in the places of their marks.
    fn filled(&self, line: &str) -> String {
        let mut line = line.replace('^', &self.outside.to_string_lossy());
        for (number, hex) in self.digests.iter().take(10).enumerate() {
            line = line.replace(&format!("%{number}"), hex);
            line = line.replace(&format!("@{number}"), &format!("sha256:{hex}"));
        }
        line
    }

    fn linked(&self, folder: &str, digest: &str) {
        let place = digest.replace(':', "/");
        self.file(&format!("repositories/{folder}/{place}/link"), digest);
    }

    fn file(&self, path: &str, content: &str) {
        if let Some(path) = self.path(path) {
            // no link and no FIFO in its place is written to
            let file = fs::File::options().write(true).create_new(true).open(&path);
            let _ =
                file.and_then(|mut file| std::io::Write::write_all(&mut file, content.as_bytes()));
        }
    }

    /// Returns the place of a path inside the directory, whose parents are made; `None` if it would lead out.
    fn path(&self, path: &str) -> Option<PathBuf> {
        let mut place = self.root();
        let parts: Vec<_> = Path::new(path).components().collect();
        let (last, parents) = parts.split_last()?;
        if parts.len() > PARTS
            || !parts
                .iter()
                .all(|part| matches!(part, Component::Normal(_)))
        {
            return None;
        }
        for part in parents {
            place.push(part);
            match place.symlink_metadata() {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return None,
                Err(_) => fs::create_dir(&place).ok()?,
            }
        }
        Some(place.join(last))
    }

    /// Returns the state of everything in the directory, and of the file outside.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        snapshot(&self.directory, &mut found);
        found
    }
}

fn snapshot(path: &Path, found: &mut BTreeMap<PathBuf, String>) {
    let metadata = path.symlink_metadata().expect("metadata");
    let content = if metadata.is_file() {
        fs::read(path).expect("content")
    } else {
        Vec::new()
    };
    let state = format!(
        "{content:?} {:o} {} {}.{}",
        metadata.mode(),
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec()
    );
    found.insert(path.to_owned(), state);
    if metadata.is_dir() {
        for entry in fs::read_dir(path).expect("a directory") {
            snapshot(&entry.expect("an entry").path(), found);
        }
    }
}
