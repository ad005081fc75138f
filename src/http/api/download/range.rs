//! Ranges of requests (RFC 9110, section 14).

use std::ops::Range;

use http::HeaderMap;
use http::header::{CONTENT_RANGE, HeaderValue, IF_RANGE, RANGE};

use crate::http::response::error::ApiError;
use crate::registry::ChunkRange;

/// Approximate size of the delimiters of each part in `multipart/byteranges`, in bytes. A request may cost this much
/// per part beyond the whole content.
const PART_FRAMING: u64 = 160;
const FRAMING_ALLOWED: u64 = 32 << 10;

/// Maximum number of parts in a request: as many as Podman requests, which pulls parts of layers.
const MAX_PARTS: usize = 1024;

/// Selection of bytes of the content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    Whole,
    Parts(Vec<Range<u64>>),
}

/// Parses `Range` for content of `size` bytes.
///
/// Ignores units other than bytes (RFC 9110), lists of more bytes than the whole content, and lists of more than
/// [`MAX_PARTS`] ranges (section 14.2).
///
/// # Errors
/// No range lies inside the content.
pub(crate) fn select(headers: &HeaderMap, size: u64, etag: &str) -> Result<Selection, ApiError> {
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let Some(list) = range.and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Ok(Selection::Whole);
    };
    // one that is no text is of another version, too
    let is_of_this_version = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.trim().trim_matches('"') == etag
    };
    if size == 0 || !headers.get(IF_RANGE).is_none_or(is_of_this_version) {
        return Ok(Selection::Whole);
    }
    let mut parts = Vec::new();
    let mut ranges = list
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .peekable();
    if ranges.peek().is_none() {
        return Ok(Selection::Whole);
    }
    for (number, one) in ranges.enumerate() {
        if number == MAX_PARTS {
            return Ok(Selection::Whole);
        }
        match parse_one(one, size) {
            Some(RangeSpec::Inside(part)) => parts.push(part),
            Some(RangeSpec::Outside) => {}
            None => return Ok(Selection::Whole),
        }
    }
    if parts.is_empty() {
        return Err(ApiError::Unsatisfiable { size });
    }
    let total = parts
        .iter()
        .map(|part| part.end - part.start)
        .fold(0, u64::saturating_add);
    let framing = PART_FRAMING * (parts.len() as u64 - 1);
    Ok(
        if total > size || framing > (size - total).saturating_add(FRAMING_ALLOWED) {
            Selection::Whole
        } else {
            Selection::Parts(parts)
        },
    )
}

/// One well-formed range of a request.
enum RangeSpec {
    Inside(Range<u64>),
    Outside,
}

impl RangeSpec {
    /// Creates a range; an empty one lies outside the content.
    fn new(range: Range<u64>) -> Self {
        if range.is_empty() {
            Self::Outside
        } else {
            Self::Inside(range)
        }
    }
}

/// Parses `FIRST-LAST`, `FIRST-` or `-LENGTH`. Returns `None` for malformed text.
fn parse_one(text: &str, size: u64) -> Option<RangeSpec> {
    let (first, last) = text.split_once('-')?;
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // beyond any content, so clamped below
        is_number.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        let length = number(last)?.min(size);
        return Some(RangeSpec::new(size - length..size));
    }
    let first = number(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    let end = last.min(size - 1) + 1;
    Some(RangeSpec::new(first..end))
}

