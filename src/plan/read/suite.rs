//! `[[suite]]`: cases and load, here or in a file of its own.
//!
//! A suite in a file means what it would mean in the plan: it is read once, its faults join the
//! plan's with the file's own lines, and it is a part of the phases that use it, so that an edit
//! of the file is an edit of the plan.

use toml::Spanned;
use toml::de::DeTable;

use super::call::{METHODS, body, headers, method, path};
use super::measure::limit;
use super::plan::inside;
use super::{ReadFile, beside, id, stand_in};
use crate::control::config::Platform;
use crate::ids::SuiteId;
use crate::judge::{Limit, Metric};
use crate::plan::cap;
use crate::plan::draft::Item;
use crate::plan::fault::{At, Faults};
use crate::plan::model::{Case, Expect, Load, Request, Signature, Suite, SuiteKind};
use crate::plan::scalar;
use crate::plan::shape::{Key, Kind, Shape, may, need};
use crate::plan::source::Source;
use crate::plan::table::Table;
use crate::plan::usual::{Literal, Range};

pub(super) static SUITE: Shape = Shape {
    what: "a suite",
    about: "Cases that a step, a criterion or `ctx test` runs together. `id`, `kind` and `case` are \
            needed, here or in the file that `file` names; [testing.md](testing.md) says how they \
            are judged.",
    keys: &[
        may("id", Kind::Name, "a name, unique within the plan").otherwise("that of `file`"),
        KIND.otherwise("that of `file`"),
        may("case", Kind::Tables(&CASE), "requests, and what must come back")
            .otherwise("those of `file`"),
        may("load", Kind::Table(&LOAD), "load drawn from the cases in turn"),
        may("file", Kind::Text, "a file with all of this, instead; below the plan's folder").more(
            "It has the keys of one suite on top: `id`, `kind`, `[[case]]`, `[load]`. It is a part \
             of the phases that use it.",
        ),
    ],
};

/// What a suite is for, in both shapes.
const KIND: Key = may(
    "kind",
    Kind::Choice(&["functional", "performance", "integration", "load"]),
    "what the suite is for",
)
.more("`performance` and `load` need a `load`, and are judged by its thresholds too.");

/// A suite in a file of its own.
static SUITE_FILE: Shape = Shape {
    what: "a suite",
    about: SUITE.about,
    keys: &[
        need("id", Kind::Name, "a name, unique within the plan"),
        Key { required: true, ..KIND },
        need("case", Kind::Tables(&CASE), "requests, and what must come back"),
        may("load", Kind::Table(&LOAD), "load drawn from the cases in turn"),
    ],
};

static CASE: Shape = Shape {
    what: "a case",
    about: "A request to the orchestrator's gateway, and what must come back.",
    keys: &[
        need("name", Kind::Text, "what it shows, in a few words"),
        may("method", Kind::Choice(&METHODS), "the HTTP method")
            .otherwise("POST with a `body`, else GET"),
        need("path", Kind::Text, "a path of the data plane, or `control:` and a path"),
        may("headers", Kind::Map(&Kind::Text), "header names and values"),
        may("body", Kind::Any, "a text, or a table that is sent as JSON"),
        may(
            "sign_as",
            Kind::Choice(&["linear", "github", "slack"]),
            "signs as this platform, with a fresh delivery id",
        )
        .more("With the secret of the platform's route, where the configuration names one."),
        may(
            "signature",
            Kind::Choice(&["right", "wrong", "other-bytes", "stale", "missing"]),
            "how the signature is spoilt, so that it must be refused",
        )
        .usually(Literal::Word("right"))
        .more("Beside `sign_as` only; `stale` for Slack and Linear, which sign the time."),
        may("repeat", Kind::Bool, "sends the same delivery again; both answers must be alike")
            .usually(Literal::Bool(false)),
        may("expect", Kind::Table(&EXPECT), "what must come back").otherwise("its `status`"),
    ],
};

