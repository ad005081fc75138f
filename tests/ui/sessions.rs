//! Logging in to the page: a form, a cookie, and what ends it.

use serde_json::json;

use crate::login::{Guarded, line};
use crate::support::client::Response;
use crate::support::{Image, Server};

/// A server where Ann may pull what nobody else sees.
pub fn guarded(more: &[(&str, &str)]) -> Guarded {
    let rules = json!({
        "rules": [
            { "repositories": "**", "who": "boss", "may": "admin" },
            { "repositories": "public/**", "who": "anonymous", "may": "pull" },
            { "repositories": "secret/**", "who": "ann", "may": "pull" },
            { "repositories": "secret/**", "who": "kim", "may": "maintain" },
        ],
    })
    .to_string();
    let users = ["boss", "ann", "kim"]
        .map(|user| line(user, "secret"))
        .concat();
    let variables = [&[("REGISTRY_ACCESS", &*rules)], more].concat();
    let guarded = Guarded::set_up(&users, &variables);
    for name in ["public/app", "secret/app"] {
        crate::api::people::push(&guarded, &Image::small(1), name, "v1");
    }
    guarded
}

pub const OWN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");

/// Sends a form.
pub fn form(server: &Server, path: &str, body: &str, headers: &[(&str, &str)]) -> Response {
    let mut client = server.client();
    let mut request = client
        .request("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(body.as_bytes()).send()
}

/// Logs in, and returns the cookie.
pub fn logged_in(server: &Server, user: &str, password: &str) -> String {
    let body = format!("user={user}&password={password}&to=");
    let answer = form(server, "/ui/login", &body, &[OWN]);
    assert_eq!(answer.status, 303, "{}", text(&answer));
    cookie(&answer)
        .split(';')
        .next()
        .expect("a cookie")
        .to_owned()
}

fn cookie(answer: &Response) -> String {
    answer.header("set-cookie").expect("a cookie").to_owned()
}

pub fn text(answer: &Response) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

pub fn with_cookie(server: &Server, path: &str, cookie: &str) -> Response {
    let mut client = server.client();
    let request = client.request("GET", path);
    request.header("Cookie", cookie).send()
}

/// Reports whether a cookie shows what only Ann sees.
fn shows(server: &Server, cookie: &str) -> bool {
    shows_secret(&with_cookie(server, "/ui/?view=flat", cookie))
}

fn shows_secret(page: &Response) -> bool {
    assert_eq!(page.status, 200, "{}", text(page));
    assert!(text(page).contains("public"));
    text(page).contains("secret")
}

#[test]
fn a_form_logs_in_and_out() {
    let guarded = guarded(&[]);
    let server = &guarded.server;
    assert!(!shows(server, "tarkeep=none"));
    let asked = text(&server.client().get("/ui/?view=flat"));
    assert!(
        asked.contains("href=\"./login?to=%3Fview%3Dflat\""),
        "{asked}"
    );
    let asked = text(&server.client().get("/ui/images/secret/app/v1"));
    assert!(asked.contains("login?to=images/secret/app/v1\""), "{asked}");
    let form_page = server.client().get("/ui/login?to=%22%3E%3Cscript%3E");
    assert_eq!(form_page.status, 200);
    assert!(!text(&form_page).contains("<script>"));
    assert!(text(&form_page).contains("12 hours without use"));
    let wrong = form(server, "/ui/login", "user=ann&password=wrong", &[OWN]);
    assert_eq!((wrong.status, wrong.header("set-cookie")), (403, None));
    assert!(text(&wrong).contains("are wrong") && text(&wrong).contains("value=\"ann\""));
    let right = "user=ann&password=secret&to=%3Fview%3Dflat";
    let answer = form(server, "/ui/login", right, &[OWN]);
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), Some("/ui/?view=flat"));
    let set = cookie(&answer);
    for part in ["Path=/ui;", "Max-Age=604800", "HttpOnly", "SameSite=Lax"] {
        assert!(set.contains(part), "{set}");
    }
    let cookie = set.split(';').next().expect("a cookie");
    assert!(shows(server, cookie));
    assert!(text(&with_cookie(server, "/ui/", cookie)).contains("Log out"));
    // elsewhere it is worth nothing
    assert_eq!(
        with_cookie(server, "/v2/secret/app/tags/list", cookie).status,
        401
    );
    let api = with_cookie(server, "/api/v1/repositories", cookie);
    assert!(!text(&api).contains("secret"), "{}", text(&api));
    let password = cookie.replace("tarkeep=", "");
    assert_eq!(guarded_login(server, &format!("tk_{password}")), 401);
    let out = form(server, "/ui/logout", "", &[OWN, ("Cookie", cookie)]);
    assert_eq!(out.status, 303);
    assert!(
        out.header("set-cookie")
            .expect("a cookie")
            .contains("Max-Age=0")
    );
    assert!(!shows(server, cookie));
    let told = |action: &str| {
        let output = server.cli(&["audit", "--action", action, "--who", "ann", "-ojson"]);
        String::from_utf8_lossy(&output.stdout)
            .matches("127.0.0.1")
            .count()
    };
    assert_eq!((told("login"), told("logout")), (1, 1));
    let database = server.directory().join("registry.db");
    let bytes = std::fs::read(&database).expect("a database");
    let log = std::fs::read(database.with_extension("db-wal")).unwrap_or_default();
    let holds = |bytes: &[u8]| {
        bytes
            .windows(password.len())
            .any(|part| part == password.as_bytes())
    };
    assert!(
        !holds(&bytes) && !holds(&log),
        "the cookie is in the database"
    );
}

