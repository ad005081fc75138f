//! Lines of the log about damaged content that clients ask for.

use std::time::Duration;

use crate::log_limit::LogLimiter;
use crate::meta::{self, Reader};
use crate::oci::Digest;
use crate::registry::verify::finding::image_names;

/// Interval at which the log names something damaged that clients ask for.
const INTERVAL: Duration = Duration::from_secs(3600);
/// Maximum number of damaged pieces that the log names in that interval.
const MOST: usize = 500;
/// Maximum number of images that a line of the log names.
const MAX_IMAGES: usize = 10;

/// Damaged content that the log has named.
pub(in crate::registry) struct DamageLog(LogLimiter<Digest>);

impl Default for DamageLog {
    fn default() -> Self {
        Self(LogLimiter::new(
            "requests for damaged content",
            INTERVAL,
            MOST,
        ))
    }
}

impl DamageLog {
    /// Reports whether the log may name this now.
    pub fn may_name(&self, digest: &Digest) -> bool {
        self.0.may_log(digest.clone())
    }
}

/// Names the images that need a blob, for the log.
pub(in crate::registry) fn names_needing(
    reader: &Reader<'_>,
    digest: &Digest,
) -> Result<String, meta::Error> {
    let (images, _) = reader.images_needing(digest, MAX_IMAGES)?;
    let mut names: Vec<_> = images.iter().flat_map(image_names).collect();
    names.truncate(MAX_IMAGES);
    Ok(names.join(" "))
}
