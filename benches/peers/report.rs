//! The report of a run, as text and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::series::Section;
use crate::trial::Bench;

pub struct Header {
    text: String,
    json: Value,
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
            let _ = writeln!(text, "  {name:<16} SKIPPED: {reason}");
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
