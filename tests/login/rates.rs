//! Limits on how many images a client pulls and pushes in a time.

use serde_json::json;

use super::machine_tokens::{fill, get};
use super::{Guarded, as_user, line};
use crate::support::client::Response;
use crate::support::{Image, OCI_MANIFEST};

const V1: &str = "/v2/team/app/manifests/v1";

fn limited(limits: &[(&str, &str)]) -> Guarded {
    let rules = json!({ "rules": [
        { "repositories": "**", "who": "users", "may": "admin" },
        { "repositories": "**", "who": "anonymous", "may": "pull" },
    ] });
    let users = line("ann", "secret") + &line("bob", "secret");
    let rules = rules.to_string();
    let variables = [&[("REGISTRY_ACCESS", &*rules)], limits].concat();
    Guarded::set_up(&users, &variables)
}

fn by(guarded: &Guarded, user: &str, method: &str, path: &str) -> Response {
    let mut client = guarded.client();
    as_user(client.request(method, path), user, "secret").send()
}

#[test]
fn each_client_pulls_so_many_images() {
    let guarded = limited(&[("REGISTRY_HTTP_LIMITS_PULLS", "3")]);
    let image = fill(&guarded);
    for _ in 0..3 {
        assert_eq!(by(&guarded, "ann", "GET", V1).status, 200);
        // clients ask whether they have the newest, and for every layer
        assert_eq!(by(&guarded, "ann", "HEAD", V1).status, 200);
        let blob = format!(
            "/v2/team/app/blobs/{}",
            crate::support::sha256(&image.config)
        );
        assert_eq!(by(&guarded, "ann", "GET", &blob).status, 200);
    }
    let refused = by(&guarded, "ann", "GET", V1);
    refused.refused(429, "TOOMANYREQUESTS");
    let wait: u64 = refused
        .header("retry-after")
        .expect("a time")
        .parse()
        .expect("seconds");
    assert!((1..=1200).contains(&wait), "{wait}");
    assert_eq!(by(&guarded, "ann", "HEAD", V1).status, 200);
    // others have their own number, and so has who comes without a login
    assert_eq!(by(&guarded, "bob", "GET", V1).status, 200);
    let token =
        super::machine_tokens::token(&guarded, &["ci", "--repositories", "**", "--may", "pull"]);
    assert!((0..3).all(|_| get(&guarded, &token, V1).status == 200));
    get(&guarded, &token, V1).refused(429, "TOOMANYREQUESTS");
    assert!((0..3).all(|_| guarded.client().get(V1).status == 200));
    guarded.client().get(V1).refused(429, "TOOMANYREQUESTS");
}

#[test]
fn a_push_beyond_the_number_is_refused_at_its_beginning() {
    let guarded = limited(&[
        ("REGISTRY_HTTP_LIMITS_PUSHES", "2"),
        ("REGISTRY_HTTP_LIMITS_PERIOD", "10h"),
    ]);
    // two images, of several blobs each
    let image: Image = fill(&guarded);
    let uploads = "/v2/team/app/blobs/uploads/";
    let refused = by(&guarded, "ann", "POST", uploads);
    refused.refused(429, "TOOMANYREQUESTS");
    let message = refused.json()["errors"][0]["message"].to_string();
    assert!(
        message.contains("more than 2 pushes in 10h: try again in "),
        "{message}"
    );
    let mut client = guarded.client();
    let put = client
        .request("PUT", V1)
        .header("Content-Type", OCI_MANIFEST);
    let put = as_user(put.body(&image.manifest), "ann", "secret").send();
    put.refused(429, "TOOMANYREQUESTS");
    assert_eq!(by(&guarded, "bob", "POST", uploads).status, 202);
    assert!((0..9).all(|_| by(&guarded, "ann", "GET", V1).status == 200));
}
