//! The disk as a bar.

use std::fmt;

use askama::filters::HtmlSafe;

use crate::report::DiskItem;
use crate::ui::parts::scaled;

/// Width of the bar in its own units.
const WIDTH: u64 = 2700;
/// Space between two parts.
const GAP: u64 = 10;

/// Bar of what is live, waiting, free and reserved.
#[derive(Clone, Copy, Debug)]
pub struct DiskBar {
    pub whole: u64,
    parts: [(&'static str, u64); 4],
}

impl DiskBar {
    pub fn of(disk: DiskItem) -> Self {
        let parts = [
            ("live", disk.live),
            ("waiting", disk.waiting),
            ("free", disk.free.saturating_sub(disk.reserve)),
            ("reserve", disk.reserve),
        ];
        Self {
            whole: parts.iter().map(|(_, size)| size).sum(),
            parts,
        }
    }

    /// Bytes that are in use.
    pub fn used(&self) -> u64 {
        self.parts[0].1.saturating_add(self.parts[1].1)
    }

    pub fn free(&self) -> u64 {
        self.parts[2].1
    }
}

impl fmt::Display for DiskBar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<svg class=\"disk\" viewBox=\"0 0 {WIDTH} 120\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        )?;
        let mut from = 0;
        for (class, size) in self.parts {
            let width = scaled(size, self.whole, WIDTH);
            if width > 0 {
                let shown = width.saturating_sub(GAP).max(8);
                write!(
                    f,
                    "<rect class=\"{class}\" x=\"{from}\" width=\"{shown}\" height=\"120\" rx=\"12\"/>"
                )?;
            }
            from += width;
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for DiskBar {}
