//! `[[suite]]`: cases and load.

use std::time::Duration;

use toml::Spanned;

use super::call::{body, headers, method, path};
use super::criterion::limit;
use super::id;
use crate::control::config::Platform;
use crate::ids::SuiteId;
use crate::judge::{Limit, Metric};
use crate::plan::draft::Item;
use crate::plan::fault::At;
use crate::plan::model::{Case, Expect, Load, Request, Suite, SuiteKind};
use crate::plan::scalar;
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::table::Table;

pub(super) static SUITE: Shape = Shape {
    what: "a suite",
    keys: &[
        need("id", Kind::Name, "a name, unique within the plan"),
        need(
            "kind",
            Kind::Choice(&["functional", "performance", "integration", "load"]),
            "what the suite is for",
        ),
        need("case", Kind::Tables(&CASE), "requests, and what must come back"),
        may("load", Kind::Table(&LOAD), "load drawn from the cases in turn"),
    ],
};

static CASE: Shape = Shape {
    what: "a case",
    keys: &[
        need("name", Kind::Text, "what it shows, in a few words"),
        may("method", Kind::Text, "the HTTP method; POST with a body, else GET"),
        need("path", Kind::Text, "a path of the data plane, or `control:` and a path"),
        may("headers", Kind::Map(&Kind::Text), "header names and values"),
        may("body", Kind::Any, "a text, or a table that is sent as JSON"),
        may(
            "sign_as",
            Kind::Choice(&["linear", "github", "slack"]),
            "signs as this platform, with a fresh delivery id",
        ),
        may("repeat", Kind::Bool, "sends the same delivery again; both answers must be alike"),
        may("expect", Kind::Table(&EXPECT), "what must come back; status 200"),
    ],
};

static EXPECT: Shape = Shape {
    what: "`expect`",
    keys: &[
        may("status", Kind::Count, "the status; 200"),
        may("contains", Kind::Texts, "texts that the body must contain"),
        may("headers", Kind::Map(&Kind::Text), "headers, and a text that each must contain"),
        may("json", Kind::Map(&Kind::Any), "JSON pointers, and the value that must stand there"),
    ],
};

static LOAD: Shape = Shape {
    what: "`load`",
    keys: &[
        need("rate", Kind::Number, "requests a second"),
        need("lasts", Kind::Duration, "for how long"),
        may("thresholds", Kind::Map(&Kind::Table(&THRESHOLD)), "bounds on what the load sees"),
    ],
};

static THRESHOLD: Shape = Shape {
    what: "a threshold",
    keys: &[
        may("max", Kind::Limit, "the most that the metric may be"),
        may("min", Kind::Limit, "the least that the metric may be"),
    ],
};

const KINDS: [(&str, SuiteKind); 4] = [
    ("functional", SuiteKind::Functional),
    ("performance", SuiteKind::Performance),
    ("integration", SuiteKind::Integration),
    ("load", SuiteKind::Load),
];

/// The metrics that a load generator sees by itself.
const SEEN: [Metric; 5] = [
    Metric::ErrorRate,
    Metric::LatencyP50,
    Metric::LatencyP95,
    Metric::LatencyP99,
    Metric::Throughput,
];

/// Reads one suite.
pub(super) fn suite(table: &Table<'_>) -> Item<SuiteId, Suite> {
    let id: Spanned<SuiteId> = id(table);
    let kind = table.choice("kind", &KINDS);
    let given = table.tables("case");
    if table.has("case") && given.is_empty() {
        table.faults.push(table.key_span("case"), format!("suite `{}` has no cases", id.get_ref()));
    }
    let cases: Option<Vec<Case>> = {
        let read: Vec<Option<Case>> = given.iter().map(case).collect();
        read.into_iter().collect()
    };
    let load_is_missing =
        !table.has("load") && matches!(kind, Some(SuiteKind::Performance | SuiteKind::Load));
    if load_is_missing {
        let message = format!("suite `{}` measures under load, and has no `load`", id.get_ref());
        let hint = "add `load = { rate = 200, lasts = \"5s\" }`, or make it `functional`";
        table.faults.hinted(table.span(), message, hint);
    }
    let load = table.table("load").map(|table| load(&table));
    let whole = || {
        let load = match load {
            Some(load) => Some(load?),
            None => None,
        };
        Some(Suite { id: Clone::clone(id.get_ref()), kind: kind?, cases: cases?, load })
    };
    let body = whole();
    Item { id, body }
}

