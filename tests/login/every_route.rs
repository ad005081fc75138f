//! Every route as every identity, compared with a model of the rules that is written apart from the code.

use std::collections::BTreeSet;

use serde_json::json;

use super::machine_tokens::token;
use super::{Guarded, as_user, line};
use crate::support::client::Response;
use crate::support::sha256;

/// Somebody who sends requests: a name, and the password, which a token is.
struct Identity {
    name: &'static str,
    password: Option<String>,
}

/// Users, each with the password `secret`; the names say what they may in `team/**`.
const USERS: [&str; 8] = [
    "boss", "reader", "creator", "updater", "writer", "remover", "blind", "ann",
];

/// Repositories: all exist but those whose name ends with `none`.
const REPOSITORIES: [&str; 6] = [
    "public/app",
    "team/app",
    "home/ann/app",
    "secret/app",
    "secret/none",
    "team/none",
];

/// Rights of the model, as letters: p(ull), c(reate), u(pdate), d(elete).
fn rights(who: &str, repository: &str) -> &'static str {
    let place = repository.split('/').next().unwrap_or_default();
    match (who, place) {
        ("boss", _) => "pcud",
        ("ann" | "token:anns", "home") if repository.starts_with("home/ann/") => "pcud",
        ("reader", "team") => "p",
        ("creator" | "token:ci", "team") => "pc",
        ("updater", "team") => "pu",
        ("writer", "team") => "pcu",
        ("remover", "team") => "pd",
        ("blind", "team") => "cud",
        // what the grant says, and no more than its user may
        ("token:readers", "team") => "p",
        (_, "public") => "p",
        _ => "",
    }
}

fn rules() -> String {
    json!({
        "groups": { "writers": ["writer"] },
        "rules": [
            { "repositories": "**", "who": "boss", "may": "admin" },
            { "repositories": "public/**", "who": "anonymous", "may": "pull" },
            { "repositories": "team/**", "who": ["reader", "creator", "updater", "remover"], "may": "pull" },
            { "repositories": "team/**", "who": ["creator", "blind"], "may": "create" },
            { "repositories": "team/**", "who": ["updater", "blind"], "may": "update" },
            { "repositories": "team/**", "who": ["remover", "blind"], "may": "delete" },
            { "repositories": ["team/**"], "who": "@writers", "may": "push" },
            { "repositories": "home/{user}/**", "who": "users", "may": "maintain" },
            { "repositories": "**", "who": "anonymous", "from": "192.0.2.0/24", "may": "admin" },
        ],
    })
    .to_string()
}

fn identities(guarded: &Guarded) -> Vec<Identity> {
    let users = USERS.map(|name| Identity {
        name,
        password: Some("secret".to_owned()),
    });
    let grants: [(&str, &[&str]); 4] = [
        (
            "token:ci",
            &["ci", "--repositories", "team/**", "--may", "pull,create"],
        ),
        (
            "token:readers",
            &[
                "readers",
                "--repositories",
                "**",
                "--may",
                "admin",
                "--for",
                "reader",
            ],
        ),
        (
            "token:anns",
            &[
                "anns",
                "--repositories",
                "home/{user}/**",
                "--may",
                "maintain",
                "--for",
                "ann",
            ],
        ),
        ("token:bare", &["bare"]),
    ];
    let tokens = grants.map(|(name, flags)| Identity {
        name,
        password: Some(token(guarded, flags)),
    });
    let nobody = Identity {
        name: "nobody",
        password: None,
    };
    users.into_iter().chain(tokens).chain([nobody]).collect()
}

/// Rights that a request needs, in the letters of the model.
#[derive(Clone, Copy)]
enum Needs {
    Nothing,
    Login,
    /// Every right everywhere.
    Administrator,
    /// Any of these, after pulling if that is one of them.
    Rights(&'static [&'static str]),
}

/// A request: the row of the server's table that answers it, and what that says if it is allowed.
struct Kind {
    method: &'static str,
    template: &'static str,
    /// Rest of the path behind the repository; all of it where the template has none.
    path: &'static str,
    needs: Needs,
    /// Status of those who may, in a repository that exists.
    allowed: u16,
}

