//! Holds the layers apart: every module names only what its layer may know.

use std::collections::BTreeSet;

use super::program::Program;
use super::source::{Files, files};

/// A module's rule: paths that it must not mention, its own aside.
struct Rule {
    module: &'static str,
    forbidden: &'static [&'static str],
    reason: &'static str,
}

const fn rule(
    module: &'static str,
    forbidden: &'static [&'static str],
    reason: &'static str,
) -> Rule {
    Rule {
        module,
        forbidden,
        reason,
    }
}

const RULES: &[Rule] = &[
    rule(
        "tarkeep::oci",
        &[
            "tarkeep", "std::fs", "std::net", "tokio", "rusqlite", "axum", "hyper",
        ],
        "the vocabulary has no effects",
    ),
    rule(
        "tarkeep::events",
        &["tarkeep", "rusqlite", "axum", "hyper"],
        "events do not know who tells of them",
    ),
    rule(
        "tarkeep::log",
        &["tarkeep"],
        "the log formats what others write",
    ),
    rule(
        "tarkeep::telemetry",
        &["tarkeep", "prometheus_client"],
        "counters do not know who reads them",
    ),
    rule(
        "tarkeep::log_limit",
        &["tarkeep"],
        "a helper without knowledge of its callers",
    ),
    rule(
        "tarkeep::files",
        &["tarkeep"],
        "a helper without knowledge of its callers",
    ),
    rule(
        "tarkeep::threads",
        &["tarkeep"],
        "a helper without knowledge of its callers",
    ),
    rule(
        "tarkeep::client_parts",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::registry",
            "tarkeep::http",
        ],
        "a helper without knowledge of its callers",
    ),
    rule(
        "tarkeep::client_key",
        &["tarkeep"],
        "a helper without knowledge of its callers",
    ),
    rule(
        "tarkeep::redact",
        &["tarkeep"],
        "a helper without knowledge of its callers",
    ),
    rule(
        "tarkeep::escape",
        &["tarkeep"],
        "a helper without knowledge of its callers",
    ),
    rule(
        "tarkeep::outbound",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::registry",
            "tarkeep::http",
            "tarkeep::config",
        ],
        "a helper without knowledge of its callers",
    ),
    rule(
        "tarkeep::upstream",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::registry",
            "tarkeep::auth",
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "axum",
        ],
        "a client of other registries does not know what is done with their content",
    ),
    rule(
        "tarkeep::service_manager",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::registry",
            "tarkeep::http",
            "tarkeep::config",
        ],
        "it hands over sockets and does not know what is served on them",
    ),
    rule("tarkeep::sys", &["tarkeep"], "a wrapper of system calls"),
    rule(
        "tarkeep::health",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "r2d2",
        ],
        "health checks call operations",
    ),
    rule(
        "tarkeep::blob",
        &[
            "tarkeep::meta",
            "tarkeep::registry",
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "axum",
            "hyper",
            "tokio",
        ],
        "the blob store does not know metadata",
    ),
    rule(
        "tarkeep::meta",
        &[
            "tarkeep::blob",
            "tarkeep::registry",
            "tarkeep::http",
            "tarkeep::config",
            "axum",
            "hyper",
        ],
        "metadata does not know files",
    ),
    rule(
        "tarkeep::registry",
        &[
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "axum",
            "hyper",
            "http",
            "std::fs",
            "std::os::unix::fs",
            "std::path::PathBuf::from",
        ],
        "operations do not know the transport, SQL or files",
    ),
    rule(
        "tarkeep::import",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "r2d2",
            "axum",
            "hyper",
        ],
        "an import calls operations",
    ),
    rule(
        "tarkeep::mirror",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "axum",
            "hyper",
        ],
        "a mirror calls operations",
    ),
    rule(
        "tarkeep::backup",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "r2d2",
            "axum",
            "hyper",
        ],
        "a backup calls operations",
    ),
    rule(
        "tarkeep::webhooks",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "r2d2",
            "axum",
        ],
        "delivery calls operations",
    ),
    rule(
        "tarkeep::export",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::import",
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "r2d2",
            "axum",
            "hyper",
        ],
        "an export calls operations",
    ),
    rule(
        "tarkeep::remote",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::registry",
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "axum",
        ],
        "a client does not know how the server makes its answers",
    ),
    rule(
        "tarkeep::report",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::http",
            "tarkeep::ui",
            "tarkeep::config",
            "rusqlite",
            "axum",
            "hyper",
            "http",
        ],
        "reports do not know who shows them",
    ),
    rule(
        "tarkeep::ui",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::http",
            "tarkeep::auth",
            "tarkeep::config",
            "rusqlite",
            "axum",
            "hyper",
            "http",
        ],
        "pages do not know how they are asked for",
    ),
    rule(
        "tarkeep::auth",
        &[
            "tarkeep::registry",
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "axum",
            "hyper",
            "http",
        ],
        "permission does not depend on how an action is carried out",
    ),
    rule(
        "tarkeep::http",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::config",
            "rusqlite",
            "r2d2",
        ],
        "the transport calls operations",
    ),
    rule(
        "tarkeep::tls",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::registry",
            "tarkeep::http",
            "tarkeep::config",
            "axum",
        ],
        "encryption does not know what it carries",
    ),
    rule(
        "tarkeep::background",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::http",
            "tarkeep::config",
            "rusqlite",
            "r2d2",
        ],
        "background tasks call operations",
    ),
    rule(
        "tarkeep::config",
        &[
            "tarkeep::meta",
            "tarkeep::blob",
            "tarkeep::registry",
            "tarkeep::http",
            "tarkeep::oci",
            "tarkeep::background",
            "tokio",
            "hyper",
        ],
        "the configuration does not know the server's parts",
    ),
    rule(
        "registry::cli",
        &[
            "rusqlite",
            "r2d2",
            "tarkeep::meta",
            "tarkeep::blob",
            "axum",
            "hyper",
        ],
        "commands call operations",
    ),
];

