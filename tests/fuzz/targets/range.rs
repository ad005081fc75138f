//! `Range`, `If-Range` and `Content-Range`: the parts that are answered lie inside the content and are those asked for.
//!
//! An input is the size of the content in eight bytes, a header, and after a line feed perhaps an `If-Range`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tarkeep::http::fuzz;

fuzz_target!(|data: &[u8]| {
    let Some((size, text)) = data.split_first_chunk::<8>() else {
        return;
    };
    // no file is larger
    let size = u64::from_le_bytes(*size) & (u64::MAX >> 1);
    let mut lines = text.split(|byte| *byte == b'\n');
    let header = lines.next().unwrap_or_default();
    let is_value = |text: &&[u8]| text.iter().all(|byte| *byte >= b' ' && *byte != 0x7f);
    let if_range = lines.next().filter(is_value);
    let parts = fuzz::range(header, if_range, size);
    let is_whole = parts.as_deref() == Some(&[(0, size)]);
    if !is_whole {
        let asked = asked(header, size).expect("only well-formed ranges select a part");
        let answered = parts.unwrap_or_default();
        assert_eq!(answered, asked);
        assert!(
            answered
                .iter()
                .all(|(start, end)| start < end && *end <= size)
        );
        let total: u128 = answered
            .iter()
            .map(|(start, end)| u128::from(end - start))
            .sum();
        assert!(total <= u128::from(size));
        let version = if_range.map(String::from_utf8_lossy);
        assert!(version.is_none_or(|version| version.contains(fuzz::ETAG)));
    }
    if let Some((first, last)) = fuzz::content_range(header) {
        assert!(last.checked_add(1).is_some_and(|end| end >= first));
        for written in [format!("{first}-{last}"), format!("bytes {first}-{last}/*")] {
            assert_eq!(fuzz::content_range(written.as_bytes()), Some((first, last)));
        }
    }
});

/// Reads a list of ranges by the letter of RFC 9110; `None` if it is malformed.
fn asked(header: &[u8], size: u64) -> Option<Vec<(u64, u64)>> {
    let header = std::str::from_utf8(header).ok()?;
    let list = header.trim().strip_prefix("bytes=")?;
    let ranges = list
        .split(',')
        .map(str::trim)
        .filter(|range| !range.is_empty());
    let mut found = Vec::new();
    for range in ranges {
        let (first, last) = range.split_once('-')?;
        let number = |digits: &str| {
            digits.bytes().try_fold(0_u128, |number, digit| {
                let value = char::from(digit).to_digit(10)?;
                Some((number * 10 + u128::from(value)).min(u128::from(u64::MAX)))
            })
        };
        let size = u128::from(size);
        let (start, end) = match (first, last) {
            ("", "") => return None,
            ("", length) => (size.saturating_sub(number(length)?), size),
            (first, "") => (number(first)?, size),
            (first, last) => (number(first)?, (number(last)? + 1).min(size)),
        };
        if start < end {
            found.push((u64::try_from(start).ok()?, u64::try_from(end).ok()?));
        }
    }
    Some(found)
}
