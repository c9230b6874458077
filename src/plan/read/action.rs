//! The one action of a step.
//!
//! How to add one: its variant in `model::Action`, its key in `step::STEP` and in [`ACTIONS`],
//! and its reader in [`action`].

use std::time::Duration;

use toml::Spanned;

use super::call::call;
use super::plan::{absolute_http, inside};
use super::{ReadFile, manifest};
use crate::control::document::Assignment;
use crate::ids::{ExtensionId, SuiteId};
use crate::plan::draft::{DraftAction, Mark};
use crate::plan::model::{Action, Argv, Compare};
use crate::plan::scalar;
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::source::Span;
use crate::plan::table::Table;
use crate::plan::usual::{Literal, Range};
use crate::units::Percent;

/// The keys of a step that are actions. `soak` is one too, where there is no other.
pub(super) const ACTIONS: [&str; 10] =
    ["set", "ramp", "canary", "install", "uninstall", "test", "run", "call", "backup", "approve"];

/// How long a program or a request may take unless it says so.
pub(super) const TIMEOUT: Literal = Literal::Lasts(Duration::from_secs(5 * 60));

/// What a canary is compared by unless it says so.
const COMPARE: Compare = Compare::USUAL;

/// A canary may not have to be faster than the control.
const AS_SLOW: Range = Range::From(Literal::Number(1.0));

pub(super) static RAMP: Shape = Shape {
    what: "`ramp`",
    about: "Each percentage is a part of the step with a soak of its own. A sender that is in at \
            5% stays in at 25%. Undone, the flag is what it was before.",
    keys: &[
        need("flag", Kind::Text, "the feature flag; it is enabled too")
            .more("One of the configuration's `flags`; [flags.md](flags.md) says what each does."),
        need("to", Kind::Shares, "its percentages, rising"),
        may("soak", Kind::Duration, "how long the guards are watched after each")
            .otherwise("the step's"),
    ],
};

pub(super) static CANARY: Shape = Shape {
    what: "`canary`",
    about: "A second version serves beside the first, and both are compared at the same time: \
            [canary.md](canary.md) says how. It is one of `upstream` and `extension`.",
    keys: &[
        may("upstream", Kind::Name, "the name of the second upstream"),
        may("extension", Kind::Text, "the manifest of an extension's new version")
            .more("Relative to the plan. At 100% it is installed in the place of the old one."),
        may("url", Kind::Url, "its URL, where the configuration has none of this name"),
        need("to", Kind::Shares, "its share of the traffic, rising"),
        may("soak", Kind::Duration, "how long both are compared after each, at least")
            .otherwise("the step's"),
        may("max_error_increase", Kind::Share, "by how much its share of failures may be higher")
            .usually(Literal::Share(COMPARE.max_error_increase))
            .more("In points: with `1%`, 3% may become 4%."),
        may("max_latency_ratio", Kind::Number, "how many times as slow it may typically be")
            .usually(Literal::Number(COMPARE.max_latency_ratio))
            .within(AS_SLOW),
        may("max_tail_ratio", Kind::Number, "how many times as slow its 95th percentile may be")
            .usually(Literal::Number(COMPARE.max_tail_ratio))
            .within(AS_SLOW),
        may("min_samples", Kind::Count, "with fewer requests on a side the share does not rise")
            .usually(Literal::Count(COMPARE.min_samples)),
    ],
};

pub(super) static RUN: Shape = Shape {
    what: "`run`",
    about: "Started where `ctx` was started, under the guards; not run in a rehearsal. It must be \
            safe to run twice: after a crash nobody knows how far it came, and it is run again. So \
            must its `undo`, which may not depend on anything that the `do` removes.",
    keys: &[
        need("do", Kind::Texts, "the program and its arguments").more("No shell reads them."),
        may("undo", Kind::Texts, "the program that reverses it")
            .more("Needed, unless the step or its phase says `irreversible = true`."),
        may("timeout", Kind::Duration, "how long each may take")
            .usually(TIMEOUT)
            .within(Range::AboveZero)
            .more("Then it is ended with all that it has started, and the step has failed."),
    ],
};

/// An action, and the soak that it says itself.
type Read = (Option<DraftAction>, Option<Duration>);