/// Exceptions: a file, the path that it may mention, and the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "src/log/",
        "tarkeep::threads::background_writer",
        "a thread writes the lines",
    ),
    (
        "src/log/",
        "tarkeep::escape",
        "clients choose some of the text",
    ),
    (
        "src/threads/background_writer.rs",
        "tarkeep::telemetry",
        "lost lines are counted",
    ),
    (
        "src/threads/blocking.rs",
        "tarkeep::telemetry",
        "blocking tasks are counted",
    ),
    (
        "src/registry/service.rs",
        "std::fs::DirBuilder",
        "operations create the data directory itself",
    ),
    (
        "src/registry/service.rs",
        "std::os::unix::fs",
        "operations create the data directory itself",
    ),
];

/// Returns true if a path is the prefix or lies below it.
fn is_within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

struct Verdict {
    offences: BTreeSet<String>,
    used_exceptions: BTreeSet<usize>,
}

fn judge(program: &Program, rules: &[Rule], exceptions: &[(&str, &str, &str)]) -> Verdict {
    let mut verdict = Verdict {
        offences: BTreeSet::new(),
        used_exceptions: BTreeSet::new(),
    };
    for (path, module) in &program.modules {
        let name = path.join("::");
        for rule in rules.iter().filter(|rule| is_within(&name, rule.module)) {
            for mention in &module.mentions.paths {
                let Some(target) = program.resolve(path, &mention.path) else {
                    continue;
                };
                let target = target.join("::");
                let is_forbidden = rule.forbidden.iter().any(|word| is_within(&target, word));
                if !is_forbidden || is_within(&target, rule.module) {
                    continue;
                }
                let exception = exceptions.iter().position(|(file, allowed, _)| {
                    module.file.starts_with(file) && is_within(&target, allowed)
                });
                match exception {
                    Some(number) => drop(verdict.used_exceptions.insert(number)),
                    None => drop(verdict.offences.insert(format!(
                        "{}:{} names {target}: {}",
                        module.file, mention.line, rule.reason
                    ))),
                }
            }
        }
    }
    verdict
}

fn programs() -> [Program; 2] {
    let src = files("src");
    [
        Program::load("tarkeep", "src/lib.rs", &src),
        Program::load("registry", "src/main.rs", &src),
    ]
}

#[test]
fn dependencies_point_down_only() {
    let verdicts = programs().map(|program| judge(&program, RULES, EXCEPTIONS));
    let offences: Vec<_> = verdicts
        .iter()
        .flat_map(|verdict| &verdict.offences)
        .collect();
    assert!(offences.is_empty(), "{offences:#?}");
    for (number, exception) in EXCEPTIONS.iter().enumerate() {
        assert!(
            verdicts
                .iter()
                .any(|verdict| verdict.used_exceptions.contains(&number)),
            "an exception that nothing uses: {exception:?}"
        );
    }
}

