//! The catalog and lists of tags, in pages of every size.

use super::{Script, manifests};
use crate::support::content::OCI_MANIFEST;

const TAGS: &[&str] = &[
    "b", "a", "latest", "v10", "v2", "V1", "_x", "1.0", "a-b", "a.b",
];

pub fn add(script: &mut Script) {
    manifests::content(script, "list/app");
    let manifest = manifests::oci().to_string();
    for tag in TAGS {
        script.manifest(
            &format!("tag-{tag}"),
            "list/app",
            tag,
            OCI_MANIFEST,
            manifest.as_bytes(),
        );
    }
    for repository in ["list/0", "list/b", "list/b/c"] {
        manifests::content(script, repository);
        let name = repository.replace('/', "-");
        script.manifest(&name, repository, "v1", OCI_MANIFEST, manifest.as_bytes());
    }
    for (list, path, middle) in [
        ("tags", "/v2/list/app/tags/list", "a.b"),
        ("catalog", "/v2/_catalog", "list/app"),
    ] {
        for (name, query) in [
            ("whole", String::new()),
            ("question", "?".to_owned()),
            ("1", "?n=1".to_owned()),
            ("3", "?n=3".to_owned()),
            ("100", "?n=100".to_owned()),
            ("1000", "?n=1000".to_owned()),
            ("1001", "?n=1001".to_owned()),
            ("10000", "?n=10000".to_owned()),
            ("0", "?n=0".to_owned()),
            ("negative", "?n=-1".to_owned()),
            ("word", "?n=abc".to_owned()),
            ("empty", "?n=".to_owned()),
            ("float", "?n=1.5".to_owned()),
            ("plus", "?n=%2B3".to_owned()),
            ("hexadecimal", "?n=0x10".to_owned()),
            ("huge", "?n=99999999999999999999".to_owned()),
            ("leading-zero", "?n=003".to_owned()),
            ("twice", "?n=1&n=2".to_owned()),
            ("after", format!("?last={middle}")),
            ("after-1", format!("?last={middle}&n=1")),
            ("after-absent", "?last=aaa&n=2".to_owned()),
            ("after-all", "?last=zzz&n=2".to_owned()),
            ("after-empty", "?last=&n=2".to_owned()),
            ("after-unicode", "?last=%C3%A4&n=2".to_owned()),
            ("after-broken", "?last=%zz&n=2".to_owned()),
            ("after-slash", "?last=list%2Fapp&n=2".to_owned()),
            ("semicolon", "?n=1;last=a".to_owned()),
            ("other", "?foo=bar".to_owned()),
            ("sql", "?last='%20OR%201=1--&n=1".to_owned()),
        ] {
            script.get(&format!("{list}-{name}"), format!("{path}{query}"));
        }
        script.ask(&format!("{list}-head"), "HEAD", path);
        script
            .get(&format!("{list}-accept"), path)
            .header("Accept", "text/html");
        script
            .get(&format!("{list}-gzip"), path)
            .header("Accept-Encoding", "gzip");
    }
    script.blob("blob-only", "list/blob-only", b"no manifest needs it");
    script.get("catalog-blob-only", "/v2/_catalog");
    script.get("tags-absent", "/v2/list/absent/tags/list");
    script.get("tags-blob-only", "/v2/list/blob-only/tags/list");
    script.get("tags-parent", "/v2/list/tags/list");
}