const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// All kinds of requests: method, row of the server's table, rest of the path, what it needs, and the status of those who may.
///
/// `{image}`, `{none}` and `{empty}` are digests. Changes name what is not there, so that they change nothing.
const KINDS: &str = "
    GET /v2/ /v2/ login 200
    PUT /v2/{name}/manifests/{reference} manifests/new push 400
    PUT /v2/{name}/manifests/{reference} manifests/{none} push 400
    DELETE /v2/{name}/manifests/{reference} manifests/none delete 404
    DELETE /v2/{name}/manifests/{reference} manifests/{none} delete 404
    POST /v2/{name}/blobs/uploads/ blobs/uploads/ push 202
    POST /v2/{name}/blobs/uploads/ blobs/uploads/?digest={none} push 400
    POST /v2/{name}/blobs/uploads/ blobs/uploads/?mount={none}&from=public/app push 202
    GET /v2/{name}/blobs/uploads/{id} blobs/uploads/00000000-0000-4000-8000-000000000000 pull 404
    PATCH /v2/{name}/blobs/uploads/{id} blobs/uploads/00000000-0000-4000-8000-000000000000 push 404
    PUT /v2/{name}/blobs/uploads/{id} blobs/uploads/00000000-0000-4000-8000-000000000000?digest={none} push 404
    DELETE /v2/{name}/blobs/uploads/{id} blobs/uploads/00000000-0000-4000-8000-000000000000 push 404
    DELETE /v2/{name}/blobs/{digest} blobs/{none} delete 404
    DELETE /v2/{name}/ - delete 202
    GET /v2/{name}/manifests/{reference} manifests/1 pull 200
    GET /v2/{name}/manifests/{reference} manifests/{image} pull 200
    GET /v2/{name}/blobs/{digest} blobs/{empty} pull 200
    GET /v2/{name}/tags/list tags/list pull 200
    GET /v2/{name}/referrers/{digest} referrers/{image} pull 200
    GET /v2/{name}/_oci/tag-history/{tag} _oci/tag-history/1 pull 200
    GET /v2/_catalog /v2/_catalog nothing 200
    GET /v1/search /v1/search?q=app nothing 200
    GET /v2/_events /v2/_events?since=0 nothing 200
    GET /v2/_token /v2/_token?service=registry&scope=repository:secret/app:pull nothing 200
    GET / / nothing 200
    GET /ui/delete/{name}/{reference} 1 remove 200
    HEAD /ui/delete/{name}/{reference} 1 remove 200
    POST /ui/delete/{name}/{reference} absent remove 404
    POST /ui/restore/{name}/{reference} absent remove 404
    GET /ui/selections/{name} ?tag=1 remove 200
    HEAD /ui/selections/{name} ?tag=1 remove 200
    POST /ui/selections/{name} - remove 400
    POST /ui/restores/{name} - remove 400
    POST /ui/tokens /ui/tokens administrator 400
    POST /ui/tokens/{token} /ui/tokens/none administrator 400
    POST /ui/deliveries/{event} /ui/deliveries/1 administrator 400
    GET /ui/login /ui/login nothing 200
    POST /ui/login /ui/login nothing 403
    GET /ui/login/issuer /ui/login/issuer nothing 404
    GET /ui/login/return /ui/login/return?code=x&state=y nothing 404
    POST /ui/logout /ui/logout nothing 303
    GET /livez /livez nothing 200
    GET /readyz /readyz nothing 200
    GET /v1/_ping /v1/_ping nothing 200
    GET /api/v1/deletions/{name}/{reference} 1 remove 200
    GET /api/v1/deletions/{name}/{reference} {image} remove 200
    GET /api/v1/selections/{name} - remove 200
    DELETE /api/v1/selections/{name} ?tags=absent remove 200
    POST /api/v1/selections/{name} - remove 404
    DELETE /api/v1/manifests/{name}/{reference} absent remove 404
    DELETE /api/v1/manifests/{name}/{reference} {none} remove 404
    POST /api/v1/trash/{name}/{reference} absent remove 404
    POST /api/v1/trash/{name}/{reference} {none} remove 404
    POST /api/v1/promotions/{name}/{tag} new push 400
    POST /api/v1/kept/{name}/{tag} new push 400
    POST /ui/kept /ui/kept administrator 400
    POST /api/v1/tokens /api/v1/tokens administrator 400
    POST /api/v1/tokens/{token} /api/v1/tokens/none administrator 400
    DELETE /api/v1/tokens/{token} /api/v1/tokens/none administrator 404
    POST /api/v1/deliveries/{event} /api/v1/deliveries/1?webhook=none administrator 404
    HEAD /v2/{name}/manifests/{reference} manifests/1 pull 200
    HEAD /v2/{name}/manifests/{reference} manifests/{image} pull 200
    HEAD /v2/{name}/blobs/{digest} blobs/{empty} pull 200
    HEAD /v2/{name}/tags/list tags/list pull 200
    HEAD /v2/{name}/referrers/{digest} referrers/{image} pull 200
    HEAD /v2/{name}/_oci/tag-history/{tag} _oci/tag-history/1 pull 200
    HEAD /v2/_catalog /v2/_catalog nothing 200
    HEAD /v1/search /v1/search?q=app nothing 200
    HEAD /v2/_events /v2/_events?since=0 nothing 200
    HEAD /v2/_token /v2/_token?service=registry&scope=repository:secret/app:pull nothing 200
    HEAD / / nothing 200
    HEAD /livez /livez nothing 200
    HEAD /readyz /readyz nothing 200
    HEAD /v1/_ping /v1/_ping nothing 200
    GET /api/v1/repositories /api/v1/repositories nothing 200
    GET /api/v1/tags /api/v1/tags?sort=size nothing 200
    GET /api/v1/tags/{name} - pull 200
    GET /api/v1/untagged /api/v1/untagged nothing 200
    GET /api/v1/manifests/{name}/{reference} 1 pull 200
    GET /api/v1/manifests/{name}/{reference} {image} pull 200
    GET /api/v1/contents/{name}/{reference} 1 pull 200
    HEAD /api/v1/contents/{name}/{reference} 1 pull 200
    GET /api/v1/history/{name}/{tag} 1 pull 200
    GET /api/v1/usage /api/v1/usage nothing 200
    GET /api/v1/usage/{name} - pull 200
    GET /api/v1/why/{digest} /api/v1/why/{image} nothing 200
    GET /api/v1/why/{digest} /api/v1/why/{empty} nothing 200
    GET /api/v1/why/{digest} /api/v1/why/{none} nothing 404
    GET /api/v1/trash /api/v1/trash nothing 200
    GET /api/v1/digests/{name}/{prefix} abcd pull 200
    HEAD /api/v1/digests/{name}/{prefix} abcd pull 200
    HEAD /api/v1/selections/{name} - remove 200
    HEAD /api/v1/repositories /api/v1/repositories nothing 200
    HEAD /api/v1/tags /api/v1/tags?sort=size nothing 200
    HEAD /api/v1/tags/{name} - pull 200
    HEAD /api/v1/untagged /api/v1/untagged nothing 200
    HEAD /api/v1/manifests/{name}/{reference} 1 pull 200
    HEAD /api/v1/manifests/{name}/{reference} {image} pull 200
    HEAD /api/v1/history/{name}/{tag} 1 pull 200
    HEAD /api/v1/usage /api/v1/usage nothing 200
    HEAD /api/v1/usage/{name} - pull 200
    HEAD /api/v1/why/{digest} /api/v1/why/{image} nothing 200
    HEAD /api/v1/why/{digest} /api/v1/why/{empty} nothing 200
    HEAD /api/v1/why/{digest} /api/v1/why/{none} nothing 404
    HEAD /api/v1/trash /api/v1/trash nothing 200
    GET /api/v1/growth /api/v1/growth nothing 200
    HEAD /api/v1/growth /api/v1/growth nothing 200
    GET /api/v1/policies /api/v1/policies nothing 200
    HEAD /api/v1/policies /api/v1/policies nothing 200
    POST /api/v1/policies /api/v1/policies administrator 400
    GET /api/v1/policies/{name} - pull 200
    HEAD /api/v1/policies/{name} - pull 200
    POST /api/v1/policies/{name} - remove 400
    GET /ui/policies /ui/policies nothing 200
    HEAD /ui/policies /ui/policies nothing 200
    POST /ui/policies /ui/policies administrator 400
    GET /ui/policies/{name} - pull 200
    HEAD /ui/policies/{name} - pull 200
    POST /ui/policies/{name} - remove 400
    GET /api/v1/audit /api/v1/audit administrator 200
    GET /api/v1/tokens /api/v1/tokens administrator 200
    GET /api/v1/webhooks /api/v1/webhooks administrator 200
    GET /api/v1/deliveries /api/v1/deliveries administrator 200
    GET /api/v1/upstreams /api/v1/upstreams administrator 200
    GET /api/v1/quotas /api/v1/quotas administrator 200
    HEAD /api/v1/audit /api/v1/audit administrator 200
    HEAD /api/v1/tokens /api/v1/tokens administrator 200
    HEAD /api/v1/webhooks /api/v1/webhooks administrator 200
    HEAD /api/v1/deliveries /api/v1/deliveries administrator 200
    HEAD /api/v1/upstreams /api/v1/upstreams administrator 200
    HEAD /api/v1/quotas /api/v1/quotas administrator 200
    GET /ui/ /ui/ nothing 200
    GET /ui/repositories/{name} - pull 200
    GET /ui/untagged/{name} - pull 200
    GET /ui/trash/{name} - pull 200
    GET /ui/images/{name}/{reference} 1 pull 200
    GET /ui/images/{name}/{reference} {image} pull 200
    GET /ui/history/{name}/{tag} 1 pull 200
    GET /ui/compare /ui/compare nothing 200
    GET /ui/compare /ui/compare?from=public/app:1&to=public/app@{image} nothing 200
    GET /ui/usage /ui/usage nothing 200
    GET /ui/activity /ui/activity administrator 200
    GET /ui/tokens /ui/tokens administrator 200
    GET /ui/upstreams /ui/upstreams administrator 200
    GET /ui/webhooks /ui/webhooks administrator 200
    HEAD /ui/repositories/{name} - pull 200
    HEAD /ui/images/{name}/{reference} 1 pull 200
    HEAD /ui/usage /ui/usage nothing 200
    HEAD /ui/activity /ui/activity administrator 200
    GET /ui/assets/{file} /ui/assets/none nothing 404
    HEAD /ui/ /ui/ nothing 200
    GET /api/v1/openapi.json /api/v1/openapi.json nothing 200
    HEAD /api/v1/openapi.json /api/v1/openapi.json nothing 200
