//! Bars that compare the sizes of one column.

use std::fmt;

use askama::filters::HtmlSafe;

/// Width of a bar in its own units.
const WIDTH: u64 = 480;

/// Bar of a part of the whole.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    pub part: u64,
    /// The largest part of the column.
    pub whole: u64,
    pub class: &'static str,
}

/// Returns a part of the whole in units of which the whole has `units`; what there is shows.
pub(in crate::ui) fn scaled(part: u64, whole: u64, units: u64) -> u64 {
    if part == 0 || whole == 0 {
        return 0;
    }
    let share = u128::from(part) * u128::from(units) / u128::from(whole);
    u64::try_from(share).map_or(units, |share| share.clamp(1, units))
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = scaled(self.part, self.whole, WIDTH);
        if width == 0 {
            return Ok(());
        }
        write!(
            f,
            "<svg class=\"bar {}\" viewBox=\"0 0 {WIDTH} 40\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <rect class=\"track\" width=\"{WIDTH}\" height=\"40\" rx=\"20\"/>\
             <rect class=\"fill\" width=\"{width}\" height=\"40\" rx=\"20\"/></svg>",
            self.class
        )
    }
}

impl HtmlSafe for Bar {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_part_shows() {
        for (part, whole, width) in [
            (0, 9, 0),
            (1, u64::MAX, 1),
            (9, 9, 480),
            (3, 0, 0),
            (1, 2, 240),
        ] {
            assert_eq!(scaled(part, whole, WIDTH), width);
        }
    }
}