/// Reads the action `key` of a step.
pub(super) fn action(step: &Table<'_>, key: &str, read: ReadFile<'_>) -> Read {
    let span = step.entry_span(key);
    let made = |action, marks| Some(DraftAction { action, span: span.clone(), marks });
    let plain = |action: Option<Action>| (action.and_then(|action| made(action, Vec::new())), None);
    match key {
        "set" => {
            let (action, marks) = set(step);
            (action.and_then(|action| made(action, marks)), None)
        }
        "ramp" => ramp(step, span),
        "canary" => canary(step, span, read),
        "install" => {
            let Some(file) = step.text("install") else { return (None, None) };
            let assignment = install(&file, step, read);
            let marks = vec![Mark::of(file.span())];
            (assignment.and_then(|a| made(Action::Install { assignment: a }, marks)), None)
        }
        "uninstall" => {
            let Some(id) = step.name::<ExtensionId>("uninstall") else { return (None, None) };
            let path = format!("extensions.{}", id.get_ref());
            let assignment = Assignment { path, value: serde_json::Value::Null };
            (made(Action::Uninstall { assignment }, vec![Mark::of(id.span())]), None)
        }
        "test" => {
            let suites = step.names::<SuiteId>("test");
            let marks = suites.iter().map(|suite| Mark::of(suite.span())).collect();
            if step.is_empty("test") {
                step.faults.push(span.clone(), "`test` names no suite");
            }
            let suites = suites.into_iter().map(Spanned::into_inner).collect();
            (made(Action::Test { suites }, marks), None)
        }
        "run" => plain(run(step)),
        "call" => plain(call(step)),
        "approve" => plain(step.string("approve").map(|prompt| Action::Approve { prompt })),
        // The one that is left of `ACTIONS`.
        _ => plain(backup(step)),
    }
}

fn set(step: &Table<'_>) -> (Option<Action>, Vec<Mark>) {
    let (mut assignments, mut marks) = (Vec::new(), Vec::new());
    let entries = step.map("set");
    let count = entries.len();
    for (path, value) in entries {
        let Some(json) = scalar::json(value, step.faults) else { continue };
        assignments.push(Assignment { path: (*path.get_ref()).to_owned(), value: json });
        marks.push(Mark { name: path.span(), value: value.span() });
    }
    if step.is_empty("set") {
        step.faults.push(step.entry_span("set"), "`set` assigns nothing");
    }
    let whole = count > 0 && assignments.len() == count;
    (whole.then_some(Action::Set { assignments }), marks)
}

fn ramp(step: &Table<'_>, span: Span) -> Read {
    let Some(table) = step.table("ramp") else { return (None, None) };
    let soak = table.duration("soak").map(Spanned::into_inner);
    let (flag, to) = (table.text("flag"), rising(&table));
    let action = flag.zip(to).map(|(flag, to)| {
        let action = Action::Ramp { flag: (*flag.get_ref()).to_owned(), to };
        DraftAction { action, span, marks: vec![Mark::of(flag.span())] }
    });
    (action, soak)
}

/// What a canary is, and where the plan names it.
struct Beside {
    upstream: String,
    next: Option<Assignment>,
    named: Span,
}

/// Reads `upstream` or `extension`, of which there must be one.
fn beside(table: &Table<'_>, read: ReadFile<'_>) -> Option<Beside> {
    match (table.has("upstream"), table.has("extension")) {
        (true, false) => {
            let upstream = table.word("upstream")?;
            let named = upstream.span();
            Some(Beside { upstream: upstream.into_inner(), next: None, named })
        }
        (false, true) => {
            if table.has("url") {
                let message = "`url` is an upstream's, and this is an extension";
                table.faults.push(table.entry_span("url"), message);
                return None;
            }
            let file = table.text("extension")?;
            let next = install(&file, table, read)?;
            let id = next.path.trim_start_matches("extensions.");
            let version = next.value["version"].as_str().unwrap_or_default();
            let upstream = format!("{id}@{version}");
            Some(Beside { upstream, next: Some(next), named: file.span() })
        }
        (both, _) => {
            let message = if both {
                "`upstream` and `extension` exclude each other"
            } else {
                "`canary` needs `upstream` or `extension`"
            };
            table.faults.push(table.entry_span(if both { "extension" } else { "to" }), message);
            None
        }
    }
}

