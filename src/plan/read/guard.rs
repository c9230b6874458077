//! `[guards]`, and `[metrics]`: the Prometheus servers that guards may ask.

use std::time::Duration;

use toml::Spanned;

use super::criterion::limit;
use super::plan::absolute_http;
use crate::ids::GuardId;
use crate::judge::measure::{Measure, Query};
use crate::judge::metric::KEPT;
use crate::judge::{Limit, Unit, promql};
use crate::plan::model::{Guard, OnNoData};
use crate::plan::scalar;
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::table::Table;
use crate::secret::SecretRef;

pub(super) static GUARD: Shape = Shape {
    what: "a guard",
    keys: &[
        may("metric", Kind::Metric, "what is measured, by the orchestrator itself"),
        may("query", Kind::Query, "what is measured, as a query that comes to one number"),
        may("from", Kind::Text, "the server under `[metrics]` that is asked; the only one"),
        may(
            "unit",
            Kind::Choice(&["ratio", "ms", "s", "per-minute", "number"]),
            "what the query's number is; by default as the bound is written",
        ),
        may("max", Kind::Limit, "the most that it may be"),
        may("min", Kind::Limit, "the least that it may be"),
        may("for", Kind::Count, "consecutive breaches that make it fail; 3"),
        may("min_samples", Kind::Count, "fewer observations are inconclusive; 50"),
        may(
            "every",
            Kind::Duration,
            "time from one look to the next; 1s, or the range of the query",
        ),
        may("patience", Kind::Duration, "how long it may stay inconclusive; 5m"),
        may("on_no_data", Kind::Choice(&["fail", "ignore"]), "what it does after that; fail"),
    ],
};

pub(super) static SERVER: Shape = Shape {
    what: "a Prometheus server",
    keys: &[
        need("url", Kind::Text, "where its API is, such as `http://127.0.0.1:9090`"),
        may("token", Kind::Text, "where a token for it is: `env:NAME` or `file:PATH`"),
    ],
};

/// How often a query is asked that does not look back over a range.
const SCRAPE: Duration = Duration::from_secs(15);

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
    pub(super) body: Option<(String, Option<String>)>,
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

fn server(table: &Table<'_>) -> Option<(String, Option<String>)> {
    let url = table.text("url")?;
    absolute_http(&url, table.faults)?;
    if !url.get_ref().starts_with("http://") {
        let hint = "ctx speaks plain HTTP: put the server, or a proxy for it, on a private network";
        table.faults.hinted(url.span(), "a query cannot be asked over TLS", hint);
        return None;
    }
    let token = table.text("token");
    if let Some(token) = token.as_ref().filter(|t| t.get_ref().parse::<SecretRef>().is_err()) {
        let hint = "write `env:NAME` or `file:PATH`; a plan is read by many and kept for long";
        table.faults.covered(token.span(), "the token itself stands in the plan", hint);
        return None;
    }
    let own = |text: Spanned<&str>| (*text.get_ref()).to_owned();
    Some((own(url).trim_end_matches('/').to_owned(), token.map(own)))
}

const ON_NO_DATA: [(&str, OnNoData); 2] = [("fail", OnNoData::Fail), ("ignore", OnNoData::Ignore)];

/// Reads one guard.
pub(super) fn guard(id: &Spanned<GuardId>, table: &Table<'_>, servers: &[Server]) -> Option<Guard> {
    let breaches = table.count("for").map_or(Some(3), |given| {
        let breaches = u32::try_from(*given.get_ref()).ok().filter(|n| *n > 0);
        if breaches.is_none() {
            let message = format!("`for` cannot be {}", given.get_ref());
            let hint = "it counts consecutive breaches: 3 is usual, 1 the least";
            table.faults.hinted(given.span(), message, hint);
        }
        breaches
    });
    let measured = measured(id, table, servers);
    let every = match &measured {
        Some((measure, _)) => every(table, measure),
        None => None,
    };
    let least = if table.has("query") { 0 } else { 50 };
    let min_samples = table.count("min_samples").map_or(least, Spanned::into_inner);
    let patience =
        table.duration("patience").map_or(Duration::from_secs(5 * 60), Spanned::into_inner);
    let on_no_data = table.choice("on_no_data", &ON_NO_DATA).unwrap_or(OnNoData::Fail);
    let (measure, limit) = measured?;
    Some(Guard {
        id: id.get_ref().clone(),
        measure,
        limit,
        breaches: breaches?,
        min_samples,
        every: every?,
        on_no_data,
        patience,
    })
}

/// What is measured, and within which limit.
fn measured(
    id: &Spanned<GuardId>,
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
            table.faults.hinted(at, format!("guard `{}` {message}", id.get_ref()), hint);
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
    let (url, token) = server.body.clone()?;
    let query = (*query.get_ref()).to_owned();
    let measure = Measure::Query(Query { query, from: server.name.clone(), url, token, unit });
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

/// The time from one look to the next, which keeps samples apart and whole.
fn every(table: &Table<'_>, measure: &Measure) -> Option<Duration> {
    let range = measure.query().map(|query| promql::selected(&query.query).range);
    let usual = match range {
        None => Duration::from_secs(1),
        Some(range) => range.unwrap_or(SCRAPE),
    };
    let Some(given) = table.duration("every") else { return Some(usual) };
    let every = *given.get_ref();
    let shown = crate::units::duration::format;
    if every.is_zero() {
        table.faults.push(given.span(), "`every` must be longer than zero");
    } else if let Some(range) = range.flatten().filter(|range| every < *range) {
        let message = format!("samples would overlap: the query looks back {}", shown(range));
        let hint = format!(
            "write `every = \"{}\"` or more; a streak needs samples that share nothing",
            shown(range)
        );
        table.faults.hinted(given.span(), message, hint);
    } else if measure.own().is_some_and(crate::judge::Metric::is_windowed) && every > KEPT {
        let message = "the older part of each sample would be lost";
        let hint = "an orchestrator counts answers for 10m; for longer samples, query a Prometheus";
        table.faults.hinted(given.span(), message, hint);
    } else {
        return Some(every);
    }
    None
}
