//! Configurations: the file and the variables over it. One that is shown and read again is the same, and no error shows a secret.
//!
//! An input is a file, and after a zero byte the variables, `NAME=VALUE` on a line each.

#![no_main]

#[path = "../support/scratch.rs"]
mod scratch;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tarkeep::config::{Config, Error, Loaded};

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(scratch::directory);

fuzz_target!(|data: &[u8]| {
    let end = data
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(data.len());
    let (file, variables) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let variables = String::from_utf8_lossy(variables);
    let variables = variables.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        Some((format!("REGISTRY_{name}").into(), value.into()))
    });
    let path = DIRECTORY.join("config.yml");
    std::fs::write(&path, file).expect("a file");
    match Config::load(Some(&path), variables) {
        Ok(loaded) => shown_again(&loaded),
        Err(Error::Problems(problems)) => assert!(!problems.is_empty()),
        Err(Error::Read { cause, .. }) => assert!(std::str::from_utf8(file).is_err(), "{cause}"),
    }
});

/// Shows a configuration, reads it, and shows it again.
fn shown_again(loaded: &Loaded) {
    let shown = loaded.to_yaml();
    let path = DIRECTORY.join("shown.yml");
    std::fs::write(&path, &shown).expect("a file");
    let again = load(&path).unwrap_or_else(|error| panic!("{error}: {shown}"));
    assert_eq!(config(&again), config(loaded), "{shown}");
    assert!(loaded.differences(loaded).is_empty());
}

fn load(path: &Path) -> Result<Loaded, Error> {
    Config::load(Some(path), std::iter::empty::<(OsString, OsString)>())
}

/// Returns the values, without `auth: none`, which is not the default once it is written.
fn config(loaded: &Loaded) -> Value {
    let mut config = loaded.to_json()["config"].take();
    let auth = &mut config["auth"];
    if *auth == "none" || auth.get("none").is_some() {
        auth.take();
    }
    config
}
