//! Rules that are tried out from afar: they decide, and nothing changes.

use serde_json::{Value, json};

use super::answered;
use super::openapi::check_answer;
use super::same::store;
use crate::support::Server;
use crate::support::client::Response;

fn tried(server: &Server, path: &str, rules: &str) -> Response {
    let mut client = server.client();
    let request = client
        .request("POST", path)
        .header("Content-Type", "application/json");
    let body = json!({ "rules": rules }).to_string();
    request.body(body.as_bytes()).send()
}

fn removed(preview: &Value) -> Vec<String> {
    let tags = preview["tags"].as_array().into_iter().flatten();
    let tags = tags.filter(|tag| tag["kept"] == false);
    tags.map(|tag| format!("{}:{}", tag["repository"], tag["tag"]).replace('"', ""))
        .collect()
}

#[test]
fn other_rules_decide_and_change_nothing() {
    let (server, _) = store();
    let before = answered(&server, "/api/v1/policies");
    assert_eq!(removed(&before), ["ruled/app:pr-1", "ruled/app:pr-2"]);
    let rules = "policies: [{repositories: '**', tags: [{match: ['v1'], newest: 0}]}]";
    let answer = tried(&server, "/api/v1/policies", rules);
    check_answer(&server, ("post", "/policies"), &answer);
    let preview = answer.json();
    assert_eq!(removed(&preview), ["other:v1", "team/app:v1"]);
    assert_eq!(preview["summary"][0]["removedCount"], 2);
    assert_eq!(preview["tags"][0]["rule"], "v1");
    let of_one = tried(&server, "/api/v1/policies/other", rules).json();
    assert_eq!(removed(&of_one), ["other:v1"]);
    let after = answered(&server, "/api/v1/policies");
    assert_eq!(after["tags"], before["tags"]);
    let told = server.cli(&["audit", "--limit", "0", "-ojson"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(!told.contains("polic"), "{told}");
}

#[test]
fn mistakes_are_named_with_their_line() {
    let (server, _) = store();
    let long = format!("# {}", "x".repeat(40_000));
    for (rules, message) in [
        ("policies:\n- tags: []", "rules line 2"),
        ("policies: [", "not YAML"),
        ("http: {adr: x}", "did you mean"),
        (&*long, "more than 32 KiB"),
    ] {
        let answer = tried(&server, "/api/v1/policies", rules);
        assert_eq!(answer.status, 400, "{rules}");
        let said = answer.json().to_string();
        assert!(said.contains(message), "{said}");
    }
    let other = [("at", "tomorrow"), ("last", "x"), ("unknown", "1")];
    for (key, value) in other {
        let path = format!("/api/v1/policies?{key}={value}");
        assert_eq!(server.client().get(&path).status, 400, "{path}");
    }
    let missing = server.client().get("/api/v1/policies/none");
    assert_eq!(missing.status, 404);
}

#[test]
fn pages_follow_each_other() {
    let (server, _) = store();
    let whole = answered(&server, "/api/v1/policies");
    let (mut path, mut seen) = (Some("/api/v1/policies?n=2".to_owned()), Vec::new());
    let mut pages = 0;
    while let Some(next) = path {
        let answer = server.client().get(&next);
        let page = answer.json();
        seen.extend(page["tags"].as_array().cloned().expect("a list"));
        assert_eq!(
            page["summary"].as_array().map(Vec::is_empty),
            Some(pages > 0)
        );
        pages += 1;
        path = answer.header("link").map(|link| {
            let link = link.trim_start_matches('<');
            link.split('>').next().expect("a target").to_owned()
        });
    }
    assert!(pages > 2, "{pages}");
    assert_eq!(Value::from(seen), whole["tags"]);
}