";

impl Kind {
    fn parse(row: &'static str) -> Self {
        let mut words = row.split_whitespace();
        let mut word = || words.next().expect("five words");
        let (method, template, path, needs) = (word(), word(), word(), word());
        Self {
            method,
            template,
            path: path.trim_start_matches('-'),
            needs: match needs {
                "nothing" => Needs::Nothing,
                "login" => Needs::Login,
                "administrator" => Needs::Administrator,
                "pull" => Needs::Rights(&["p"]),
                "push" => Needs::Rights(&["p", "cu"]),
                "remove" => Needs::Rights(&["p", "d"]),
                _ => Needs::Rights(&["d"]),
            },
            allowed: word().parse().expect("a status"),
        }
    }

    fn all() -> Vec<Self> {
        let rows = KINDS.lines().filter(|row| !row.trim().is_empty());
        rows.map(Self::parse).collect()
    }

    /// Returns the rest of its path, with the digests.
    fn path(&self) -> String {
        self.path
            .replace("{image}", &sha256(&manifest()))
            .replace("{none}", &sha256(b"nowhere"))
            .replace("{empty}", EMPTY)
    }

    /// Returns its whole path, about a repository.
    fn place(&self, repository: &str) -> String {
        let (before, after) = self.template.split_once("{name}").expect("a repository");
        match after {
            "" => format!("{before}{repository}{}", self.path()),
            _ => format!("{before}{repository}/{}", self.path()),
        }
    }