static EXPECT: Shape = Shape {
    what: "`expect`",
    about: "All of it must be so.",
    keys: &[
        may("status", Kind::Count, "the status")
            .otherwise("200, or 401 when spoilt")
            .within(Range::Between(Literal::Count(100), Literal::Count(599)))
            .more("An event whose `signature` is not `right` must be refused with 401."),
        may("contains", Kind::Texts, "texts that the body must contain"),
        may("headers", Kind::Map(&Kind::Text), "headers, and a text that each must contain"),
        may("json", Kind::Map(&Kind::Any), "JSON pointers, and the value that must stand there"),
    ],
};

static LOAD: Shape = Shape {
    what: "`load`",
    about: "Requests at a constant rate, whatever the service does, drawn from the cases in turn.",
    keys: &[
        need("rate", Kind::Number, "requests a second").within(Range::AboveZero),
        need("lasts", Kind::Duration, "for how long")
            .within(Range::AboveZero)
            .more("In a rehearsal at most two seconds."),
        may("thresholds", Kind::Map(&Kind::Table(&THRESHOLD)), "bounds on what the load sees"),
    ],
};

static THRESHOLD: Shape = Shape {
    what: "a threshold",
    about: "NAME is a metric that the load sees by itself, `error_rate`, `latency_p50`, \
            `latency_p95`, `latency_p99` or `throughput`, or one of the orchestrator's machine, \
            `cpu` or `memory`. It has one bound, `max` or `min`.",
    keys: &[
        may("max", Kind::Limit, "the most that the metric may be"),
        may("min", Kind::Limit, "the least that the metric may be"),
    ],
};

const SIGNATURES: [(&str, Signature); 5] = [
    ("right", Signature::Right),
    ("wrong", Signature::Wrong),
    ("other-bytes", Signature::OtherBytes),
    ("stale", Signature::Stale),
    ("missing", Signature::Missing),
];

const KINDS: [(&str, SuiteKind); 4] = [
    ("functional", SuiteKind::Functional),
    ("performance", SuiteKind::Performance),
    ("integration", SuiteKind::Integration),
    ("load", SuiteKind::Load),
];

/// The metrics that a load generator sees by itself, and those of the machine that it asks for.
const SEEN: [Metric; 7] = [
    Metric::ErrorRate,
    Metric::LatencyP50,
    Metric::LatencyP95,
    Metric::LatencyP99,
    Metric::Throughput,
    Metric::Cpu,
    Metric::Memory,
];

/// Reads one suite.
pub(super) fn suite(table: &Table<'_>, read: ReadFile<'_>) -> Item<SuiteId, Suite> {
    let keys = SUITE_FILE.keys.iter();
    if table.has("file") {
        for key in keys.filter(|key| table.has(key.name)) {
            let message = format!("`{}` has no meaning beside `file`", key.name);
            table.faults.hinted(table.key_span(key.name), message, "it stands in the file");
        }
        return in_file(table, read);
    }
    let missing = |key: &&Key| key.required && !table.has(key.name) && !table.faults.is_broken();
    for key in keys.filter(missing) {
        let message = format!("a suite needs `{}`, or `file`", key.name);
        table.faults.hinted(table.span(), message, format!("`{}`: {}", key.name, key.doc));
    }
    whole(table)
}

