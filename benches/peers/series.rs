//! Figures of one measure, as text and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::peer::OURS;
use crate::stats::Summary;

/// The outcome of one measure.
pub struct Section {
    name: &'static str,
    title: String,
    pub notes: Vec<String>,
    pub series: Vec<Series>,
    /// Peers that failed, with reasons.
    pub failures: Vec<(&'static str, String)>,
}

/// One figure, for every peer.
pub struct Series {
    label: &'static str,
    unit: &'static str,
    better: Better,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Better {
    Lower,
    Higher,
    /// A figure of the machine, not of a peer, and not compared.
    Neither,
}

struct Row {
    name: &'static str,
    /// One for each round.
    values: Vec<f64>,
}

impl Section {
    pub fn new(name: &'static str, title: String, series: Vec<Series>) -> Section {
        Section {
            name,
            title,
            notes: Vec::new(),
            series,
            failures: Vec::new(),
        }
    }

    pub fn text(&self) -> String {
        let mut text = format!("\n{}: {}\n", self.name, self.title);
        for note in &self.notes {
            let _ = writeln!(text, "  ({note})");
        }
        for series in &self.series {
            text += &series.text();
        }
        for (peer, reason) in &self.failures {
            let _ = writeln!(text, "  FAILED: {peer}: {reason}");
        }
        text
    }

    pub fn json(&self) -> Value {
        let failures: Vec<Value> = self
            .failures
            .iter()
            .map(|(peer, reason)| json!({ "name": peer, "reason": reason }))
            .collect();
        json!({
            "name": self.name,
            "title": self.title,
            "notes": self.notes,
            "figures": self.series.iter().map(Series::json).collect::<Vec<_>>(),
            "failures": failures,
        })
    }
}

impl Series {
    pub fn new(label: &'static str, unit: &'static str, better: Better) -> Series {
        Series {
            label,
            unit,
            better,
            rows: Vec::new(),
        }
    }

    pub fn push(&mut self, name: &'static str, value: f64) {
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.values.push(value),
            None => self.rows.push(Row {
                name,
                values: vec![value],
            }),
        }
    }

    /// Returns the best median among the peers, which ours is compared with.
    fn best(&self) -> Option<f64> {
        let medians = self
            .rows
            .iter()
            .filter(|row| row.name != OURS)
            .filter_map(|row| Some(Summary::of(&row.values)?.median));
        match self.better {
            Better::Lower => medians.min_by(f64::total_cmp),
            Better::Higher => medians.max_by(f64::total_cmp),
            Better::Neither => None,
        }
    }

    fn text(&self) -> String {
        let direction = match self.better {
            Better::Lower => ", lower is better",
            Better::Higher => ", higher is better",
            Better::Neither => "",
        };
        let title = match self.unit {
            "" => format!("{}{direction}", self.label),
            unit => format!("{}, {unit}{direction}", self.label),
        };
        let mut text = format!(
            "  {title:<44}{:>10}{:>10}{:>10}{:>14}\n",
            "median", "min", "max", "to best peer"
        );
        let best = self.best();
        for row in &self.rows {
            let Some(found) = Summary::of(&row.values) else {
                continue;
            };
            let ratio = best.map_or(String::new(), |best| format!("{:.2}x", found.median / best));
            let _ = writeln!(
                text,
                "    {:<42}{:>10}{:>10}{:>10}{ratio:>14}",
                row.name,
                short(found.median),
                short(found.min),
                short(found.max)
            );
        }
        text
    }

    fn json(&self) -> Value {
        let best = self.best();
        let rows: Vec<Value> = self
            .rows
            .iter()
            .filter_map(|row| {
                let found = Summary::of(&row.values)?;
                Some(json!({
                    "name": row.name,
                    "median": found.median,
                    "min": found.min,
                    "max": found.max,
                    "to_best_peer": best.map(|best| found.median / best),
                    "rounds": row.values,
                }))
            })
            .collect();
        let better = match self.better {
            Better::Lower => "lower",
            Better::Higher => "higher",
            Better::Neither => "neither",
        };
        json!({ "label": self.label, "unit": self.unit, "better": better, "rows": rows })
    }
}

/// Formats about four significant figures.
fn short(value: f64) -> String {
    match value {
        v if v >= 1000.0 => format!("{v:.0}"),
        v if v >= 100.0 => format!("{v:.1}"),
        v if v >= 10.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}