    /// Reports whether it lists what a repository has of something, which may be nothing.
    fn lists(&self) -> bool {
        self.path.starts_with("referrers") || self.path.starts_with("_oci/tag-history")
    }
}

/// An image that needs no other content than the empty configuration.
fn manifest() -> Vec<u8> {
    let empty =
        json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": EMPTY, "size": 2 });
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x-test",
        "config": empty, "layers": [],
    })
    .to_string()
    .into_bytes()
}

fn send(guarded: &Guarded, who: &Identity, method: &str, path: &str, body: &[u8]) -> Response {
    let mut client = guarded.client();
    let request = client
        .request(method, path)
        .header("Content-Type", MANIFEST)
        // as a form of its own page, so that only rights refuse it
        .header("Sec-Fetch-Site", "same-origin");
    let request = match method {
        "GET" | "HEAD" | "DELETE" => request,
        _ => request.body(body),
    };
    match &who.password {
        Some(password) => as_user(request, who.name.trim_start_matches("token:"), password).send(),
        None => request.send(),
    }
}

/// Pushes an image to every repository that exists, and to one that is deleted by whoever may.
fn fill(guarded: &Guarded, boss: &Identity, repository: &str) {
    let path = format!("/v2/{repository}/blobs/uploads/?digest={EMPTY}");
    assert_eq!(send(guarded, boss, "POST", &path, b"{}").status, 201);
    let path = format!("/v2/{repository}/manifests/1");
    assert_eq!(send(guarded, boss, "PUT", &path, &manifest()).status, 201);
}

