//! What `ctx serve` logs: one event, one line, on stderr.
//!
//! The law: a line is one line, whatever a sender put into it. Paths, ids and reasons of others
//! are written with every control character escaped, so that nobody can begin a line of their own
//! or speak to the terminal of whoever reads it.
//!
//! Lines are for people ([`Format::Text`]) or for programs ([`Format::Json`]): one JSON object
//! with `timestamp`, `level`, `target`, `message`, `request_id` and `trace_id` where the event is
//! about a request, and everything else under `fields`.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::{Clock, SystemClock};

/// What is logged unless `CTX_LOG` says otherwise; the access log only if it is asked for.
const USUAL: &str = "info,ctx::access=off";

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Begins to log what `filter` asks for. In a process that logs already, that stays as it is.
pub(super) fn start(format: Format, filter: Option<&str>, color: bool) {
    let (filter, fault) = match EnvFilter::try_new(filter.unwrap_or(USUAL)) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(USUAL), Some(error)),
    };
    let color = color && format == Format::Text && io::stderr().is_terminal();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // Who read the log may be gone. To say so on the same stderr would be a panic.
        .log_internal_errors(false)
        .event_format(Lines { format, color })
        .try_init();
    if let Some(error) = fault {
        let what = "`CTX_LOG` cannot be read; it counts as not set";
        tracing::warn!(%error, hint = "such as `debug` or `info,ctx::access=debug`", "{what}");
    }
}

struct Lines {
    format: Format,
    color: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let meta = event.metadata();
        let line =
            Line { at: SystemClock.wall(), level: *meta.level(), target: meta.target(), said };
        let text = match self.format {
            Format::Text => line.text(self.color),
            Format::Json => line.json(),
        };
        writeln!(writer, "{text}")
    }
}

/// An event as it is written.
struct Line<'a> {
    at: DateTime<Utc>,
    level: Level,
    target: &'a str,
    said: Said,
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    /// In the order of the event.
    fields: Vec<(&'static str, Value)>,
}

impl Said {
    fn note(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.note(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.note(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.note(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.note(field, value.into());
    }
}

impl Line<'_> {
    fn text(&self, color: bool) -> String {
        let at = self.at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let (on, off) = match self.level {
            _ if !color => ("", ""),
            Level::ERROR => ("\u{1b}[31m", "\u{1b}[0m"),
            Level::WARN => ("\u{1b}[33m", "\u{1b}[0m"),
            Level::INFO => ("\u{1b}[32m", "\u{1b}[0m"),
            _ => ("\u{1b}[2m", "\u{1b}[0m"),
        };
        let (level, target) = (self.level, self.target);
        let mut text = format!("{at} {on}{level:>5}{off} {target}: ");
        escape(&self.said.message, &mut text);
        for (name, value) in &self.said.fields {
            let _ = match value {
                Value::String(value) if is_plain(value) => write!(text, " {name}={value}"),
                Value::String(value) => write!(text, " {name}={value:?}"),
                value => write!(text, " {name}={value}"),
            };
        }
        text
    }

    fn json(&self) -> String {
        #[derive(Serialize)]
        struct Object<'a> {
            timestamp: String,
            level: &'static str,
            target: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            request_id: Option<&'a Value>,
            #[serde(skip_serializing_if = "Option::is_none")]
            trace_id: Option<&'a Value>,
            fields: BTreeMap<&'static str, &'a Value>,
        }
        let mut fields: BTreeMap<_, _> =
            self.said.fields.iter().map(|(name, value)| (*name, value)).collect();
        let object = Object {
            timestamp: self.at.to_rfc3339_opts(SecondsFormat::Micros, true),
            level: self.level.as_str(),
            target: self.target,
            message: &self.said.message,
            request_id: fields.remove("request_id"),
            trace_id: fields.remove("trace_id"),
            fields,
        };
        let json = serde_json::to_string(&object).expect("text and numbers print");
        // JSON itself allows DEL and what is above it; terminals act on some of that.
        let mut text = String::with_capacity(json.len());
        for c in json.chars() {
            let _ = match c {
                c if c.is_control() => write!(text, "\\u{:04x}", u32::from(c)),
                c => text.write_char(c),
            };
        }
        text
    }
}

/// Whether a value can stand without quotes.
fn is_plain(value: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "\"'=\\".contains(c);
    !value.is_empty() && !value.contains(odd)
}

fn escape(message: &str, text: &mut String) {
    for c in message.chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, fields: Vec<(&'static str, Value)>) -> Line<'static> {
        let at = crate::clock::from_wall_ms(1_893_452_400_000);
        let said = Said { message: message.to_owned(), fields };
        Line { at, level: Level::WARN, target: "ctx::access", said }
    }

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        let nasty = "a\r\n2029 ERROR forged\u{1b}[2J\u{9b}31m\u{7f}\"\\";
        let line = line(nasty, vec![("path", nasty.into()), ("n", 1.into()), ("who", "me".into())]);
        let text = line.text(false);
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(text.starts_with("2029-12-31T23:00:00.000000Z  WARN ctx::access: a\\r\\n2029"));
        assert!(text.ends_with(" n=1 who=me"), "{text}");
        let json = line.json();
        assert!(!json.contains(char::is_control), "{json:?}");
        let read: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&read["message"], &read["fields"]["path"]), (&nasty.into(), &nasty.into()));
    }

    #[test]
    fn what_a_line_is_about_stands_beside_its_message() {
        let fields = vec![("request_id", "r".into()), ("trace_id", "t".into()), ("x", true.into())];
        let read: Value = serde_json::from_str(&line("hello", fields).json()).unwrap();
        assert_eq!(
            read,
            serde_json::json!({
                "timestamp": "2029-12-31T23:00:00.000000Z", "level": "WARN",
                "target": "ctx::access", "message": "hello",
                "request_id": "r", "trace_id": "t", "fields": { "x": true },
            })
        );
    }

    #[test]
    fn colour_is_for_terminals() {
        let line = line("hello", Vec::new());
        assert!(line.text(true).contains("\u{1b}[33m WARN\u{1b}[0m"));
        assert_eq!(line.text(false), "2029-12-31T23:00:00.000000Z  WARN ctx::access: hello");
    }
}