/// Parses the `Content-Range` of a chunk: `FIRST-LAST`, or `bytes FIRST-LAST/TOTAL` as some clients send.
pub(crate) fn chunk(headers: &HeaderMap) -> Result<Option<ChunkRange>, ApiError> {
    let Some(value) = headers.get(CONTENT_RANGE) else {
        return Ok(None);
    };
    let malformed =
        || ApiError::MalformedChunk(String::from_utf8_lossy(value.as_bytes()).into_owned());
    let text = value.to_str().map_err(|_| malformed())?.trim();
    let text = text
        .strip_prefix("bytes")
        .map_or(text, |rest| rest.trim_start_matches([' ', '=']));
    let text = text.split('/').next().unwrap_or_default();
    let (first, last) = text.split_once('-').ok_or_else(malformed)?;
    let range = ChunkRange {
        first: first.trim().parse().map_err(|_| malformed())?,
        last: last.trim().parse().map_err(|_| malformed())?,
    };
    // some clients announce an empty chunk with LAST one below FIRST
    if range
        .last
        .checked_add(1)
        .is_some_and(|end| end >= range.first)
    {
        Ok(Some(range))
    } else {
        Err(malformed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(range: &str, size: u64) -> Result<Selection, ApiError> {
        select(
            &HeaderMap::from_iter([(RANGE, range.parse().unwrap())]),
            size,
            "etag",
        )
    }

    proptest! {
        #[test]
        fn parts_lie_inside_and_never_exceed_the_whole(range in "bytes=[0-9,-]{0,24}", size in 0_u64..1000) {
            if let Ok(Selection::Parts(parts)) = ask(&range, size) {
                prop_assert!(!parts.is_empty());
                prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= size));
                prop_assert!(parts.iter().map(|part| part.end - part.start).sum::<u64>() <= size);
            }
        }

        #[test]
        fn no_chunk_panics(text in "(bytes )?[0-9]{0,22}-?[0-9]{0,22}(/[0-9*]{0,3})?") {
            let _ = chunk(&HeaderMap::from_iter([(CONTENT_RANGE, text.parse().unwrap())]));
        }
    }

    #[test]
    fn ranges_are_clamped_to_the_content() {
        let parts = |list: &[(u64, u64)]| {
            Selection::Parts(list.iter().map(|&(start, end)| start..end).collect())
        };
        assert_eq!(ask("bytes=0-9", 100).unwrap(), parts(&[(0, 10)]));
        assert_eq!(ask("bytes=90-", 100).unwrap(), parts(&[(90, 100)]));
        assert_eq!(ask("bytes=-10", 100).unwrap(), parts(&[(90, 100)]));
        assert_eq!(ask("bytes=-500", 100).unwrap(), parts(&[(0, 100)]));
        assert_eq!(ask("bytes=50-5000", 100).unwrap(), parts(&[(50, 100)]));
        assert_eq!(ask("bytes=0-9,", 100).unwrap(), parts(&[(0, 10)]));
        assert_eq!(
            ask("bytes=0-0, 99-", 100).unwrap(),
            parts(&[(0, 1), (99, 100)])
        );
        assert_eq!(ask("bytes=200-,1-2", 100).unwrap(), parts(&[(1, 3)]));
        for unsatisfiable in [
            "bytes=100-",
            "bytes=500-0",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert!(
                matches!(
                    ask(unsatisfiable, 100),
                    Err(ApiError::Unsatisfiable { size: 100 })
                ),
                "{unsatisfiable}"
            );
        }
        for ignored in [
            "lines=1-2",
            "bytes=a-b",
            "bytes=1",
            "bytes=",
            "bytes=,",
            "bytes=0-99,0-99",
        ] {
            assert_eq!(ask(ignored, 100).unwrap(), Selection::Whole, "{ignored}");
        }
        assert_eq!(ask("bytes=0-", 0).unwrap(), Selection::Whole);
    }

    #[test]
    fn a_list_of_too_many_ranges_is_ignored() {
        let ranges = |count| format!("bytes={}", "-1,".repeat(count));
        assert!(
            matches!(ask(&ranges(MAX_PARTS), 1 << 20).unwrap(), Selection::Parts(parts) if parts.len() == MAX_PARTS)
        );
        assert_eq!(
            ask(&ranges(MAX_PARTS + 1), 1 << 20).unwrap(),
            Selection::Whole
        );
    }

    #[test]
    fn a_range_of_another_version_is_ignored() {
        let headers = |tag: &[u8]| {
            HeaderMap::from_iter([
                (RANGE, "bytes=0-1".parse().unwrap()),
                (IF_RANGE, HeaderValue::from_bytes(tag).unwrap()),
            ])
        };
        for other in [&b"\"other\""[..], b"\"\xff\"", b""] {
            assert_eq!(
                select(&headers(other), 9, "etag").unwrap(),
                Selection::Whole
            );
        }
        assert_eq!(
            select(&headers(b"\"etag\""), 9, "etag").unwrap(),
            Selection::Parts(std::iter::once(0..2).collect())
        );
    }
}
