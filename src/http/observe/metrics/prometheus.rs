//! Exposition of metrics to Prometheus, as OpenMetrics 1.0 or as text 0.0.4.
//!
//! Names are distribution's where it has them. Values are gathered when they are requested. No label holds a value that a
//! client can choose.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::ACCEPT;
use http::request::Parts;
use prometheus_client::encoding::text::encode;

use crate::http::observe::metrics::collector::Collected;
use crate::http::observe::metrics::process::ProcessUsage;
use crate::http::observe::monitoring::Monitor;
use crate::threads::blocking;

/// Suffix of counters, which text 0.0.4 has in the family's name as well.
const TOTAL: &str = "_total";

/// Text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For clients that accept it by name.
    OpenMetrics,
    /// For all other clients, and for people.
    Classic,
}

impl<S: Sync> FromRequestParts<S> for Format {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::accepted(&parts.headers))
    }
}

impl Format {
    fn accepted(headers: &HeaderMap) -> Self {
        let accepted = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let is_open = |kind: &str| {
            let mut words = kind.split(';').map(str::trim);
            let is_named = words
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
            is_named
                && !words.any(|word| {
                    word.strip_prefix("q=")
                        .is_some_and(|weight| weight.parse() == Ok(0.0))
                })
        };
        if accepted.into_iter().any(is_open) {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Renders all metrics.
pub(crate) async fn text(monitor: &Monitor, format: Format) -> String {
    let measured = monitor.registry.status().store().await;
    let process = blocking::run(ProcessUsage::read).await.ok();
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register_collector(Box::new(Collected::new(monitor.clone(), measured, process)));
    let mut text = String::new();
    // writing to a String cannot fail
    let _ = encode(&mut text, &registry);
    match format {
        Format::OpenMetrics => text,
        Format::Classic => classic(&text),
    }
}

/// Converts OpenMetrics to text 0.0.4: a counter's family is named as its samples are, or Prometheus would find neither its
/// type nor its help, and nothing marks the end.
fn classic(text: &str) -> String {
    let mut classic = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        // the help comes before the type
        let is_counters = |line: &&str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let renamed = match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
            ["#", "EOF"] => continue,
            ["#", "HELP", name, help] if lines.peek().is_some_and(is_counters) => {
                Some(format!("# HELP {name}{TOTAL} {help}"))
            }
            ["#", "TYPE", name, "counter"] => Some(format!("# TYPE {name}{TOTAL} counter")),
            _ => None,
        };
        classic.push_str(renamed.as_deref().unwrap_or(line));
        classic.push('\n');
    }
    classic
}
