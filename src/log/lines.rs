//! One line an event.

use std::fmt;
use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Formatter;
use super::event::{Bare, Plain, Said};

/// Writes events as the settings ask for.
pub(super) struct Lines {
    pub formatter: Formatter,
    pub fields: Map<String, Value>,
    pub caller: bool,
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
        let mut said = Said::default();
        event.record(&mut said);
        let is_colourful = writer.has_ansi_escapes();
        self.write(
            &mut writer,
            event.metadata(),
            &said,
            is_colourful,
            SystemTime::now(),
        )
    }
}

impl Lines {
    fn write(
        &self,
        out: &mut impl fmt::Write,
        about: &Metadata<'_>,
        said: &Said,
        is_colourful: bool,
        now: SystemTime,
    ) -> fmt::Result {
        match self.formatter {
            Formatter::Text => self.text(out, about, said, is_colourful, now),
            Formatter::Json => {
                let own = [
                    ("time", time(now)),
                    ("level", level(*about.level()).to_owned()),
                    ("msg", said.message.clone()),
                ];
                writeln!(out, "{}", self.object(own, about, said))
            }
            Formatter::Logstash => {
                let own = [
                    ("@timestamp", time(now)),
                    ("@version", "1".to_owned()),
                    ("level", level(*about.level()).to_owned()),
                    ("message", said.message.clone()),
                ];
                writeln!(out, "{}", self.object(own, about, said))
            }
        }
    }

    fn text(
        &self,
        out: &mut impl fmt::Write,
        about: &Metadata<'_>,
        said: &Said,
        is_colourful: bool,
        now: SystemTime,
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
            Plain(&said.message)
        )?;
        for (key, word) in &said.fields {
            write!(out, " {dim}{key}={off}{word}")?;
        }
        let unsaid = self
            .fields
            .iter()
            .filter(|(key, _)| !said.fields.iter().any(|(name, _)| name == key));
        for (key, value) in unsaid {
            write!(out, " {dim}{}={off}{}", Plain(key), Bare(value))?;
        }
        if let Some(place) = self.caller.then(|| caller(about)).flatten() {
            write!(out, " {dim}file={off}{place}")?;
        }
        writeln!(out)
    }

    /// What the line is of itself, and the fields. One by the name of something else is called `fields.NAME`, as logrus does.
    fn object<const N: usize>(
        &self,
        own: [(&'static str, String); N],
        about: &Metadata<'_>,
        said: &Said,
    ) -> Value {
        let mut object = self.fields.clone();
        object.extend(
            said.fields
                .iter()
                .map(|(key, word)| ((*key).to_owned(), word.value())),
        );
        if let Some(place) = self.caller.then(|| caller(about)).flatten() {
            put(&mut object, "file", place);
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

fn time(now: SystemTime) -> String {
    humantime::format_rfc3339_micros(now).to_string()
}

fn caller(about: &Metadata<'_>) -> Option<String> {
    Some(format!("{}:{}", about.file()?, about.line()?))
}

/// As logrus calls it.
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

    /// What is written while `say` says it.
    fn written(formatter: Formatter, fields: Value, caller: bool, say: impl FnOnce()) -> String {
        let sink = Sink::default();
        let lines = Lines {
            formatter,
            fields: fields.as_object().cloned().unwrap_or_default(),
            caller,
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
            humantime::parse_rfc3339(line.split(' ').next().unwrap()).is_ok(),
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
        assert!(humantime::parse_rfc3339(line["time"].as_str().unwrap()).is_ok());

        let line: Value =
            serde_json::from_str(&written(Formatter::Logstash, json!({}), false, || {
                tracing::info!("started")
            }))
            .unwrap();
        assert_eq!(
            (&line["@version"], &line["message"], &line["level"]),
            (&json!("1"), &json!("started"), &json!("info"))
        );
        assert!(humantime::parse_rfc3339(line["@timestamp"].as_str().unwrap()).is_ok());
        assert_eq!(line.get("file"), None);
    }

    proptest! {
        #[test]
        fn an_event_is_one_line_whatever_it_says(message in any::<String>(), value in any::<String>()) {
            for formatter in [Formatter::Text, Formatter::Json, Formatter::Logstash] {
                let line = written(formatter, json!({ "key": value }), false, || tracing::info!(value, error = %value, "{message}"));
                prop_assert_eq!(line.matches(char::is_control).count(), 1, "{}", line);
                if formatter != Formatter::Text {
                    let line: Value = serde_json::from_str(&line).unwrap();
                    prop_assert_eq!(&line["value"], &Value::from(value.clone()));
                }
            }
        }
    }
}