/// Status that the model expects, with the code of an error.
fn expected(who: &Identity, repository: &str, kind: &Kind) -> (u16, Option<&'static str>) {
    let held = rights(who.name, repository);
    let may = match kind.needs {
        Needs::Nothing => true,
        Needs::Login => who.password.is_some(),
        Needs::Administrator => who.name == "boss",
        Needs::Rights(all) => all
            .iter()
            .all(|any| any.chars().any(|one| held.contains(one))),
    };
    let is_known = held.contains('p') || matches!(kind.needs, Needs::Administrator);
    match (may, &who.password) {
        (true, _) if repository.ends_with("none") => match kind.method {
            // nothing is about it, as about whatever is not there
            "GET" | "HEAD" if kind.lists() => (200, None),
            "GET" | "HEAD" | "DELETE" => (404, None),
            _ => (kind.allowed, None),
        },
        (true, _) => (kind.allowed, None),
        (false, None) => (401, Some("UNAUTHORIZED")),
        (false, Some(_)) if is_known => (403, Some("DENIED")),
        (false, Some(_)) => (404, Some("NAME_UNKNOWN")),
    }
}

fn text(response: &Response) -> String {
    format!(
        "{:?} {}",
        response.headers,
        String::from_utf8_lossy(&response.body)
    )
}

/// Compares an answer with the model; what may not be seen is named in none.
fn judge(who: &Identity, repository: &str, kind: &Kind, path: &str, answer: &Response) {
    let (status, code) = expected(who, repository, kind);
    let said = text(answer);
    let context = format!(
        "{} {} {path}: {} {said}",
        who.name, kind.method, answer.status
    );
    assert_eq!(answer.status, status, "{context}");
    let is_page = kind.template.starts_with("/ui/");
    if let Some(code) = code.filter(|_| kind.method != "HEAD") {
        match is_page {
            // in words for people, beside the code that clients see
            true => assert!(said.contains(&format!("{status} {code}")), "{context}"),
            false => assert_eq!(answer.error_code(), code, "{context}"),
        }
    }
    let hidden = REPOSITORIES
        .iter()
        .filter(|other| !rights(who.name, other).contains('p') && !path.contains(*other));
    for other in hidden {
        assert!(!said.contains(other), "{other} in {context}");
    }
}

