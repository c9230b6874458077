//! `[alerts]`.

use std::time::Duration;

use toml::Spanned;

use super::plan::absolute_http;
use crate::ids::SinkId;
use crate::plan::alerts::{AlertSink, Destination, PAGERDUTY, Severity, TIMEOUT};
use crate::plan::draft::Item;
use crate::plan::fault::Faults;
use crate::plan::scalar;
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::table::Table;
use crate::plan::usual::{Literal, Range};
use crate::secret::SecretRef;

/// A file of its own holds the same table.
pub(in crate::plan) static ALERTS_FILE: Shape = Shape {
    what: "a file of alerts",
    about: "",
    keys: &[need("alerts", Kind::Map(&Kind::Table(&SINK)), "where people are told")],
};

pub(super) static SINK: Shape = Shape {
    what: "a sink of alerts",
    about: "A chat, a pager or a program that is told what happens: exactly one of `webhook`, \
            `alertmanager`, `pagerduty` and `command`. NAME is yours; `ctx alerts test NAME` tries \
            it. [alerts.md](alerts.md) says what is sent when.",
    keys: &[
        may(
            "webhook",
            Kind::Reference,
            "where the address of a chat's webhook is: `env:NAME` or `file:PATH`",
        )
        .more("The address is a secret: whoever knows it can write to the channel."),
        may("alertmanager", Kind::Url, "the address of an Alertmanager"),
        may(
            "pagerduty",
            Kind::Reference,
            "where a routing key of PagerDuty is: `env:NAME` or `file:PATH`",
        ),
        may("command", Kind::Texts, "a program and its arguments; it reads the alert from stdin"),
        may(
            "from",
            Kind::Choice(&["info", "warning", "error", "critical"]),
            "the least severity sent there",
        )
        .otherwise("by the sink")
        .more("Alertmanager gets everything from `warning`, PagerDuty from `error`, others all."),
        may("timeout", Kind::Duration, "how long one attempt may take")
            .usually(Literal::Lasts(TIMEOUT))
            .within(Range::UpTo(Literal::Lasts(LONGEST))),
        may(
            "token",
            Kind::Reference,
            "where Alertmanager's bearer token is: `env:NAME` or `file:PATH`",
        ),
        may("url", Kind::Url, "another address of PagerDuty's Events API")
            .usually(Literal::Word(PAGERDUTY)),
    ],
};

/// The keys that say where to, of which a sink has one.
const KINDS: [&str; 4] = ["webhook", "alertmanager", "pagerduty", "command"];

/// The longest that one attempt may take.
const LONGEST: Duration = Duration::from_secs(60);

/// Reads the sinks of a plan, or of a file of its own.
pub(in crate::plan) fn alerts(table: &Table<'_>) -> Vec<Item<SinkId, AlertSink>> {
    let entries = table.map("alerts").into_iter();
    let read = |(name, value)| {
        let id: Option<Spanned<SinkId>> = scalar::name(&name, table.faults);
        let body = Table::open(value, &SINK, table.faults);
        let id = id?;
        let body = body.and_then(|body| sink(id.get_ref(), &body));
        Some(Item { id, body })
    };
    entries.filter_map(read).collect()
}

fn sink(id: &SinkId, table: &Table<'_>) -> Option<AlertSink> {
    let named: Vec<&str> = KINDS.into_iter().filter(|kind| table.has(kind)).collect();
    let [kind] = named[..] else {
        let message = match named.len() {
            0 => "a sink says where alerts are sent to".to_owned(),
            _ => {
                format!("a sink has one of `{}`, this one has {}", KINDS.join("`, `"), named.len())
            }
        };
        let hint = format!("write one of `{}`", KINDS.join("`, `"));
        // A misspelt key may stand before a secret.
        table.faults.covered(table.span(), message, hint);
        return None;
    };
    for (key, of) in [("token", "alertmanager"), ("url", "pagerduty")] {
        if table.has(key) && kind != of {
            let message = format!("`{key}` belongs to `{of}`, and this sink is a `{kind}`");
            table.faults.push(table.key_span(key), message);
        }
    }
    let from = table.choice("from", &Severity::ALL).unwrap_or(match kind {
        "pagerduty" => Severity::Error,
        "alertmanager" => Severity::Warning,
        _ => Severity::Info,
    });
    let to = match kind {
        "webhook" => reference(table, "webhook").map(|address| Destination::Webhook { address }),
        "alertmanager" => alertmanager(table),
        "pagerduty" => pagerduty(table),
        _ => command(table),
    };
    let timeout = timeout(table)?;
    Some(AlertSink { id: id.clone(), to: to?, from, timeout })
}

fn alertmanager(table: &Table<'_>) -> Option<Destination> {
    let url = address(table, "alertmanager");
    let token = if table.has("token") { Some(reference(table, "token")?) } else { None };
    Some(Destination::Alertmanager { url: url?, token })
}

fn pagerduty(table: &Table<'_>) -> Option<Destination> {
    let key = reference(table, "pagerduty");
    let usual = || table.usual_word("url").to_owned();
    let url = if table.has("url") { address(table, "url")? } else { usual() };
    Some(Destination::Pagerduty { key: key?, url })
}

fn command(table: &Table<'_>) -> Option<Destination> {
    let argv = table.strings("command");
    if argv.first().is_none_or(String::is_empty) {
        let hint = "write `command = [\"logger\", \"-t\", \"ctx\"]`; no shell reads it";
        table.faults.hinted(table.entry_span("command"), "`command` names no program", hint);
        return None;
    }
    Some(Destination::Command { argv })
}

/// Reads where a secret is. What is no reference may be the secret itself, and is not shown.
fn reference(table: &Table<'_>, key: &str) -> Option<String> {
    let text = table.text(key)?;
    if text.get_ref().parse::<SecretRef>().is_err() {
        let message = format!("`{key}` is not a reference to a secret");
        table.faults.covered(text.span(), message, "write `env:NAME` or `file:PATH`");
        return None;
    }
    Some((*text.get_ref()).to_owned())
}

fn address(table: &Table<'_>, key: &str) -> Option<String> {
    let url = table.text(key)?;
    absolute_http(&url, table.faults)?;
    without_query(&url, table.faults)?;
    Some(url.get_ref().trim_end_matches('/').to_owned())
}

/// Paths are added to the address, and what stands behind `?` would be shown.
fn without_query(url: &Spanned<&str>, faults: &Faults<'_>) -> Option<()> {
    if url.get_ref().contains(['?', '#']) {
        let hint = "write scheme, host, port and path, such as `http://127.0.0.1:9093`";
        faults.covered(url.span(), "the address has a query or a fragment", hint);
        return None;
    }
    Some(())
}

fn timeout(table: &Table<'_>) -> Option<Duration> {
    table.lasting_within("timeout", "`timeout` must be longer than zero, and at most 1m")
}