#[test]
fn every_module_below_the_root_has_a_rule() {
    let modules: BTreeSet<String> = programs()
        .iter()
        .flat_map(|program| program.modules.keys())
        .filter(|path| path.len() == 2)
        .map(|path| path.join("::"))
        .collect();
    let ruled = RULES.iter().map(|rule| rule.module.to_owned()).collect();
    assert_eq!(modules, ruled);
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &[Rule] = &[rule(
        "tarkeep::low",
        &["tarkeep::high", "tokio", "std::fs", "http"],
        "it is below",
    )];

    fn offences_with(code: &str, exceptions: &[(&str, &str, &str)]) -> Vec<String> {
        let files: Files = [
            ("src/lib.rs", "pub mod high; pub mod low; pub mod other;"),
            ("src/high.rs", "pub struct High; pub fn call() {}"),
            ("src/other.rs", "pub use crate::high;"),
            ("src/low/mod.rs", "pub mod part; pub struct Own;"),
            ("src/low/part.rs", code),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .into();
        let program = Program::load("tarkeep", "src/lib.rs", &files);
        judge(&program, RULES, exceptions)
            .offences
            .into_iter()
            .collect()
    }

    /// Asserts that code breaks the rule in its first line, by naming `target`.
    #[track_caller]
    fn breaks(code: &str, target: &str) {
        let expected = format!("src/low/part.rs:1 names {target}: it is below");
        let found = offences_with(code, &[]);
        assert!(found.contains(&expected), "{code}: {found:?}");
    }

    #[track_caller]
    fn holds(code: &str) {
        assert_eq!(offences_with(code, &[]), [""; 0], "{code}");
    }

    #[test]
    fn imports_in_every_form_are_seen() {
        breaks("use crate::high;", "tarkeep::high");
        breaks("use crate::high::High;", "tarkeep::high::High");
        breaks("use crate::{high, other};", "tarkeep::high");
        breaks(
            "use {crate::{other, high::{self, High}}};",
            "tarkeep::high::High",
        );
        breaks("use crate::high as harmless;", "tarkeep::high");
        breaks("use crate::high::*;", "tarkeep::high");
        breaks("use super::super::high::High;", "tarkeep::high::High");
        breaks("use super::super::{low::Own, high};", "tarkeep::high");
        breaks("fn f() { use crate::high::call; }", "tarkeep::high::call");
        breaks("use ::tokio::task;", "tokio::task");
        breaks("pub use tokio;", "tokio");
    }

    #[test]
    fn paths_are_seen_wherever_they_stand() {
        breaks("fn f() { crate::high::call() }", "tarkeep::high::call");
        breaks("struct S(Vec<crate::high::High>);", "tarkeep::high::High");
        breaks(
            "impl From<crate::high::High> for super::Own {}",
            "tarkeep::high::High",
        );
        breaks("fn f() { tokio::spawn(async {}); }", "tokio::spawn");
        breaks("#[tokio::main] async fn f() {}", "tokio::main");
        breaks("fn f(x: &http::HeaderMap) {}", "http::HeaderMap");
    }

    #[test]
    fn renamed_crates_and_roots_are_followed() {
        breaks(
            "use crate as root; fn f() { root::high::call() }",
            "tarkeep::high::call",
        );
        breaks(
            "use crate::{self as root}; type T = root::high::High;",
            "tarkeep::high::High",
        );
        breaks(
            "use std as s; fn f() { s::fs::read(\"x\"); }",
            "std::fs::read",
        );
    }

    #[test]
    fn nested_modules_obey_their_parents_rule() {
        breaks(
            "mod deep { use super::super::super::high; }",
            "tarkeep::high",
        );
        breaks(
            "mod a { mod b { fn f() { crate::high::call() } } }",
            "tarkeep::high::call",
        );
    }

    #[test]
    fn macro_bodies_are_read() {
        breaks(
            "fn f() { println!(\"{:?}\", crate::high::High); }",
            "tarkeep::high::High",
        );
        breaks(
            "fn f() { tokio::select! { _ = g() => {} } }",
            "tokio::select",
        );
        breaks(
            "macro_rules! m { () => { $crate::high::call() }; }",
            "tarkeep::high::call",
        );
        breaks(
            "macro_rules! m { () => { use crate::{low, high::High}; }; }",
            "tarkeep::high::High",
        );
        breaks(
            "fn f() { vec![[g(std::fs::read(\"x\"))]]; }",
            "std::fs::read",
        );
    }

    #[test]
    fn own_paths_tests_and_text_are_no_offence() {
        holds("use crate::low::Own; use super::Own as Same; use crate::other;");
        holds("#[cfg(test)] mod tests { use crate::high; }");
        holds("#[cfg(all(test, unix))] use crate::high;");
        holds("struct S; impl S { #[cfg(test)] fn f() { crate::high::call() } }");
        holds("/// See [`crate::high`].\nconst TEXT: &str = \"crate::high\"; // crate::high");
        holds("fn f(http: u8) -> u8 { http }");
        holds("fn f(request: R) { request.http::<u8>(); println!(\"{}\", request.http); }");
    }

    #[test]
    fn an_exception_names_a_file_and_a_path() {
        let code = "use crate::high::High; use tokio::task;";
        let allowed = [("src/low/part.rs", "tarkeep::high", "it may")];
        assert_eq!(
            offences_with(code, &allowed),
            ["src/low/part.rs:1 names tokio::task: it is below"]
        );
        let elsewhere = [("src/low/mod.rs", "tarkeep", "it may")];
        assert_eq!(offences_with(code, &elsewhere).len(), 2);
    }
}
