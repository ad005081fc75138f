//! Figures of the source: lines, long functions, and how doc comments begin.

use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, Signature, TraitItemFn};

use super::source::{Files, files};

const FOLDERS: [&str; 3] = ["src", "tests", "benches"];
const LONGEST_FUNCTION: usize = 70;

/// Maximum share of doc comments that begin with a relative word, in hundredths of a per cent; it only falls.
const MOST_RELATIVE_COMMENTS: usize = 20;

const RELATIVE_WORDS: &[&str] = &[
    "What", "How", "Whether", "Where", "Who", "Whom", "Whose", "Which", "When", "That",
];

/// Functions of one file, longer than allowed.
struct LongFunctions<'f> {
    file: &'f str,
    found: Vec<(usize, String)>,
}

impl LongFunctions<'_> {
    fn measure(&mut self, signature: &Signature, block: &Block) {
        let first = signature.fn_token.span.start().line;
        let last = block.brace_token.span.close().end().line;
        let length = last - first + 1;
        if length > LONGEST_FUNCTION {
            let place = format!("{}:{first} {}", self.file, signature.ident);
            self.found.push((length, place));
        }
    }
}

impl<'ast> Visit<'ast> for LongFunctions<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

fn long_functions(files: &Files) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    for (file, text) in files {
        let mut functions = LongFunctions {
            file,
            found: Vec::new(),
        };
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        functions.visit_file(&syntax);
        all.append(&mut functions.found);
    }
    all.sort_by(|left, right| right.cmp(left));
    all
}

#[test]
fn functions_fit_on_a_page() {
    let long: Vec<_> = FOLDERS
        .iter()
        .flat_map(|folder| long_functions(&files(folder)))
        .collect();
    let list: String = long
        .iter()
        .map(|(length, place)| format!("{length:5} {place}\n"))
        .collect();
    let summary = format!(
        "{} functions over {LONGEST_FUNCTION} lines\n{list}",
        long.len()
    );
    println!("{summary}");
    assert!(long.is_empty(), "{summary}");
}

/// First lines of doc comments, with their places.
fn doc_comments(files: &Files) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (file, text) in files {
        let mut previous = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let marker = ["///", "//!"]
                .into_iter()
                .find(|marker| line.starts_with(marker));
            if let Some(marker) = marker.filter(|_| marker != previous) {
                let first = line.trim_start_matches(marker).trim().to_owned();
                found.push((format!("{file}:{}", number + 1), first));
            }
            previous = marker;
        }
    }
    found
}

fn is_relative(comment: &str) -> bool {
    let word = comment.split(|letter: char| !letter.is_alphabetic()).next();
    word.is_some_and(|word| RELATIVE_WORDS.contains(&word))
}

#[test]
fn doc_comments_begin_with_a_noun_or_a_verb() {
    let comments: Vec<_> = FOLDERS
        .iter()
        .flat_map(|folder| doc_comments(&files(folder)))
        .collect();
    let relative: Vec<_> = comments
        .iter()
        .filter(|(_, text)| is_relative(text))
        .collect();
    let share = relative.len() * 10_000 / comments.len();
    let list: String = relative
        .iter()
        .map(|(place, text)| format!("{place}: {text}\n"))
        .collect();
    let summary = format!(
        "{} of {} doc comments begin with a relative word: {}.{:02} %\n{list}",
        relative.len(),
        comments.len(),
        share / 100,
        share % 100
    );
    println!("{summary}");
    assert!(share <= MOST_RELATIVE_COMMENTS, "{summary}");
}

#[test]
fn size_of_the_source() {
    for folder in FOLDERS {
        let files = files(folder);
        let lines: usize = files.values().map(|text| text.lines().count()).sum();
        println!("{folder}: {} files, {lines} lines", files.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Files {
        Files::from([("a.rs".to_owned(), text.to_owned())])
    }

    #[test]
    fn functions_are_measured_wherever_they_stand() {
        let body = "\n".repeat(LONGEST_FUNCTION);
        let just = "\n".repeat(LONGEST_FUNCTION - 1);
        for code in [
            format!("fn f() {{{body}}}"),
            format!("impl S {{ /// Doc.\n fn f() {{{body}}} }}"),
            format!("trait T {{ fn f() {{{body}}} }}"),
            format!("fn g() {{ fn f() {{{body}}} }}"),
            format!("mod m {{ pub async fn f() {{{body}}} }}"),
        ] {
            let names = long_functions(&one(&code));
            assert!(
                names
                    .iter()
                    .any(|(length, place)| *length == 71 && place.ends_with('f'))
            );
        }
        assert!(long_functions(&one(&format!("fn f() {{{just}}}"))).is_empty());
    }

    #[test]
    fn only_the_first_line_of_a_doc_comment_counts() {
        let text = "//! How it works.\n//! What else.\n\n/// Returns it.\n/// That is all.\nfn f() {}\n\
                    // What it is\n/// Whatever.\nfn g() {}\n    /// What: it\n";
        let found = doc_comments(&one(text));
        let relative: Vec<_> = found.iter().filter(|(_, text)| is_relative(text)).collect();
        assert_eq!(found.len(), 4);
        assert_eq!(relative.len(), 2, "{relative:?}");
    }
}