fn guarded_login(server: &Server, password: &str) -> u16 {
    let mut client = server.client();
    let request = client.request("GET", "/v2/secret/app/tags/list");
    crate::login::as_user(request, "ann", password)
        .send()
        .status
}

/// A page elsewhere could otherwise log its reader in or out.
#[test]
fn forms_of_other_pages_are_rejected() {
    let guarded = guarded(&[]);
    let server = &guarded.server;
    let host = format!("http://{}", server.address());
    let body = "user=ann&password=secret";
    for headers in [
        &[][..],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Origin", "http://evil.example")],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", &*host)],
    ] {
        for path in ["/ui/login", "/ui/logout"] {
            let answer = form(server, path, body, headers);
            assert_eq!(answer.status, 403, "{path} {headers:?}");
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
    let own = form(server, "/ui/login", body, &[("Origin", &host)]);
    assert_eq!(own.status, 303, "{}", text(&own));
}

#[test]
fn behind_tls_the_cookie_belongs_to_this_host_alone() {
    let guarded = guarded(&[]);
    let https = ("X-Forwarded-Proto", "https");
    let body = "user=ann&password=secret";
    let answer = form(&guarded.server, "/ui/login", body, &[OWN, https]);
    let set = cookie(&answer);
    assert!(set.starts_with("__Host-tarkeep="), "{set}");
    assert!(
        set.contains("; Path=/;") && set.ends_with("; Secure"),
        "{set}"
    );
    let cookie = set.split(';').next().expect("a cookie");
    let mut client = guarded.server.client();
    let page = client.request("GET", "/ui/?view=flat");
    let page = page.header("Cookie", cookie).header(https.0, https.1);
    assert!(shows_secret(&page.send()));
    // a cookie without the prefix may have been set by another host
    for (cookie, is_https) in [
        (cookie.replace("__Host-", ""), true),
        (cookie.to_owned(), false),
    ] {
        let page = client.request("GET", "/ui/?view=flat");
        let page = page.header("Cookie", &cookie);
        let page = if is_https {
            page.header(https.0, https.1)
        } else {
            page
        };
        assert!(!shows_secret(&page.send()), "{cookie}, https: {is_https}");
    }
}

#[test]
fn a_session_ends_with_its_user_or_token() {
    let guarded = guarded(&[]);
    let server = &guarded.server;
    let by_password = logged_in(server, "ann", "secret");
    let words = [
        "token",
        "create",
        "ci",
        "--repositories",
        "secret/**",
        "--may",
        "pull",
    ];
    let token = String::from_utf8(server.cli(&words).stdout).expect("a token");
    let by_token = logged_in(server, "anybody", token.trim());
    assert!(shows(server, &by_password) && shows(server, &by_token));
    assert!(text(&with_cookie(server, "/ui/", &by_token)).contains("token:ci"));
    let out = form(server, "/ui/logout", "", &[OWN, ("Cookie", &by_token)]);
    assert_eq!(out.status, 303);
    for action in ["login", "logout"] {
        let told = server.cli(&["audit", "--action", action, "-ojson"]);
        let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON");
        let id = token.trim().split('_').nth(1).expect("an id");
        let is_told =
            |row: &serde_json::Value| row["who"]["name"] == "token:ci" && row["credential"] == id;
        assert!(
            told["events"].as_array().expect("rows").iter().any(is_told),
            "{told}"
        );
    }
    let by_token = logged_in(server, "anybody", token.trim());
    assert!(server.cli(&["token", "revoke", "ci"]).status.success());
    assert!(!shows(server, &by_token));
    let users = [line("boss", "secret"), line("ann", "another")].concat();
    guarded.replace_users(&users);
    assert!(!shows(server, &by_password));
    let again = logged_in(server, "ann", "another");
    guarded.replace_users(&line("boss", "secret"));
    assert!(!shows(server, &again));
}

#[test]
fn a_session_ends_by_time_and_by_number() {
    for end in ["idle", "lifetime"] {
        let times = json!({ end: "0s" }).to_string();
        let guarded = guarded(&[("REGISTRY_UI", &times)]);
        let cookie = logged_in(&guarded.server, "ann", "secret");
        assert!(!shows(&guarded.server, &cookie), "{end}");
    }
    let guarded = guarded(&[]);
    let first = logged_in(&guarded.server, "ann", "secret");
    let boss = logged_in(&guarded.server, "boss", "secret");
    let others: Vec<_> = (0..20)
        .map(|_| logged_in(&guarded.server, "ann", "secret"))
        .collect();
    assert!(!shows(&guarded.server, &first), "the oldest of 21 goes on");
    for cookie in others.iter().chain([&boss]) {
        assert!(shows(&guarded.server, cookie));
    }
}

/// The settings in force count for sessions that have begun.
#[test]
fn other_ends_count_for_sessions_that_have_begun() {
    for ui in ["{idle: 1ms}", "{lifetime: 1ms}"] {
        let directory = tempfile::TempDir::new().expect("a directory");
        let users = directory.path().join("users");
        std::fs::write(&users, line("ann", "secret")).expect("written");
        let auth = json!({ "htpasswd": { "realm": "r", "path": users } }).to_string();
        let data = directory.path().join("data");
        let start = |ui| Server::at(&data, &[("REGISTRY_AUTH", &*auth), ("REGISTRY_UI", ui)]);
        let mut server = start("{}");
        let cookie = logged_in(&server, "ann", "secret");
        let is_in = |server: &Server| with_cookie(server, "/ui/", &cookie).status == 200;
        assert!(is_in(&server));
        server.stop();
        assert!(!is_in(&start(ui)), "{ui}");
    }
}

/// As for any other login: an address that guesses is locked out.
#[test]
fn guesses_are_throttled() {
    let guarded = guarded(&[]);
    let server = &guarded.server;
    let statuses: Vec<_> = (0..40)
        .map(|number| {
            let body = format!("user=ann&password=guess{number}");
            form(server, "/ui/login", &body, &[OWN]).status
        })
        .collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    let right = form(server, "/ui/login", "user=ann&password=secret", &[OWN]);
    assert_eq!(right.status, 429);
}