/// Reads a suite from the file that `table` names.
fn in_file(table: &Table<'_>, read: ReadFile<'_>) -> Item<SuiteId, Suite> {
    let missing = || Item { id: stand_in(table.span()), body: None };
    let Some(file) = table.text("file").filter(|file| inside(file, table.faults).is_some()) else {
        return missing();
    };
    let text = match read(file.get_ref()) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("failed to read the suite `{}`: {error}", file.get_ref());
            table.faults.push(file.span(), message);
            // Most files are called what their suite is: naming it elsewhere is no second fault.
            let stem =
                file.get_ref().rsplit('/').next().and_then(|name| name.strip_suffix(".toml"));
            let id = stem.and_then(|stem| stem.parse().ok());
            return id.map_or_else(missing, |id| Item { id: file.with(id), body: None });
        }
    };
    let name = beside(table.faults.file(), file.get_ref());
    let source = Source::new(&name, &text);
    let mut faults = Faults::new(&source);
    let (document, errors) = DeTable::parse_recoverable(&text);
    if let Some((at, what)) = cap::exceeded(document.get_ref()) {
        faults.hinted(at, what, "split it into several suites");
        table.faults.adopt(&file.span(), faults.into_sorted());
        return missing();
    }
    faults.syntax(&errors);
    let Item { id, body } = whole(&Table::of(document.get_ref(), 0..0, &SUITE_FILE, &faults));
    let body = body.filter(|_| faults.is_empty());
    table.faults.adopt(&file.span(), faults.into_sorted());
    Item { id: file.with(id.into_inner()), body }
}

fn whole(table: &Table<'_>) -> Item<SuiteId, Suite> {
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
    let signature = signature(table);
    let usual = if signature == Signature::Right { 200 } else { 401 };
    let expected = match table.table("expect") {
        Some(table) => expect(&table, usual),
        None => Some(Expect { status: usual, contains: vec![], headers: vec![], json: vec![] }),
    };
    let repeat = table.truth("repeat");
    let name = table.string("name");
    let url = table.text("path").filter(|url| path(url, table.faults).is_some())?;
    let url = (*url.get_ref()).to_owned();
    let request = Request { method: method?, url, headers, body };
    Some(Case { name: name?, request, sign_as, signature, repeat, expect: expected? })
}

/// Reads how the signature is made, which must be one that its platform can refuse.
fn signature(table: &Table<'_>) -> Signature {
    let signature = table.chosen("signature", &SIGNATURES);
    if signature == Signature::Right {
        return signature;
    }
    let platforms = Platform::ALL.map(|platform| (platform.name(), platform));
    let signs = table.has("sign_as").then(|| table.choice("sign_as", &platforms));
    match signs {
        None => {
            let hint = "name the platform that is imitated: `sign_as = \"github\"`";
            let message = "`signature` has no meaning without `sign_as`";
            table.faults.hinted(table.key_span("signature"), message, hint);
        }
        Some(Some(Platform::Github)) if signature == Signature::Stale => {
            let hint = "GitHub signs no time, so nobody can tell; Slack and Linear do";
            let message = "a signature of `github` cannot be stale";
            table.faults.hinted(table.key_span("signature"), message, hint);
        }
        Some(_) => {}
    }
    signature
}

fn expect(table: &Table<'_>, usual: u16) -> Option<Expect> {
    let status = table.count("status").map_or(Some(usual), |given| {
        let fits = table.within("status", Literal::Count(*given.get_ref()));
        let status = u16::try_from(*given.get_ref()).ok().filter(|_| fits);
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
        let some = table.within("rate", Literal::Number(*given.get_ref()));
        if !some {
            table.faults.push(given.span(), "`rate` must be more than zero");
        }
        some.then_some(*given.get_ref())
    });
    let lasts = table.duration("lasts").and_then(|given| {
        let some = table.within("lasts", Literal::Lasts(*given.get_ref()));
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
                let message = format!("a load is not judged by `{}`", metric.get_ref());
                let hint = "use error_rate, latency_p50, latency_p95, latency_p99, throughput, cpu \
                            or memory";
                table.faults.hinted(metric.span(), message, hint);
            }
            let bounds = Table::open(value, &THRESHOLD, table.faults)?;
            Some((*metric.get_ref(), limit(&bounds, Some(&name.with(*metric.get_ref())))?))
        })
        .collect();
    let thresholds = thresholds.into_iter().collect::<Option<Vec<_>>>();
    Some(Load { rate: rate?, lasts: lasts?, thresholds: thresholds? })
}
