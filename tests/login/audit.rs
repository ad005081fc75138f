//! The audit log: every change with who made it, in its own transaction.

use serde_json::Value;

use super::machine_tokens::{fill, get, run, token};
use super::{Guarded, as_user, line};
use crate::support::eventually;

/// Rows of the audit log, newest first.
fn audit(guarded: &Guarded, arguments: &[&str]) -> Vec<Value> {
    let flags = [&["audit"], arguments, &["-o", "json"]].concat();
    let output = guarded.server.cli(&flags);
    assert!(output.status.success(), "{output:?}");
    let object: Value = serde_json::from_slice(&output.stdout).expect("an object");
    object["events"].as_array().expect("a list").clone()
}

fn actions(rows: &[Value]) -> Vec<&str> {
    let actions = rows.iter().map(|row| row["action"].as_str());
    actions.map(|action| action.expect("text")).collect()
}

fn delete(guarded: &Guarded, user: &str, password: &str, path: &str) -> u16 {
    let mut client = guarded.client();
    let request = client.request("DELETE", path);
    let request = request.header("User-Agent", "cleaner/1.0");
    as_user(request, user, password).send().status
}

#[test]
fn each_change_has_a_row() {
    let guarded = Guarded::with(&line("ann", "secret"));
    let image = fill(&guarded);
    let digest = crate::support::sha256(&image.manifest);
    let pushed = audit(&guarded, &["--repository", "team/app"]);
    assert_eq!(actions(&pushed), ["tag", "push"]);
    assert_eq!(pushed[0]["tag"], "v1");
    assert_eq!(pushed[0]["digest"], *digest);
    assert_eq!(pushed[0]["formerDigest"], Value::Null);
    assert_eq!(pushed[0]["who"]["name"], "ann");
    assert_eq!(pushed[0]["who"]["address"], "127.0.0.1");
    let ci = token(
        &guarded,
        &["ci", "--repositories", "team/**", "--may", "admin"],
    );
    assert_eq!(delete(&guarded, "x", &ci, "/v2/team/app/manifests/v1"), 202);
    let by_token = audit(&guarded, &["--who", "token:ci", "--action", "untag"]);
    assert_eq!(by_token[0]["formerDigest"], *digest);
    assert_eq!(by_token[0]["userAgent"], "cleaner/1.0");
    let id = ci.split('_').nth(1).expect("an id");
    assert_eq!(by_token[0]["credential"], id);
    let restored = guarded.server.cli(&["restore", "team/app:v1"]);
    assert!(restored.status.success(), "{restored:?}");
    let path = format!("/v2/team/app/manifests/{digest}");
    assert_eq!(delete(&guarded, "ann", "secret", &path), 202);
    // all of it is gone, and its rows are there
    assert!(
        guarded
            .server
            .cli(&["rm", "other/app", "--yes"])
            .status
            .success()
    );
    let team = audit(&guarded, &["--repository", "team/**"]);
    assert_eq!(
        actions(&team),
        ["untag", "delete", "restore", "untag", "tag", "push"]
    );
    assert_eq!(team[2]["tag"], "v1");
    let moves = audit(&guarded, &["--repository", "team/app:v*"]);
    assert_eq!(actions(&moves), ["untag", "restore", "untag", "tag"]);
    assert!(audit(&guarded, &["--repository", "team/app:latest"]).is_empty());
    let other = audit(&guarded, &["--repository", "oth*/**", "--action", "delete"]);
    assert_eq!(other.len(), 1, "{other:?}");
    run(&guarded, &["rotate", "ci"]);
    run(&guarded, &["revoke", "ci"]);
    let tokens = audit(&guarded, &["--action", "token-revoke"]);
    assert_eq!(tokens[0]["detail"], "token:ci");
    assert_eq!(audit(&guarded, &["--limit", "2"]).len(), 2);
    assert!(audit(&guarded, &["--since", "+1h"]).is_empty());
}