fn canary(step: &Table<'_>, span: Span, read: ReadFile<'_>) -> Read {
    let Some(table) = step.table("canary") else { return (None, None) };
    let soak = table.duration("soak").map(Spanned::into_inner);
    let hint = "1.5 lets a typical answer of the canary take half as long again";
    let max_latency_ratio = ratio(&table, "max_latency_ratio", hint);
    let hint = "2.0 lets one answer in twenty take twice as long as the control's";
    let max_tail_ratio = ratio(&table, "max_tail_ratio", hint);
    let max_error_increase = table.ratio("max_error_increase");
    let min_samples = table.counted("min_samples");
    let url = table.text("url");
    let url_is_good = url.as_ref().is_none_or(|url| absolute_http(url, table.faults).is_some());
    let beside = beside(&table, read);
    let to = rising(&table);
    let action = || {
        let (Beside { upstream, next, named }, to) = (beside?, to?);
        let compare = Compare {
            max_error_increase,
            max_latency_ratio: max_latency_ratio?,
            max_tail_ratio: max_tail_ratio?,
            min_samples,
        };
        let marks = vec![Mark::of(named)];
        let url = url.map(|url| url.get_ref().trim_end_matches('/').to_owned());
        let action = Action::Canary { upstream, url, to, compare, next };
        url_is_good.then_some(DraftAction { action, span, marks })
    };
    (action(), soak)
}

/// Reads how many times as long something may take.
fn ratio(table: &Table<'_>, key: &'static str, hint: &str) -> Option<f64> {
    let Some(given) = table.number(key) else { return Some(table.usual_number(key)) };
    let fair = table.within(key, Literal::Number(*given.get_ref()));
    if !fair {
        table.faults.hinted(given.span(), format!("`{key}` must be at least 1"), hint);
    }
    fair.then_some(*given.get_ref())
}

/// Reads `to`: percentages that rise.
fn rising(table: &Table<'_>) -> Option<Vec<Percent>> {
    if !table.has("to") {
        return None;
    }
    let shares = table.shares("to");
    if table.is_empty("to") {
        table.faults.push(table.entry_span("to"), "`to` has no percentages");
    }
    for pair in shares.windows(2) {
        let (before, after) = (pair[0].get_ref(), pair[1].get_ref());
        if after <= before {
            let message = format!("{after} does not rise above the {before} before it");
            let hint = "each part exposes more than the last; going back is what a rollback does";
            table.faults.hinted(pair[1].span(), message, hint);
        }
    }
    let zero = shares.first().filter(|share| *share.get_ref() == Percent::ZERO);
    if let Some(zero) = zero {
        table.faults.push(zero.span(), "a first part of 0% changes nothing");
    }
    Some(shares.into_iter().map(Spanned::into_inner).collect())
}

fn install(file: &Spanned<&str>, step: &Table<'_>, read: ReadFile<'_>) -> Option<Assignment> {
    inside(file, step.faults)?;
    let text = match read(file.get_ref()) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("failed to read the manifest `{}`: {error}", file.get_ref());
            step.faults.push(file.span(), message);
            return None;
        }
    };
    manifest::manifest(file, &text, step.faults)
}

fn run(step: &Table<'_>) -> Option<Action> {
    let table = step.table("run")?;
    let timeout = timeout(&table);
    let command = argv(&table, "do");
    let undo = if table.has("undo") { Some(argv(&table, "undo")?) } else { None };
    Some(Action::Run { command: command?, undo, timeout: timeout? })
}

fn argv(table: &Table<'_>, key: &str) -> Option<Argv> {
    if !table.has(key) {
        return None;
    }
    let given = table.texts(key);
    if table.is_empty(key) {
        let hint = "name the program first, then each argument: `[\"alembic\", \"upgrade\"]`";
        table.faults.hinted(table.entry_span(key), format!("`{key}` names no program"), hint);
        return None;
    }
    if let Some(program) = given.first().filter(|program| program.get_ref().trim().is_empty()) {
        table.faults.push(program.span(), "the program's name is empty");
        return None;
    }
    if let Some(odd) = given.iter().find(|text| text.get_ref().contains('\0')) {
        table.faults.push(odd.span(), "an argument cannot hold a zero byte");
        return None;
    }
    Some(given.into_iter().map(|text| (*text.get_ref()).to_owned()).collect())
}

/// Reads `timeout`, which must leave some time.
pub(super) fn timeout(table: &Table<'_>) -> Option<Duration> {
    table.lasting_within("timeout", "a timeout of zero leaves no time")
}

fn backup(step: &Table<'_>) -> Option<Action> {
    let wanted = step.bool("backup")?;
    if !*wanted.get_ref() {
        let hint = "leave the step out to take no backup; every phase begins with its own";
        step.faults.hinted(wanted.span(), "`backup = false` does nothing", hint);
    }
    wanted.get_ref().then_some(Action::Backup)
}
