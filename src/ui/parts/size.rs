//! Sizes in three digits, and counts.

use std::borrow::Borrow;
use std::fmt::{self, Write};

use askama::filters::HtmlSafe;

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// Size in bytes: `1.94 GiB`, with its unit in a box of its own.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl Size {
    pub fn of(bytes: impl Borrow<u64>) -> Self {
        Self(*bytes.borrow())
    }

    /// Returns number and unit.
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    pub fn words(self) -> (String, &'static str) {
        let (mut number, mut unit) = (self.0 as f64, 0);
        // what would round to four digits takes the next unit
        while number >= if unit == 0 { 1000.0 } else { 999.5 } && unit + 1 < UNITS.len() {
            number /= 1024.0;
            unit += 1;
        }
        let digits = match number {
            _ if unit == 0 => 0,
            large if large >= 99.95 => 0,
            middle if middle >= 9.995 => 1,
            _ => 2,
        };
        (format!("{number:.digits$}"), UNITS[unit])
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = self.words();
        let class = match self.0 {
            0 => "size zero",
            _ => "size",
        };
        write!(
            f,
            "<span class=\"{class}\">{number} <span class=\"unit\">{unit}</span></span>"
        )
    }
}

impl HtmlSafe for Size {}

/// Number with separated thousands: `4,812`.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub u64);

impl Count {
    pub fn of(number: impl Borrow<u64>) -> Self {
        Self(*number.borrow())
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

impl HtmlSafe for Count {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "0.98 KiB"),
            (1024, "1.00 KiB"),
            (10_239, "10.0 KiB"),
            (77_595_000, "74.0 MiB"),
            (851_443_712, "812 MiB"),
            // it would round to 1000 MiB
            (1_048_060_000, "0.98 GiB"),
            (2_083_059_000, "1.94 GiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            let (number, unit) = Size(bytes).words();
            assert_eq!(format!("{number} {unit}"), shown, "{bytes}");
        }
    }

    #[test]
    fn thousands_are_separated() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1108, "1,108"),
            (31_420_000, "31,420,000"),
        ] {
            assert_eq!(Count(number).to_string(), shown);
        }
    }
}
