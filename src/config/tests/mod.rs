//! Tests of whole configurations: files, variables, the table of keys, and `config show`.

mod file;
mod show;
mod table;
mod variables;

use serde_json::json;

use crate::config::keys::{self, Key, Kind, Status};
use crate::config::{Config, Loaded};

/// A configuration that says of which version it is, without another line before what it says besides.
fn whole(text: &str) -> String {
    match text.strip_prefix('{') {
        _ if text.contains("version") || text.starts_with('-') => text.to_owned(),
        Some(rest) => format!("{{\"version\": 0.1, {rest}"),
        None => format!("{text}\nversion: 0.1\n"),
    }
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yml");
    std::fs::write(&path, whole(text)).unwrap();
    let loaded = Config::load(
        Some(&path),
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    loaded.map_err(|error| {
        error
            .to_string()
            .replace(&path.display().to_string(), "config.yml")
    })
}

fn config(text: &str, variables: &[(&str, &str)]) -> Config {
    load(text, variables)
        .unwrap_or_else(|error| panic!("{text} {variables:?}: {error}"))
        .config
}

/// A value that fits a key.
fn sample(key: &Key) -> String {
    match key.kind {
        Kind::Switch => "true".to_owned(),
        Kind::Count(_) | Kind::Page => "7".to_owned(),
        Kind::Bytes => "20GiB".to_owned(),
        Kind::Time | Kind::GoTime => "1m30s".to_owned(),
        Kind::Keep => "forever".to_owned(),
        Kind::Word(words) => words[0].to_owned(),
        Kind::TlsVersion => "tls1.3".to_owned(),
        Kind::Words(words) => format!("[{}]", words.join(", ")),
        Kind::Texts => "[a, 'no', '0x1']".to_owned(),
        Kind::Headers | Kind::SecretHeaders => "{x-a: [b, 'c: d']}".to_owned(),
        Kind::HeaderSources => "{x-a: [b, 'c: d'], x-b: {file: /e}}".to_owned(),
        Kind::Lists => "{team: [ann, bob]}".to_owned(),
        Kind::Fields => "{e: 1, f: 'yes'}".to_owned(),
        Kind::Version => "0.1".to_owned(),
        Kind::Nothing => "{}".to_owned(),
        Kind::Url | Kind::BaseUrl => "https://example.com/x".to_owned(),
        Kind::Text | Kind::Secret | Kind::Anything => "'5 #x'".to_owned(),
    }
}

/// A file with every honoured key, but for the ways to log in only this one.
fn everything(login: &str) -> String {
    let mut tree = json!({});
    let keys = keys::all()
        .iter()
        .filter(|key| key.status == Status::Supported);
    for key in keys.filter(|key| {
        !key.path.starts_with("auth.") || key.path.starts_with(&format!("auth.{login}"))
    }) {
        let mut place = &mut tree;
        for part in key.path.split('.') {
            let name = part.trim_end_matches("[]");
            place = &mut place[name];
            if part.ends_with("[]") {
                place = match place {
                    serde_json::Value::Array(_) => &mut place[0],
                    empty => {
                        *empty = json!([{}]);
                        &mut empty[0]
                    }
                };
            }
        }
        *place = serde_saphyr::from_str(&sample(key)).unwrap();
    }
    tree.to_string()
}

/// A file in which `path` has this value; of a list, the only item has it.
fn with(path: &str, value: serde_json::Value) -> serde_json::Value {
    path.rsplit('.').fold(value, |inner, part| {
        let inner = if part.ends_with("[]") {
            json!([inner])
        } else {
            inner
        };
        json!({ part.trim_end_matches("[]"): inner })
    })
}
