//! Pages of help: as wide as a terminal, with keys that exist, and the example of a configuration.

use std::process::{Command, Output};

fn run(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.args(words).output().expect("it runs")
}

fn help(command: &[String]) -> String {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let output = run(&[&words[..], &["--help"]].concat());
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Every page of help, with its command.
fn pages() -> Vec<(String, String)> {
    let mut waiting = vec![Vec::new()];
    let mut pages = Vec::new();
    while let Some(command) = waiting.pop() {
        let page = help(&command);
        let commands = page
            .split_once("\nCommands:\n")
            .map_or("", |(_, commands)| commands);
        for line in commands.lines().take_while(|line| !line.is_empty()) {
            let is_continued = line.starts_with("   ");
            let name = line.split_whitespace().next().expect("a name");
            if !is_continued && name != "help" {
                waiting.push([&command[..], &[name.to_owned()]].concat());
            }
        }
        pages.push((command.join(" "), page));
    }
    pages
}

#[test]
fn every_page_fits_a_terminal_and_names_keys_that_exist() {
    let documentation = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let documentation = std::fs::read_to_string(documentation).expect("a file");
    let pages = pages();
    assert!(pages.len() > 25, "{}", pages.len());
    for (command, page) in &pages {
        for line in page.lines() {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
        let keys = page
            .split_once("Keys of the configuration")
            .map_or("", |(_, keys)| keys);
        for line in keys.lines().skip(1).take_while(|line| !line.is_empty()) {
            let key = line.split_whitespace().next().expect("a key");
            let is_there = ["`", ".", "[]"]
                .iter()
                .any(|end| documentation.contains(&format!("`{key}{end}")));
            assert!(is_there, "{command}: {key}");
        }
    }
    for command in [
        "gc",
        "restore",
        "rm",
        "policy",
        "backup",
        "verify",
        "why",
        "access show",
    ] {
        let (_, page) = pages
            .iter()
            .find(|(name, _)| name == command)
            .expect("a page");
        assert!(page.contains("Keys of the configuration"), "{command}");
    }
}

#[test]
fn the_example_is_a_configuration_and_so_is_what_it_leaves_out() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let example = run(&["config", "show", "--example"]);
    assert!(example.status.success(), "{example:?}");
    let text = String::from_utf8(example.stdout).expect("text");
    let check = |text: &str| {
        let file = directory.path().join("config.yml");
        std::fs::write(&file, text).expect("a file");
        let data = directory.path().join("data");
        let output = Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(["config", "check"])
            .arg(file)
            .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", data)
            .output();
        output.expect("it runs")
    };
    let checked = check(&text);
    assert!(checked.status.success(), "{checked:?}");
    let mut enabled = String::new();
    for line in text.lines() {
        let start = line.trim_start();
        let is_key = start.starts_with('#') && !start.starts_with("# ") && start != "#";
        enabled += &match is_key {
            true => line.replacen('#', "", 1),
            false => line.to_owned(),
        };
        enabled.push('\n');
    }
    assert!(
        enabled.contains("\npolicies:\n  - repositories:"),
        "{enabled}"
    );
    let checked = check(&enabled);
    let complaints = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!complaints.is_empty());
    // only files and directories that this machine lacks
    for line in complaints.lines() {
        assert!(
            line.contains("/etc/tarkeep") || line.contains("/mnt/backup"),
            "{line}"
        );
    }
}
