//! Completion of repositories and tags, in the shells themselves.

use std::path::Path;
use std::process::Command;

use crate::support::{Image, Server, announce_skipped};

fn server() -> Server {
    let server = Server::start();
    let mut client = server.client();
    for (repository, tag) in [
        ("team/app", "v1"),
        ("team/app", "v2"),
        ("team/app", "main"),
        ("team/web", "v1"),
        ("other", "v1"),
    ] {
        Image::small(1).push(&mut client, repository, tag);
    }
    server
}

/// Runs a script in a shell that finds the binary as `registry`.
fn in_shell(shell: &str, flags: &[&str], script: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_BIN_EXE_registry"));
    let folder = folder.parent().expect("a folder");
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let output = Command::new(shell)
        .args(flags)
        .args(["-c", script])
        .env("PATH", path)
        .output()
        .expect("the shell runs");
    assert!(output.status.success(), "{script}: {output:?}");
    let printed = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<_> = printed.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn names_begin_with_the_word() {
    let server = server();
    for (word, names) in [
        ("", "other\nteam/app\nteam/web\n"),
        ("team/", "team/app\nteam/web\n"),
        ("team/app", "team/app\n"),
        ("team/app:", "team/app:main\nteam/app:v1\nteam/app:v2\n"),
        ("team/app:v", "team/app:v1\nteam/app:v2\n"),
        ("nothing", ""),
    ] {
        let output = server.cli(&["complete", word]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), names, "{word}");
    }
}

#[test]
fn bash_completes_repositories_and_tags() {
    let server = server();
    let data = server.directory().display();
    for (line, words, expected) in [
        ("ls te", "ls te", "team/app team/web"),
        ("rm --yes te", "rm --yes te", "team/app team/web"),
        // bash splits words at colons, and completes the last part
        ("why team/app:v", "why team/app : v", "v1 v2"),
        (
            "tag history team/app:",
            "tag history team/app :",
            "main v1 v2",
        ),
        ("uploads te", "uploads te", "team/app team/web"),
        ("gc --now te", "gc --now te", "team/app team/web"),
        ("ls --so", "ls --so", "--sort"),
        ("polic", "polic", "policy"),
    ] {
        let (command, rest) = words.split_once(' ').unwrap_or((words, ""));
        let (data_flag, line) = match line.split_once(' ') {
            Some((command, rest)) => (
                format!("--data-dir {data}"),
                format!("registry {command} --data-dir {data} {rest}"),
            ),
            None => (String::new(), format!("registry {line}")),
        };
        // subcommands come first
        let words = match rest.strip_prefix("history ") {
            Some(rest) => format!("registry {command} history {data_flag} {rest}"),
            None => format!("registry {command} {data_flag} {rest}"),
        };
        let script = format!(
            "eval \"$(registry completions bash)\"; COMP_WORDBREAKS=$' \\t\\n\"><=;|&(:'; COMP_WORDS=({words}); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; \
             _registry_names registry \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let expected: Vec<_> = expected.split(' ').collect();
        assert_eq!(in_shell("bash", &["--norc"], &script), expected, "{line}");
    }
}

#[test]
fn zsh_completes_repositories_and_tags() {
    if !Path::new("/usr/bin/zsh").exists() && !Path::new("/bin/zsh").exists() {
        announce_skipped("completion in zsh", "zsh is not installed");
        return;
    }
    let server = server();
    let data = server.directory().display();
    for (prefix, expected) in [
        ("te", &["team/app", "team/web"][..]),
        ("team/app:v", &["team/app:v1", "team/app:v2"]),
    ] {
        // compadd works within a completion only
        let script = format!(
            "compdef() {{ :; }}; compadd() {{ print -l -- $names; }}; eval \"$(registry completions zsh)\"; \
             words=(ls --data-dir {data} {prefix}); PREFIX={prefix}; _registry_names"
        );
        assert_eq!(in_shell("zsh", &["-f"], &script), expected, "{prefix}");
    }
    let uses = in_shell(
        "zsh",
        &["-f"],
        "registry completions zsh | grep -c _registry_names\\'",
    );
    assert!(
        uses[0].parse::<usize>().is_ok_and(|uses| uses >= 9),
        "{uses:?}"
    );
}
