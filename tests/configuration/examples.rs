//! Every example configuration in distribution's documentation and repository, over all versions:
//! each starts, or is refused with one sentence that explains why.
//!
//! The examples are read from a clone; none is kept here:
//! `DISTRIBUTION_GIT=/path/to/distribution/.git`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::command::whole;
use crate::support::announce_skipped;
use crate::wire::pki::Authority;

/// Path of a clone on this project's machines.
const USUAL: &str = "/work/.mirror/distribution+distribution/repo";

/// Top-level sections of distribution's file, in any version.
const SECTIONS: [&str; 19] = [
    "version",
    "log",
    "loglevel",
    "storage",
    "auth",
    "middleware",
    "reporting",
    "http",
    "notifications",
    "redis",
    "health",
    "catalog",
    "tags",
    "proxy",
    "compatibility",
    "validation",
    "policy",
    // documented in some version, but never known to the program
    "uploadpurging",
    "readonly",
];

#[derive(Default)]
struct Tally {
    started: usize,
    /// Examples that start once the certificates and keys they name exist.
    started_with_files: usize,
    /// The rest, by kind of refusal.
    kinds: BTreeMap<&'static str, usize>,
    /// Reasons for rejected examples, with their number.
    refused: BTreeMap<String, usize>,
    /// Reasons missing from [`WORDS`], which may be bugs of ours.
    strange: Vec<String>,
}

/// Known reasons and the kind of rejection each stands for; the first reason given counts.
const WORDS: [(&str, &str); 10] = [
    (
        "must be a map of header names",
        "a word that stands for headers",
    ),
    ("this is not YAML", NOBODYS),
    (" has both ", NOBODYS),
    ("takes one value, not a list", NOBODYS),
    ("has both certificate and letsencrypt", NOBODYS),
    ("letsencrypt requires cachefile", NOBODYS),
    (
        "is given twice",
        "a key twice in its section, of which distribution takes the last",
    ),
    ("storage.", "another storage driver"),
    ("middleware.", "middleware"),
    ("reporting.", "reporting"),
];
const NOBODYS: &str = "not for any server as it stands: two of what there is one of, or tabs";

#[test]
fn distributions_examples_start_or_are_refused_with_one_sentence() {
    let clone =
        std::env::var_os("DISTRIBUTION_GIT").map_or_else(|| PathBuf::from(USUAL), PathBuf::from);
    if !clone.is_dir() {
        let reason = format!("there is no clone in {}", clone.display());
        announce_skipped("distribution's examples", &reason);
        return;
    }
    let examples = examples(&clone);
    assert!(examples.len() >= 50, "{} examples", examples.len());
    let mut tally = Tally::default();
    for (text, place) in &examples {
        judge(text, place, &mut tally);
    }
    let refused: usize = tally.kinds.values().sum();
    let Tally {
        started,
        started_with_files,
        ..
    } = tally;
    println!(
        "{} examples: {started} start, {started_with_files} more with the files that they name, {refused} are refused:",
        examples.len()
    );
    tally
        .kinds
        .iter()
        .for_each(|(kind, number)| println!("{number:4} {kind}"));
    println!("sentences printed for those, more than one for some:");
    tally
        .refused
        .iter()
        .for_each(|(sentence, number)| println!("{number:4} {sentence}"));
    assert!(tally.strange.is_empty(), "{}", tally.strange.join("\n"));
    assert!(
        started >= 40 && started_with_files >= 8,
        "{started} and {started_with_files} start"
    );
    assert_eq!(started + started_with_files + refused, examples.len());
}

/// Starts an example in its own directory, if necessary with the files it names; counts the reason
/// if it does not start.
fn judge(text: &str, place: &str, tally: &mut Tally) {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let path = temporary.path().join("config.yml");
    match start(text, &path, place) {
        Ok(()) => tally.started += 1,
        Err(_) => match start(&provided(text, temporary.path()), &path, place) {
            Ok(()) => tally.started_with_files += 1,
            Err(printed) => refused(&printed, &path, place, tally),
        },
    }
}

/// The example with generated files for its author's certificates, keys and authorities.
fn provided(text: &str, directory: &Path) -> String {
    let authority = Authority::new("an authority");
    authority.issue(&["localhost"]).write(directory);
    std::fs::write(directory.join("ca.pem"), authority.pem()).expect("a file");
    let mut is_list = false;
    let line = |line: &str| {
        let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
        let (key, value) = rest.split_once(':').unwrap_or((rest, ""));
        let file = match key {
            "certificate" => "cert.pem",
            "key" => "key.pem",
            "rootcertbundle" => "ca.pem",
            _ if is_list && rest.starts_with("- /") => {
                return format!("{indent}- {}\n", directory.join("ca.pem").display());
            }
            _ => {
                is_list = key == "clientcas";
                return format!("{line}\n");
            }
        };
        if value
            .trim()
            .trim_start_matches(['"', '\''])
            .starts_with('/')
        {
            format!("{indent}{key}: {}\n", directory.join(file).display())
        } else {
            format!("{line}\n")
        }
    };
    text.lines().map(line).collect()
}