fn case(table: &Table<'_>) -> Option<Case> {
    let usual = if table.has("body") { "POST" } else { "GET" };
    let method = method(table, usual);
    let headers = headers(table);
    let body = body(table);
    let platforms = Platform::ALL.map(|platform| (platform.name(), platform));
    let sign_as = table.choice("sign_as", &platforms);
    let expected = match table.table("expect") {
        Some(table) => expect(&table),
        None => Some(Expect { status: 200, contains: vec![], headers: vec![], json: vec![] }),
    };
    let repeat = table.bool("repeat").is_some_and(|given| *given.get_ref());
    let name = table.string("name");
    let url = table.text("path").filter(|url| path(url, table.faults).is_some())?;
    let url = (*url.get_ref()).to_owned();
    let request = Request { method: method?, url, headers, body };
    Some(Case { name: name?, request, sign_as, repeat, expect: expected? })
}

fn expect(table: &Table<'_>) -> Option<Expect> {
    let status = table.count("status").map_or(Some(200), |given| {
        let status = u16::try_from(*given.get_ref()).ok().filter(|s| (100..600).contains(s));
        if status.is_none() {
            let message = format!("{} is not an HTTP status", given.get_ref());
            table.faults.push(given.span(), message);
        }
        status
    });
    let mut json = Vec::new();
    for (pointer, value) in table.map("json") {
        if !pointer.get_ref().is_empty() && !pointer.get_ref().starts_with('/') {
            let message = format!("`{}` is not a JSON pointer", pointer.get_ref());
            table.faults.hinted(pointer.span(), message, "write it like `/message`");
        }
        let value = scalar::json(value, table.faults);
        json.extend(value.map(|value| ((*pointer.get_ref()).to_owned(), value)));
    }
    let (contains, headers) = (table.strings("contains"), table.pairs("headers"));
    Some(Expect { status: status?, contains, headers, json })
}

fn load(table: &Table<'_>) -> Option<Load> {
    let rate = table.number("rate").and_then(|given| {
        let some = *given.get_ref() > 0.0;
        if !some {
            table.faults.push(given.span(), "`rate` must be more than zero");
        }
        some.then_some(*given.get_ref())
    });
    let lasts = table.duration("lasts").and_then(|given| {
        let some = *given.get_ref() > Duration::ZERO;
        if !some {
            table.faults.push(given.span(), "`lasts` must be longer than zero");
        }
        some.then_some(*given.get_ref())
    });
    let entries = table.map("thresholds").into_iter();
    let thresholds: Vec<Option<(Metric, Limit)>> = entries
        .map(|(name, value)| {
            let metric = scalar::metric(&name, table.faults)?;
            if !SEEN.contains(metric.get_ref()) {
                let message = format!("a load generator does not see `{}`", metric.get_ref());
                let hint = "use error_rate, latency_p50, latency_p95, latency_p99 or throughput";
                table.faults.hinted(metric.span(), message, hint);
            }
            let bounds = Table::open(value, &THRESHOLD, table.faults)?;
            Some((*metric.get_ref(), limit(&bounds, Some(&name.with(*metric.get_ref())))?))
        })
        .collect();
    let thresholds = thresholds.into_iter().collect::<Option<Vec<_>>>();
    Some(Load { rate: rate?, lasts: lasts?, thresholds: thresholds? })
}
