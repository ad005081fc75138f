//! Files that pages need. Their names change with their content, so that browsers keep them.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A file.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    pub media_type: &'static str,
    pub bytes: &'static [u8],
}

/// Name, extension and content of each file.
const FILES: [(&str, &str, Asset); 4] = [
    (
        "style",
        "css",
        Asset {
            media_type: "text/css; charset=utf-8",
            bytes: include_bytes!("assets/style.css"),
        },
    ),
    (
        "page",
        "js",
        Asset {
            media_type: "text/javascript; charset=utf-8",
            bytes: include_bytes!("assets/page.js"),
        },
    ),
    (
        "icons",
        "svg",
        Asset {
            media_type: "image/svg+xml",
            bytes: include_bytes!("assets/icons.svg"),
        },
    ),
    (
        "mark",
        "svg",
        Asset {
            media_type: "image/svg+xml",
            bytes: include_bytes!("assets/mark.svg"),
        },
    ),
];

/// Names of the files, made when the first page is.
static NAMES: LazyLock<[String; FILES.len()]> = LazyLock::new(|| {
    FILES.map(|(name, extension, asset)| {
        let hash = HEXLOWER.encode(&Sha256::digest(asset.bytes)[..6]);
        format!("{name}-{hash}.{extension}")
    })
});

/// Returns the file of this name.
pub fn asset(file: &str) -> Option<Asset> {
    let place = NAMES.iter().position(|name| name == file)?;
    FILES.get(place).map(|(_, _, asset)| *asset)
}

/// Returns the path of a file below `/ui/`.
pub(super) fn path(name: &str) -> String {
    let place = FILES.iter().position(|(known, _, _)| *known == name);
    let file = place.and_then(|place| NAMES.get(place));
    format!("assets/{}", file.map_or(name, String::as_str))
}
