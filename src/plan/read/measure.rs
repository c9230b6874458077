//! What a guard or a criterion measures, and the limit it keeps: a metric of the orchestrator, or a
//! query to one of the Prometheus servers under `[metrics]`.

use toml::Spanned;

use super::plan::absolute_http;
use crate::judge::measure::{Measure, Query};
use crate::judge::{Limit, Metric, Unit};
use crate::plan::scalar;
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::table::Table;
use crate::secret::SecretRef;

pub(super) static SERVER: Shape = Shape {
    what: "a Prometheus server",
    about: "A Prometheus, or anything with its API, that guards and criteria may ask. NAME is what \
            their `from` says.",
    keys: &[
        need("url", Kind::Url, "where its API is, such as `http://127.0.0.1:9090`"),
        may("token", Kind::Reference, "where a token for it is: `env:NAME` or `file:PATH`"),
        may(
            "ca",
            Kind::Reference,
            "where the certificate of its authority is, for `https`: `file:PATH` or `env:NAME`",
        )
        .more("It is trusted instead of the system's authorities."),
    ],
};

/// Further words on [`UNIT`].
pub(super) const UNIT_MORE: &str = "Beside `query` only. `max = \"1%\"` makes it a ratio, `\"500ms\"` \
    a time in seconds, which is what Prometheus counts in, and `12` a plain number.";

/// What a query's number may be.
pub(super) const UNIT: Kind = Kind::Choice(&["ratio", "ms", "s", "per-minute", "number"]);

const UNITS: [(&str, Unit); 5] = [
    ("ratio", Unit::Ratio),
    ("ms", Unit::Milliseconds),
    ("s", Unit::Seconds),
    ("per-minute", Unit::PerMinute),
    ("number", Unit::Number),
];

/// A server that queries may name; without a body where that had a fault.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) body: Option<Body>,
}

/// Where a server is, and what it is asked with.
#[derive(Clone, Debug)]
pub(super) struct Body {
    url: String,
    token: Option<String>,
    ca: Option<String>,
}

/// Reads the servers.
pub(super) fn servers(table: &Table<'_>) -> Vec<Server> {
    let read = |(name, value): (Spanned<&str>, _)| {
        let faults = table.faults;
        if !crate::ids::is_name(name.get_ref()) {
            scalar::no_name(&name, faults);
        }
        let body = Table::open(value, &SERVER, faults).and_then(|body| server(&body));
        Server { name: (*name.get_ref()).to_owned(), body }
    };
    table.map("metrics").into_iter().map(read).collect()
}

fn server(table: &Table<'_>) -> Option<Body> {
    let url = table.text("url")?;
    absolute_http(&url, table.faults)?;
    let token = reference(table, "token", "the token itself stands in the plan")?;
    let ca = reference(table, "ca", "`ca` is no reference")?;
    if ca.is_some() && !url.get_ref().starts_with("https://") {
        let hint = "write the URL with `https://`, or leave `ca` out";
        table.faults.hinted(table.key_span("ca"), "`ca` has no meaning without TLS", hint);
        return None;
    }
    Some(Body { url: url.get_ref().trim_end_matches('/').to_owned(), token, ca })
}

/// Reads a reference to what does not stand in the plan; `None` after a fault.
#[expect(clippy::option_option, reason = "a fault, and a key that is left out")]
fn reference(table: &Table<'_>, key: &str, else_wise: &str) -> Option<Option<String>> {
    let Some(text) = table.text(key) else { return Some(None) };
    if text.get_ref().parse::<SecretRef>().is_err() {
        let hint = "write `env:NAME` or `file:PATH`; a plan is read by many and kept for long";
        table.faults.covered(text.span(), else_wise, hint);
        return None;
    }
    Some(Some((*text.get_ref()).to_owned()))
}