#[test]
fn first_uses_and_refused_logins_are_there() {
    let guarded = Guarded::with(&line("ann", "secret"));
    let ci = token(&guarded, &["ci", "--repositories", "**", "--may", "pull"]);
    for _ in 0..3 {
        get(&guarded, &ci, "/v2/");
        let mut client = guarded.client();
        let request = client.request("GET", "/v2/");
        let request = request.header("User-Agent", "guess/1.0");
        let refused = as_user(request, "ann", "wrong").send();
        refused.refused(401, "UNAUTHORIZED");
        guarded.login("zoe", "wrong").refused(401, "UNAUTHORIZED");
    }
    eventually("they are written", || {
        let refused = audit(&guarded, &["--action", "login-refused"]);
        let used = audit(&guarded, &["--action", "token-first-use"]);
        !refused.is_empty() && !used.is_empty()
    });
    let refused = audit(&guarded, &["--action", "login-refused", "--who", "ann"]);
    assert_eq!(refused[0]["who"]["address"], "127.0.0.1");
    assert_eq!(refused[0]["userAgent"], "guess/1.0");
    let detail = |rows: &[Value]| rows[0]["detail"].as_str().map(str::to_owned);
    let said = detail(&refused).expect("a reason");
    assert!(said.starts_with("wrong password"), "{said}");
    let unknown = audit(&guarded, &["--action", "login-refused", "--who", "zoe"]);
    let said = detail(&unknown).expect("a reason");
    assert!(said.starts_with("unknown user"), "{said}");
    for (flags, hint) in [
        (["--who", "@dev"], "registry access show @dev"),
        (["--since", "-5d"], "write 5d for 5d ago"),
    ] {
        let output = guarded.server.cli(&[&["audit"], &flags[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(hint), "{said}");
    }
    assert_eq!(audit(&guarded, &["--action", "token-first-use"]).len(), 1);
    let output = guarded.server.cli(&["audit", "--action", "fly"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("login-refused"),
        "{said}"
    );
}

#[test]
fn a_rule_that_removes_a_tag_is_named_and_old_rows_go() {
    let policies = "[{repositories: 'team/**', tags: [{match: ['v*'], younger: 1s}]}]";
    let guarded = Guarded::set_up(
        &line("ann", "secret"),
        &[
            ("REGISTRY_POLICIES", policies),
            ("REGISTRY_GC_INTERVAL", "100ms"),
        ],
    );
    fill(&guarded);
    eventually("the rule removes the tag", || {
        !audit(&guarded, &["--action", "untag"]).is_empty()
    });
    let removed = audit(&guarded, &["--action", "untag"]);
    let by = removed[0]["who"]["name"].as_str().expect("a name");
    assert!(by.contains("of policy 'team/**'"), "{by}");
    let mut brief = Guarded::set_up(&line("ann", "secret"), &[("REGISTRY_AUDIT_KEEP", "1d")]);
    fill(&brief);
    let database = rusqlite::Connection::open(brief.server.directory().join("registry.db"));
    let two_days_earlier = "UPDATE audit SET at = at - 2 * 24 * 3600 * 1000";
    let updated = database.and_then(|database| database.execute(two_days_earlier, []));
    assert!(updated.is_ok(), "{updated:?}");
    eventually("rows are too old", || {
        brief.server.kill();
        brief.server.restart();
        audit(&brief, &["--limit", "0", "--action", "push"]).is_empty()
    });
}

/// Whoever guesses under many names hides nothing behind them.
#[test]
fn refused_logins_of_many_clients_are_counted() {
    let guarded = Guarded::set_up(
        &line("ann", "secret"),
        &[("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]")],
    );
    // a window of ten seconds may end meanwhile
    const CLIENTS: usize = 60;
    for number in 0..CLIENTS {
        let mut client = guarded.client();
        let request = client.request("GET", "/v2/");
        let request = request.header("X-Forwarded-For", &format!("192.0.2.{number}"));
        let refused = match number % 2 {
            0 => as_user(request, "ann", "guess"),
            _ => request.header("Authorization", "Bearer forged"),
        };
        assert_eq!(refused.send().status, 401);
    }
    let counted = || {
        let refused = audit(&guarded, &["--action", "login-refused", "--limit", "0"]);
        let further = refused.iter().filter_map(|row| {
            let (number, _) = row["detail"]
                .as_str()?
                .split_once(" times by further clients")?;
            number.parse::<usize>().ok()
        });
        let further: Vec<_> = further.collect();
        (refused.len() - further.len(), further.iter().sum::<usize>())
    };
    eventually("all are written", || {
        let (apart, further) = counted();
        apart + further == CLIENTS
    });
    let (apart, further) = counted();
    assert!(apart <= 40 && further >= 20, "{apart} {further}");
}
