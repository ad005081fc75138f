//! Charts by day: drawn by the server, in steps, with their scale beside them.

use std::fmt::{self, Write};

use askama::filters::HtmlSafe;

use crate::ui::parts::{Count, Size, scaled};

/// Size of a chart in its own units; the page stretches it.
const WIDTH: u64 = 3600;
const HEIGHT: u64 = 1000;
/// Number of steps of a scale.
const STEPS: u64 = 4;

/// Meaning of the values of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    Bytes,
    Counts,
}

/// Shape of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A level that stays until it changes.
    Area,
    /// A bar a day.
    Bars,
}

/// Chart of a value for each day.
#[derive(Clone, Debug)]
pub struct Chart {
    /// `None` for days of which nothing is known.
    values: Vec<Option<u64>>,
    kind: Values,
    shape: Shape,
    top: u64,
}

impl Chart {
    /// Makes a chart; `None` if no day has a value.
    pub fn of(values: Vec<Option<u64>>, kind: Values, shape: Shape) -> Option<Self> {
        let largest = values.iter().flatten().max().copied()?;
        Some(Self {
            top: STEPS.saturating_mul(step(largest, kind)),
            values,
            kind,
            shape,
        })
    }

    /// Values of the lines of its scale in words, the highest first.
    pub fn scale(&self) -> Vec<String> {
        let step = self.top / STEPS;
        let word = |number: u64| match self.kind {
            Values::Counts => Count(number * step).to_string(),
            Values::Bytes => {
                let (number, unit) = Size(number * step).words();
                match number.contains('.') {
                    true => {
                        let number = number.trim_end_matches('0').trim_end_matches('.');
                        format!("{number} {unit}")
                    }
                    false => format!("{number} {unit}"),
                }
            }
        };
        (0..=STEPS).rev().map(word).collect()
    }

    fn height(&self, value: u64) -> u64 {
        scaled(value, self.top, HEIGHT)
    }

    fn grid(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for number in 0..=STEPS {
            let y = number * HEIGHT / STEPS;
            write!(
                f,
                "<line class=\"grid\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/>"
            )?;
        }
        Ok(())
    }

    fn bars(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let room = WIDTH / (self.values.len() as u64).max(1);
        let width = (room * 7 / 10).max(1);
        for (place, value) in (0_u64..).zip(&self.values) {
            let height = self.height(value.unwrap_or_default());
            let (x, y) = (place * WIDTH / self.values.len() as u64, HEIGHT - height);
            if height > 0 {
                write!(
                    f,
                    "<rect class=\"day\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
                )?;
            }
        }
        Ok(())
    }

    fn area(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.values.len() as u64;
        let known = self.values.iter().position(Option::is_some);
        let first = known.unwrap_or_default() as u64;
        let mut path = String::new();
        let known = self.values.iter().flatten();
        for (day, value) in (first..).zip(known) {
            let (from, to) = (day * WIDTH / days, (day + 1) * WIDTH / days);
            let y = HEIGHT - self.height(*value);
            let command = if path.is_empty() {
                format!("M{from} {y}")
            } else {
                format!("V{y}")
            };
            write!(path, "{command}H{to}")?;
        }
        let from = first * WIDTH / days;
        write!(
            f,
            "<path class=\"area\" d=\"{path}V{HEIGHT}H{from}Z\"/><path class=\"edge\" d=\"{path}\"/>"
        )
    }
}

/// Returns the smallest round number that, taken [`STEPS`] times, reaches a value.
fn step(largest: u64, kind: Values) -> u64 {
    let base: u64 = match kind {
        Values::Counts => 1000,
        Values::Bytes => 1024,
    };
    let mut unit: u64 = 1;
    loop {
        for factor in [1, 2, 5, 10, 20, 50, 100, 200, 500] {
            let step = unit.saturating_mul(factor);
            if step.saturating_mul(STEPS) >= largest {
                return step;
            }
        }
        unit = unit.saturating_mul(base);
    }
}

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        )?;
        self.grid(f)?;
        match self.shape {
            Shape::Area => self.area(f)?,
            Shape::Bars => self.bars(f)?,
        }
        f.write_str("</svg>")
    }
}

impl HtmlSafe for Chart {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round() {
        for (largest, kind, scale) in [
            (0, Values::Counts, "4 3 2 1 0"),
            (2240, Values::Counts, "4,000 3,000 2,000 1,000 0"),
            (60, Values::Counts, "80 60 40 20 0"),
            (5 << 30, Values::Bytes, "8 GiB 6 GiB 4 GiB 2 GiB 0 B"),
        ] {
            let chart = Chart::of(vec![None, Some(largest)], kind, Shape::Bars).unwrap();
            assert_eq!(chart.scale().join(" "), scale);
        }
        assert!(Chart::of(vec![None], Values::Counts, Shape::Bars).is_none());
        let most = Chart::of(vec![Some(u64::MAX)], Values::Bytes, Shape::Area);
        assert_eq!(most.unwrap().height(u64::MAX), HEIGHT);
    }

    #[test]
    fn a_level_is_drawn_in_steps() {
        let chart = Chart::of(vec![None, Some(4), Some(2)], Values::Counts, Shape::Area);
        let drawn = chart.unwrap().to_string();
        assert!(drawn.contains("d=\"M1200 0H2400V500H3600\""), "{drawn}");
        let bars = Chart::of(vec![Some(0), Some(4)], Values::Counts, Shape::Bars);
        let bars = bars.unwrap().to_string();
        assert_eq!(bars.matches("class=\"day\"").count(), 1, "{bars}");
    }
}