/// Reads what is measured and within which limit; `who` is whose measure it is, for messages.
pub(super) fn measured(
    who: &str,
    table: &Table<'_>,
    servers: &[Server],
) -> Option<(Measure, Limit)> {
    match (table.has("metric"), table.has("query")) {
        (true, false) => {
            for key in ["from", "unit"] {
                if table.has(key) {
                    let message = format!("`{key}` has no meaning without `query`");
                    table.faults.push(table.key_span(key), message);
                }
            }
            let metric = table.metric("metric");
            let limit = limit(table, metric.as_ref());
            Some((metric?.into_inner().into(), limit?))
        }
        (false, true) => queried(table, servers),
        (both, _) => {
            let message = if both { "measures two things" } else { "measures nothing" };
            let at = if both { table.key_span("query") } else { table.span() };
            let hint = "write `metric`, or `query` for what a Prometheus server knows";
            table.faults.hinted(at, format!("{who} {message}"), hint);
            None
        }
    }
}

fn queried(table: &Table<'_>, servers: &[Server]) -> Option<(Measure, Limit)> {
    if table.has("min_samples") {
        let hint = "let the query come to nothing instead: `... and sum(increase(all[1m])) > 50`";
        let message = "`min_samples` has no meaning beside `query`";
        table.faults.hinted(table.key_span("min_samples"), message, hint);
    }
    let unit = table.choice("unit", &UNITS);
    let key = match (table.has("max"), table.has("min")) {
        (true, false) => "max",
        (false, true) => "min",
        // Says what is wrong with both or none.
        _ => return limit(table, None).and(None),
    };
    let bound = table.bound(key, unit);
    let server = server_named(table, servers);
    let query = table.text("query")?;
    if query.get_ref().trim().is_empty() || query.get_ref().len() > 4096 {
        table.faults.push(query.span(), "a query has 1 to 4,096 bytes");
        return None;
    }
    let ((bound, unit), server) = (bound?, server?);
    let Body { url, token, ca } = server.body.clone()?;
    let (query, from) = ((*query.get_ref()).to_owned(), server.name.clone());
    let measure = Measure::Query(Query { query, from, url, token, ca, unit });
    let limit = if key == "max" { Limit::AtMost(bound) } else { Limit::AtLeast(bound) };
    Some((measure, limit))
}

fn server_named<'s>(table: &Table<'_>, servers: &'s [Server]) -> Option<&'s Server> {
    let hint = "name one: `[metrics.prom]` with `url = \"http://127.0.0.1:9090\"`";
    match (table.text("from"), servers) {
        (None, [only]) => Some(only),
        (None, []) => {
            table.faults.hinted(table.key_span("query"), "there is no server to ask", hint);
            None
        }
        (None, _) => {
            let message = "several servers could be asked";
            let hint = "say which one: `from = \"NAME\"`";
            table.faults.hinted(table.key_span("query"), message, hint);
            None
        }
        (Some(from), servers) => {
            let found = servers.iter().find(|server| server.name == *from.get_ref());
            if found.is_none() {
                let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
                let lead = "servers under `[metrics]`";
                table.faults.unknown(from.span(), "server", from.get_ref(), &names, lead);
            }
            found
        }
    }
}

/// Reads `max` or `min`, in the unit of the metric.
pub(super) fn limit(table: &Table<'_>, metric: Option<&Spanned<Metric>>) -> Option<Limit> {
    match (table.has("max"), table.has("min")) {
        (true, true) => {
            let hint = "keep one of them; a range is two guards or criteria";
            table.faults.hinted(
                table.key_span("min"),
                "a limit is either `max` or `min`, not both",
                hint,
            );
            None
        }
        (false, false) => {
            let hint = "write `max`, or `min` for what must not fall below it";
            table.faults.hinted(table.span(), "a metric needs a limit", hint);
            None
        }
        (true, false) => table.limit("max", *metric?.get_ref()).map(Limit::AtMost),
        (false, true) => table.limit("min", *metric?.get_ref()).map(Limit::AtLeast),
    }
}
