//! Format of one line per event.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::event::{Configured, EventText};
use super::settings::Formatter;
use crate::escape::{self, OneLine};

/// Formatter of events, by the log's settings.
pub(super) struct Lines {
    pub(super) formatter: Formatter,
    pub(super) fields: Map<String, Value>,
    pub(super) has_caller: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut recorded = EventText::default();
        event.record(&mut recorded);
        let is_colourful = writer.has_ansi_escapes();
        self.write(
            &mut writer,
            event.metadata(),
            &recorded,
            is_colourful,
            Timestamp::now(),
        )
    }
}

impl Lines {
    fn write(
        &self,
        out: &mut impl fmt::Write,
        about: &Metadata<'_>,
        recorded: &EventText,
        is_colourful: bool,
        now: Timestamp,
    ) -> fmt::Result {
        match self.formatter {
            Formatter::Text => self.text(out, about, recorded, is_colourful, now),
            Formatter::Json => {
                let own = [
                    ("time", time(now)),
                    ("level", level(*about.level()).to_owned()),
                    ("msg", recorded.message.clone()),
                ];
                let object = self.object(own, about, recorded).to_string();
                writeln!(out, "{}", escape::json(&object))
            }
            Formatter::Logstash => {
                let own = [
                    ("@timestamp", time(now)),
                    ("@version", "1".to_owned()),
                    ("level", level(*about.level()).to_owned()),
                    ("message", recorded.message.clone()),
                ];
                let object = self.object(own, about, recorded).to_string();
                writeln!(out, "{}", escape::json(&object))
            }
        }
    }

    fn text(
        &self,
        out: &mut impl fmt::Write,
        about: &Metadata<'_>,
        recorded: &EventText,
        is_colourful: bool,
        now: Timestamp,
    ) -> fmt::Result {
        let (dim, colour, off) = if is_colourful {
            ("\x1b[2m", colour(*about.level()), "\x1b[0m")
        } else {
            ("", "", "")
        };
        write!(
            out,
            "{dim}{}{off} {colour}{:>5}{off} {}",
            time(now),
            about.level().as_str(),
            OneLine(&recorded.message)
        )?;
        for (key, value) in &recorded.fields {
            write!(out, " {dim}{key}={off}{value}")?;
        }
        let rest = self
            .fields
            .iter()
            .filter(|(key, _)| !recorded.fields.iter().any(|(name, _)| name == key));
        for (key, value) in rest {
            write!(out, " {dim}{}={off}{}", OneLine(key), Configured(value))?;
        }
        if let Some(location) = self.has_caller.then(|| caller(about)).flatten() {
            write!(out, " {dim}file={off}{location}")?;
        }
        writeln!(out)
    }

    /// Returns the line's own members and the fields. A field with the name of an own member is called `fields.NAME`, as in
    /// logrus.
    fn object<const N: usize>(
        &self,
        own: [(&'static str, String); N],
        about: &Metadata<'_>,
        recorded: &EventText,
    ) -> Value {
        let mut object = self.fields.clone();
        object.extend(
            recorded
                .fields
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.value())),
        );
        if let Some(location) = self.has_caller.then(|| caller(about)).flatten() {
            put(&mut object, "file", location);
            put(
                &mut object,
                "func",
                about.module_path().unwrap_or_default().to_owned(),
            );
        }
        for (key, text) in own {
            put(&mut object, key, text);
        }
        Value::Object(object)
    }
}

fn put(object: &mut Map<String, Value>, key: &str, text: String) {
    if let Some(other) = object.insert(key.to_owned(), Value::String(text)) {
        object.insert(format!("fields.{key}"), other);
    }
}

fn time(now: Timestamp) -> String {
    format!("{now:.6}")
}

fn caller(about: &Metadata<'_>) -> Option<String> {
    Some(format!("{}:{}", about.file()?, about.line()?))
}

/// Returns logrus' name of a level.
fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        _ => "debug",
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[34m",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use serde_json::json;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Returns the text that is written while `say` runs.
    fn written(
        formatter: Formatter,
        fields: Value,
        has_caller: bool,
        say: impl FnOnce(),
    ) -> String {
        let sink = Sink::default();
        let lines = Lines {
            formatter,
            fields: fields.as_object().cloned().unwrap_or_default(),
            has_caller,
        };
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(lines)
            .with_ansi(false)
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn text_is_for_people() {
        let line = written(
            Formatter::Text,
            json!({ "service": "registry", "count": 9 }),
            false,
            || {
                tracing::warn!(count = 3, name = "two words", error = %"it\nbroke", "some \x1b[31mthings");
            },
        );
        let rest = line.split_once(' ').unwrap().1;
        assert_eq!(
            rest,
            " WARN some \\u{1b}[31mthings count=3 name=\"two words\" error=it\\nbroke service=registry\n"
        );
        assert!(
            line.split(' ').next().unwrap().parse::<Timestamp>().is_ok(),
            "{line}"
        );
    }

    #[test]
    fn json_is_logruss_and_logstashs() {
        let say = || tracing::error!(level = "mine", bytes = 5_u64, ok = true, "gone");
        let line: Value = serde_json::from_str(&written(
            Formatter::Json,
            json!({ "service": "registry", "msg": "x" }),
            true,
            say,
        ))
        .unwrap();
        assert_eq!(
            (&line["level"], &line["fields.level"]),
            (&json!("error"), &json!("mine"))
        );
        assert_eq!(
            (&line["msg"], &line["fields.msg"]),
            (&json!("gone"), &json!("x"))
        );
        assert_eq!(
            (&line["bytes"], &line["ok"], &line["service"]),
            (&json!(5), &json!(true), &json!("registry"))
        );
        assert!(
            line["file"]
                .as_str()
                .unwrap()
                .starts_with("src/log/lines.rs:"),
            "{line}"
        );
        assert_eq!(
            line["time"].as_str().unwrap().len(),
            "2026-01-02T03:04:05.678901Z".len()
        );
        assert!(line["time"].as_str().unwrap().parse::<Timestamp>().is_ok());

        let line: Value =
            serde_json::from_str(&written(Formatter::Logstash, json!({}), false, || {
                tracing::info!("started")
            }))
            .unwrap();
        assert_eq!(
            (&line["@version"], &line["message"], &line["level"]),
            (&json!("1"), &json!("started"), &json!("info"))
        );
        assert!(
            line["@timestamp"]
                .as_str()
                .unwrap()
                .parse::<Timestamp>()
                .is_ok()
        );
        assert_eq!(line.get("file"), None);
    }

    proptest! {
        #[test]
        fn an_event_is_one_line_whatever_it_says(message in any::<String>(), value in any::<String>()) {
            for formatter in [Formatter::Text, Formatter::Json, Formatter::Logstash] {
                let line = written(formatter, json!({ "key": value }), false, || tracing::info!(value, error = %value, "{message}"));
                prop_assert_eq!(line.matches(escape::is_hidden).count(), 1, "{}", line);
                if formatter != Formatter::Text {
                    let line: Value = serde_json::from_str(&line).unwrap();
                    prop_assert_eq!(&line["value"], &Value::from(value.clone()));
                }
            }
        }
    }
}
