//! Blobs that another repository has.

use super::Script;
use crate::support::content::sha256;

pub fn add(script: &mut Script) {
    let known = script.blob("source", "mount/from", b"to be mounted");
    let absent = sha256(b"never pushed");
    let post = |query: String| format!("/v2/mount/to/blobs/uploads/?{query}");
    for (name, query) in [
        ("known", format!("mount={known}&from=mount/from")),
        ("again", format!("mount={known}&from=mount/from")),
        ("same", format!("mount={known}&from=mount/to")),
        ("absent", format!("mount={absent}&from=mount/from")),
        ("absent-from", format!("mount={known}&from=mount/absent")),
        ("no-from", format!("mount={known}")),
        ("empty-from", format!("mount={known}&from=")),
        ("odd-from", format!("mount={known}&from=UPPER/../case")),
        (
            "host-from",
            format!("mount={known}&from=docker.io:443/library/a"),
        ),
        ("malformed", "mount=nonsense&from=mount/from".to_owned()),
        ("empty", "mount=&from=mount/from".to_owned()),
        ("short", "mount=sha256:abcd&from=mount/from".to_owned()),
        ("only-from", "from=mount/from".to_owned()),
        (
            "encoded",
            format!("mount={}&from=mount%2Ffrom", known.replace(':', "%3A")),
        ),
        (
            "with-digest",
            format!("mount={known}&from=mount/from&digest={known}"),
        ),
    ] {
        script.ask(name, "POST", post(query));
    }
    script.get("mounted-get", format!("/v2/mount/to/blobs/{known}"));
    script.get("elsewhere-get", format!("/v2/mount/third/blobs/{known}"));
    script.ask(
        "elsewhere-head",
        "HEAD",
        format!("/v2/mount/third/blobs/{known}"),
    );
    script.ask(
        "odd-name",
        "POST",
        format!("/v2/MOUNT/to/blobs/uploads/?mount={known}&from=mount/from"),
    );
    script.ask("put", "PUT", post(format!("mount={known}&from=mount/from")));
}
