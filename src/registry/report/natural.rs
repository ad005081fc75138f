//! Natural order of names: numbers in them are compared by value.

use std::cmp::Ordering;

/// Compares names so that `pr-2` comes before `pr-10`; equal only if they are the same text.
pub fn compare(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    while let (Some(first), Some(second)) = (left.chars().next(), right.chars().next()) {
        let order = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (number, rest) = split_number(left);
            let (other_number, other_rest) = split_number(right);
            (left, right) = (rest, other_rest);
            number
                .len()
                .cmp(&other_number.len())
                .then_with(|| number.cmp(other_number))
        } else {
            left = &left[first.len_utf8()..];
            right = &right[second.len_utf8()..];
            first.cmp(&second)
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| one.cmp(other))
}

/// Splits off the digits at the start, without leading zeros.
fn split_number(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        let sorted = [
            "a",
            "a01",
            "a1",
            "a2",
            "a10",
            "b",
            "pr-2",
            "pr-2-fix",
            "pr-10",
            "v1.9.0",
            "v1.10.0",
            "v1.10.0-rc.2",
            "v1.10.0-rc.10",
            "v99999999999999999999998",
            "v99999999999999999999999",
        ];
        for (place, one) in sorted.iter().enumerate() {
            for (other_place, other) in sorted.iter().enumerate() {
                assert_eq!(
                    compare(one, other),
                    place.cmp(&other_place),
                    "{one} {other}"
                );
            }
        }
    }
}
