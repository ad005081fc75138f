//! The content of pages, beside that of the API.

use super::text;
use crate::support::{Image, Server};

#[test]
fn a_repository_has_a_row_for_each_tag() {
    let rules =
        "[{repositories: 'web/**', immutable: ['1.*'], tags: [{match: ['pr-*'], younger: 30d}]}]";
    let server = Server::with(&[("REGISTRY_POLICIES", rules)]);
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "web/api", "1.0");
    image.push(&mut client, "web/api", "same");
    Image::small(2).push(&mut client, "web/api", "pr-7");
    let page = text(&client.get("/ui/repositories/web/api"));
    for tag in ["1.0", "same", "pr-7"] {
        assert!(page.contains(&format!("images/web/api/{tag}\"")), "{page}");
    }
    assert!(
        page.contains("immutable") && page.contains("in 29 d"),
        "{page}"
    );
    let chosen = text(&client.get("/ui/repositories/web/api?tags=pr-*"));
    assert!(chosen.contains("web/api/pr-7\"") && !chosen.contains("web/api/same\""));
    let none = text(&client.get("/ui/repositories/web/api?tags=x*"));
    assert!(none.contains("Clear filter"));
    let missing = client.get("/ui/repositories/web/none");
    assert_eq!(missing.status, 404);
}

#[test]
fn a_long_list_goes_on_where_the_page_ends() {
    let server = Server::start();
    let mut client = server.client();
    let image = Image::small(1);
    for number in 0..250 {
        image.push(&mut client, "many", &format!("v{number}"));
    }
    let mut path = Some("/ui/repositories/many?sort=name".to_owned());
    let mut seen = Vec::new();
    while let Some(next) = path {
        let page = text(&client.get(&next));
        let rows = page.split("<th scope=\"row\"").skip(1);
        seen.extend(rows.map(|row| {
            let link = row.split("images/many/").nth(1).expect("a link");
            link.split('"').next().expect("a tag").to_owned()
        }));
        path = page.split("rel=\"next\" href=\"").nth(1).map(|rest| {
            let link = rest.split('"').next().expect("a link");
            format!(
                "/ui/{}",
                link.trim_start_matches("../").replace("&#38;", "&")
            )
        });
    }
    let expected: Vec<_> = (0..250).map(|number| format!("v{number}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn an_image_says_what_it_is_made_of_and_what_became_of_its_tag() {
    let server = Server::start();
    let mut client = server.client();
    Image::small(1).push(&mut client, "app", "v1");
    Image::small(2).push(&mut client, "app", "v1");
    let page = text(&client.get("/ui/images/app/v1"));
    let host = server.address();
    assert!(
        page.contains(&format!("docker pull {host}/app:v1")),
        "{page}"
    );
    let comparison = page.split("href=\"../../compare?").nth(2).expect("a link");
    let comparison = comparison
        .split('"')
        .next()
        .expect("a link")
        .replace("&amp;", "&");
    let compared = client.get(&format!("/ui/compare?{comparison}"));
    assert_eq!(compared.status, 200, "{comparison}");
    assert!(text(&compared).contains("A host that has"));
}

#[test]
fn deleted_content_is_in_the_trash() {
    let server = Server::with(&[("REGISTRY_STORAGE_DELETE_ENABLED", "true")]);
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "app", "keep");
    image.push(&mut client, "app", "gone");
    assert!(text(&client.get("/ui/trash/app")).contains("Nothing in the trash"));
    assert_eq!(client.delete("/v2/app/manifests/gone").status, 202);
    let trash = text(&client.get("/ui/trash/app"));
    assert!(trash.contains("<b>gone</b>"), "{trash}");
}

#[test]
fn repositories_that_everybody_may_pull_are_marked() {
    let guarded = super::sessions::guarded(&[]);
    let cookie = super::sessions::logged_in(&guarded.server, "boss", "secret");
    let page = |path: &str| {
        text(&super::sessions::with_cookie(
            &guarded.server,
            path,
            &cookie,
        ))
    };
    for (name, is_public) in [("public/app", true), ("secret/app", false)] {
        let own = page(&format!("/ui/repositories/{name}"));
        assert_eq!(own.contains("#public\"/></svg>public"), is_public, "{own}");
        let found = page(&format!("/ui/?repositories={name}"));
        assert_eq!(
            found.contains("#public\"/></svg>public"),
            is_public,
            "{found}"
        );
    }
    // where everything is open, that is no news
    let server = Server::start();
    Image::small(1).push(&mut server.client(), "app", "v1");
    assert!(!text(&server.client().get("/ui/")).contains(">public<"));
}
