//! What was measured, as text and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::peer::OURS;
use crate::stats::Summary;
use crate::trial::Bench;

pub struct Header {
    text: String,
    json: Value,
}

/// The outcome of one measure.
pub struct Section {
    name: &'static str,
    title: String,
    pub notes: Vec<String>,
    pub series: Vec<Series>,
    /// Peers that failed, and why.
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
    /// A figure of the machine, not of a peer: nothing to compare.
    Neither,
}

struct Row {
    name: &'static str,
    /// One a round.
    values: Vec<f64>,
}

impl Header {
    pub fn new(bench: &Bench) -> Header {
        let mut text = format!("{}\n", bench.machine.text());
        for warning in bench.machine.warnings() {
            let _ = writeln!(text, "WARNING: {warning}");
        }
        for found in &bench.found {
            let _ = writeln!(text, "  {:<16} {}", found.peer.name, found.peer.durability);
        }
        for (name, reason) in &bench.left_out {
            let _ = writeln!(text, "  {name:<16} LEFT OUT: {reason}");
        }
        let peers: Vec<Value> = bench
            .found
            .iter()
            .map(|found| json!({ "name": found.peer.name, "durability": found.peer.durability }))
            .collect();
        let left_out: Vec<Value> = bench
            .left_out
            .iter()
            .map(|(name, reason)| json!({ "name": name, "reason": reason }))
            .collect();
        Header {
            text,
            json: json!({
                "machine": bench.machine.json(),
                "warnings": bench.machine.warnings(),
                "rounds": bench.options.rounds,
                "peers": peers,
                "left_out": left_out,
            }),
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

pub fn json(header: &Header, sections: &[Section]) -> Value {
    let mut all = header.json.clone();
    all["measures"] = sections.iter().map(Section::json).collect();
    all
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

    fn json(&self) -> Value {
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

    /// The best median among the others: what we are compared with.
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

/// Four significant figures or so.
fn short(value: f64) -> String {
    match value {
        v if v >= 1000.0 => format!("{v:.0}"),
        v if v >= 100.0 => format!("{v:.1}"),
        v if v >= 10.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}
