//! Import circles between files.

use std::collections::{BTreeMap, BTreeSet};

use super::program::Program;
use super::source::{Files, files};

/// File to file, with a line that names something defined there.
type Edges = BTreeMap<String, BTreeMap<String, usize>>;

fn edges(program: &Program) -> Edges {
    let mut edges = Edges::new();
    for (path, module) in &program.modules {
        for mention in &module.mentions.paths {
            let target = program
                .resolve(path, &mention.path)
                .and_then(|path| program.definition(&path));
            let Some(target) = target.filter(|target| *target != module.file) else {
                continue;
            };
            let from = edges.entry(module.file.clone()).or_default();
            from.entry(target.to_owned()).or_insert(mention.line);
        }
    }
    edges
}

fn reachable<'e>(edges: &'e Edges, from: &'e str) -> BTreeSet<&'e str> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        let next = edges.get(file).into_iter().flatten();
        open.extend(
            next.map(|(file, _)| &**file)
                .filter(|file| found.insert(*file)),
        );
    }
    found
}

/// Groups of files each of which leads to all others of its group.
fn circles(edges: &Edges) -> Vec<Vec<&str>> {
    let reach: BTreeMap<&str, _> = edges
        .keys()
        .map(|file| (&**file, reachable(edges, file)))
        .collect();
    let mut groups = BTreeSet::new();
    for (file, found) in &reach {
        let group: Vec<&str> = found
            .iter()
            .filter(|other| reach.get(*other).is_some_and(|back| back.contains(file)))
            .copied()
            .collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

fn describe(edges: &Edges, circle: &[&str]) -> String {
    let mut text = format!("circle of {}:\n", circle.len());
    for from in circle {
        for (to, line) in edges[*from]
            .iter()
            .filter(|(to, _)| circle.contains(&&***to))
        {
            text += &format!("  {from}:{line} -> {to}\n");
        }
    }
    text
}

/// All crates of the repository: the library, the binary, the tests and the benchmarks.
fn crates() -> Vec<Program> {
    let (src, tests, benches) = (files("src"), files("tests"), files("benches"));
    let load = |name: &str, root: &str, files: &Files| Program::load(name, root, files);
    vec![
        load("tarkeep", "src/lib.rs", &src),
        load("registry", "src/main.rs", &src),
        load("integration", "tests/main.rs", &tests),
        load("clients", "tests/clients/main.rs", &tests),
        load("peers", "benches/peers/main.rs", &benches),
        load("collect", "benches/collect/main.rs", &benches),
    ]
}

#[test]
fn files_import_in_no_circle() {
    let mut lists = Vec::new();
    let mut count = 0;
    for program in crates() {
        let edges = edges(&program);
        for circle in circles(&edges) {
            count += circle.len();
            lists.push(describe(&edges, &circle));
        }
    }
    let list = lists.join("");
    println!("{} circles of {count} files\n{list}", lists.len());
    assert!(
        lists.is_empty(),
        "{count} files are in import circles\n{list}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let files: Files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        let edges = edges(&Program::load("tarkeep", "src/lib.rs", &files));
        let own = |circle: Vec<&str>| circle.into_iter().map(str::to_owned).collect();
        circles(&edges).into_iter().map(own).collect()
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        let found = found(&[
            ("src/lib.rs", "mod a; mod b;"),
            (
                "src/a.rs",
                "use crate::b::{self, One}; pub struct Two(One);",
            ),
            ("src/b.rs", "pub struct One; fn f() { super::a::Two; }"),
        ]);
        assert_eq!(found, [["src/a.rs", "src/b.rs"]]);
    }

    #[test]
    fn a_face_is_transparent() {
        let child = |import: &str| {
            found(&[
                ("src/lib.rs", "mod a;"),
                (
                    "src/a/mod.rs",
                    "mod one; mod two; pub use one::One; pub use two::*;",
                ),
                ("src/a/one.rs", import),
                ("src/a/two.rs", "pub struct Two;"),
            ])
        };
        let leads_on: [&str; 0] = [];
        assert_eq!(child("use super::Two; pub struct One(Two);"), [leads_on; 0]);
    }

    #[test]
    fn what_a_face_defines_itself_closes_a_circle() {
        let found = found(&[
            ("src/lib.rs", "mod a;"),
            (
                "src/a/mod.rs",
                "mod one; pub use one::One as First; pub struct Own;",
            ),
            ("src/a/one.rs", "pub struct One(super::Own);"),
        ]);
        assert_eq!(found, [["src/a/mod.rs", "src/a/one.rs"]]);
    }

    #[test]
    fn modules_called_by_name_and_macros_count() {
        let found = found(&[
            ("src/lib.rs", "mod a; mod b; mod c;"),
            (
                "src/a.rs",
                "use crate::b; fn f() { b::g() } pub const A: u8 = 1;",
            ),
            (
                "src/b.rs",
                "use crate::c as other; pub fn g() { println!(\"{}\", other::h()) }",
            ),
            ("src/c.rs", "pub fn h() -> u8 { vec![crate::a::A][0] }"),
        ]);
        assert_eq!(found, [["src/a.rs", "src/b.rs", "src/c.rs"]]);
    }

    #[test]
    fn unit_tests_do_not_count() {
        let found = found(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b::One; pub struct Two(One);"),
            (
                "src/b.rs",
                "pub struct One; #[cfg(test)] mod tests { use crate::a::Two; }",
            ),
        ]);
        assert!(found.is_empty());
    }
}