/// Rows of the server's table: method and path.
pub fn table() -> BTreeSet<(String, String)> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/endpoint.rs");
    let source = std::fs::read_to_string(source).expect("a file");
    let rows = source.lines().filter_map(|line| {
        let (before, after) = line.split_once('"')?;
        let method = before.trim().split_once(':')?.1.trim();
        let path = after.split('"').next()?;
        let is_row = path.starts_with('/') && method.chars().all(|c| c.is_ascii_uppercase());
        (is_row && !method.is_empty()).then(|| (method.to_owned(), path.to_owned()))
    });
    rows.collect()
}

#[test]
fn every_route_answers_every_identity_as_the_model_does() {
    let users: String = USERS.iter().map(|user| line(user, "secret")).collect();
    let guarded = Guarded::set_up(
        &users,
        &[
            ("REGISTRY_ACCESS", &rules()),
            ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
        ],
    );
    let identities = identities(&guarded);
    for repository in REPOSITORIES.iter().filter(|name| !name.ends_with("none")) {
        fill(&guarded, &identities[0], repository);
    }
    let rows = table();
    let kinds: Vec<_> = Kind::all()
        .into_iter()
        .filter(|kind| {
            let method = kind.method.replace("HEAD", "GET");
            rows.contains(&(method, kind.template.to_owned()))
        })
        .collect();
    // a form posted to the token service is in the tests of that
    let asked = kinds.iter().map(|kind| (kind.method, kind.template));
    let asked: BTreeSet<_> = asked.chain([("POST", "/v2/_token")]).collect();
    for (method, path) in &rows {
        let row = (method.as_str(), path.as_str());
        assert!(
            asked.contains(&row),
            "{method} {path} needs a request in tests/login/every_route.rs"
        );
    }
    let mut requests = 0;
    for who in &identities {
        for kind in &kinds {
            let named: &[&str] = match kind.template.contains("{name}") {
                true => &REPOSITORIES,
                false => &[""],
            };
            for repository in named {
                let path = place(&guarded, &identities[0], repository, kind);
                let answer = send(&guarded, who, kind.method, &path, b"{}");
                judge(who, repository, kind, &path, &answer);
                requests += 1;
            }
        }
    }
    assert!(requests >= 300, "{requests}");
    println!(
        "{requests} requests of {} kinds, {} identities",
        kinds.len(),
        identities.len()
    );
}

/// Returns the path of a request. What deletes a repository gets one of its own beside it.
fn place(guarded: &Guarded, boss: &Identity, repository: &str, kind: &Kind) -> String {
    let is_all_of_it = kind.template == "/v2/{name}/";
    match (repository, is_all_of_it) {
        ("", _) => kind.path(),
        (_, true) if !repository.ends_with("none") => {
            let other = format!("{repository}/gone");
            fill(guarded, boss, &other);
            format!("/v2/{other}/")
        }
        _ => kind.place(repository),
    }
}

/// Whoever may not see a repository cannot tell one that exists from one that does not.
#[test]
fn a_hidden_repository_answers_as_one_that_is_not_there() {
    let users: String = USERS.iter().map(|user| line(user, "secret")).collect();
    let guarded = Guarded::set_up(&users, &[("REGISTRY_ACCESS", &rules())]);
    let identities = identities(&guarded);
    fill(&guarded, &identities[0], "secret/app");
    let without_time = |response: &Response| {
        let headers = response.headers.iter().filter(|(name, _)| name != "date");
        let headers: Vec<_> = headers.collect();
        let body = String::from_utf8_lossy(&response.body).into_owned();
        format!("{} {headers:?} {body}", response.status)
    };
    for who in identities.iter().filter(|who| who.name != "boss") {
        for kind in Kind::all()
            .iter()
            .filter(|kind| kind.template.contains("{name}"))
        {
            let [there, absent] = ["secret/app", "secret/non"].map(|repository| {
                let path = kind.place(repository);
                let answer = send(&guarded, who, kind.method, &path, b"{}");
                without_time(&answer).replace(repository, "NAME")
            });
            assert_eq!(there, absent, "{} {} {}", who.name, kind.method, kind.path);
        }
    }
}