/// Starts a server with an example, or returns its error output.
fn start(text: &str, path: &Path, place: &str) -> Result<(), String> {
    // documentation fragments are parts of a file
    std::fs::write(path, whole(text)).expect("a file");
    let program = env!("CARGO_BIN_EXE_registry");
    let checked = Command::new(program)
        .args(["config", "check"])
        .arg(path)
        .env_clear()
        .output()
        .expect("the command runs");
    if !checked.status.success() {
        return Err(String::from_utf8_lossy(&checked.stderr).into_owned());
    }
    let mut serve = Command::new(program);
    serve
        .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
        .arg(path.with_file_name("data"))
        .arg(path)
        .env_clear();
    // the debug server and access log are irrelevant here
    serve
        .env("REGISTRY_HTTP_DEBUG_ADDR", "")
        .env("REGISTRY_STORAGE_RESERVE", "0");
    let mut child = serve
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("text");
    if line.starts_with("listening on") {
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        return Ok(());
    }
    let mut printed = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut printed)
        .expect("text");
    assert!(
        !child.wait().expect("it ends").success() && !printed.contains("panicked"),
        "{place}: {printed}"
    );
    Err(printed)
}

fn refused(printed: &str, path: &Path, place: &str, tally: &mut Tally) {
    let sentences: BTreeSet<String> = printed
        .lines()
        .filter(|line| line.starts_with("registry: "))
        .map(|line| general(line, path))
        .collect();
    assert!(
        !sentences.is_empty(),
        "{place} does not start, and nothing is printed: {printed}"
    );
    let is_plain = |sentence: &String| WORDS.iter().any(|(words, _)| sentence.contains(words));
    let kind = WORDS
        .iter()
        .find(|(words, _)| sentences.iter().any(|sentence| sentence.contains(words)));
    *tally
        .kinds
        .entry(kind.map_or("strange", |(_, kind)| kind))
        .or_default() += 1;
    tally.strange.extend(
        sentences
            .iter()
            .filter(|sentence| !is_plain(sentence))
            .map(|sentence| format!("{place}: {sentence}")),
    );
    for sentence in sentences {
        *tally.refused.entry(sentence).or_default() += 1;
    }
}

/// The sentence without file name and line number.
fn general(line: &str, path: &Path) -> String {
    let line = line
        .trim_start_matches("registry: ")
        .replace(&path.display().to_string(), "config.yml");
    let mut words = Vec::new();
    let mut is_number_next = false;
    for word in line.split(' ') {
        let is_number = is_number_next && word.starts_with(|c: char| c.is_ascii_digit());
        words.push(if is_number {
            word.replace(|c: char| c.is_ascii_digit(), "")
        } else {
            word.to_owned()
        });
        is_number_next = matches!(word, "line" | "(line" | "column");
    }
    words.join(" ")
}

/// Each distinct example, with where it first appears.
fn examples(clone: &Path) -> Vec<(String, String)> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut read = BTreeSet::new();
    let mut found = Vec::new();
    let names = git(
        clone,
        &[
            "for-each-ref",
            "--format=%(refname)",
            "refs/heads/main",
            "refs/heads/release",
            "refs/tags/v*.0",
            "refs/tags/v*.1",
        ],
    );
    for name in names.lines() {
        for entry in git(clone, &["ls-tree", "-r", name]).lines() {
            let Some((head, path)) = entry.split_once('\t') else {
                continue;
            };
            let object = head.rsplit(' ').next().unwrap_or_default().to_owned();
            let is_text = [".yml", ".yaml", ".md"]
                .iter()
                .any(|end| path.ends_with(end));
            let is_foreign =
                path.contains("vendor/") || path.contains("Godeps/") || path.starts_with('.');
            if !is_text || is_foreign || !read.insert(object.clone()) {
                continue;
            }
            let text = git(clone, &["cat-file", "blob", &object]);
            let texts = if path.ends_with(".md") {
                blocks(&text)
            } else {
                vec![text]
            };
            for text in texts.into_iter().filter(|text| is_configuration(text)) {
                if seen.insert(text.clone()) {
                    found.push((text, format!("{path} of {name}")));
                }
            }
        }
    }
    found
}

fn git(clone: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("--git-dir")
        .arg(clone)
        .args(arguments)
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Markdown code blocks, fenced or indented, without indentation.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut is_fenced = false;
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        if is_fence {
            is_fenced = !is_fenced;
        }
        let is_code = is_fenced
            || line.starts_with("    ")
            || (line.trim().is_empty() && blocks.last().is_some_and(|block| !block.is_empty()));
        match blocks.last_mut() {
            Some(block) if is_code && !is_fence => *block += &format!("{line}\n"),
            _ => blocks.push(String::new()),
        }
    }
    let dedented = blocks.iter().map(|block| {
        let indent = block
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.len() - line.trim_start().len())
            .min()
            .unwrap_or(0);
        let lines: Vec<_> = block
            .lines()
            .map(|line| line.get(indent..).unwrap_or(""))
            .collect();
        lines.join("\n").trim_end().to_owned()
    });
    dedented.filter(|block| !block.is_empty()).collect()
}

/// True if a text's unindented lines are sections of distribution's file only.
fn is_configuration(text: &str) -> bool {
    let edge = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with([' ', '#', '\t', '-']));
    let names: Vec<_> = edge
        .map(|line| {
            line.split(':')
                .next()
                .filter(|_| line.contains(':'))
                .unwrap_or("")
        })
        .collect();
    !names.is_empty()
        && names.iter().all(|name| SECTIONS.contains(name))
        && names.iter().any(|name| *name != "version")
}
