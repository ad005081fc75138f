//! Requests to both servers, in order; each group works in its own repositories.

mod blobs;
mod builder;
mod deletes;
mod headers;
mod lists;
mod logins;
mod manifests;
mod mounts;
mod names;
mod paths;
mod unreadable;
mod uploads;

/// Adds the requests of one kind.
type Group = fn(&mut Script);

pub fn all() -> Script {
    let mut script = Script::default();
    let groups: [(&'static str, Group); 10] = [
        // first, while nothing else is in the catalog
        ("list", lists::add),
        ("path", paths::add),
        ("upload", uploads::add),
        ("mount", mounts::add),
        ("blob", blobs::add),
        ("manifest", manifests::add),
        ("delete", deletes::add),
        ("name", names::add),
        ("header", headers::add),
        ("unreadable", unreadable::add),
    ];
    for (group, add) in groups {
        script.enter(group);
        add(&mut script);
    }
    script
}

pub use builder::Script;
pub use logins::USER;

/// Requests to servers that require a login.
pub fn with_login() -> Script {
    let mut script = Script::default();
    script.enter("login");
    logins::add(&mut script);
    script
}
