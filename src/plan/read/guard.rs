//! `[guards]`.

use std::time::Duration;

use toml::Spanned;

use super::measure::{Server, UNIT, UNIT_MORE, measured};
use crate::ids::GuardId;
use crate::judge::metric::KEPT;
use crate::judge::{Measure, promql};
use crate::plan::model::{Guard, OnNoData};
use crate::plan::shape::{Kind, Shape, may};
use crate::plan::table::Table;
use crate::plan::usual::{Literal, Range};

pub(super) static GUARD: Shape = Shape {
    what: "a guard",
    about: "What must hold from a phase's first step until it is confirmed; a breach takes the \
            phase back at once. NAME is how phases, messages and reports call it. It measures one \
            thing, `metric` or `query`, within one bound, `max` or `min`. [guards.md](guards.md) \
            says how it is judged.",
    keys: &[
        may("metric", Kind::Metric, "what is measured, by the orchestrator itself"),
        may("query", Kind::Query, "what is measured, as a query that comes to one number"),
        may("from", Kind::Text, "the server under `[metrics]` that is asked")
            .otherwise("the only one"),
        may("unit", UNIT, "what the query's number is").otherwise("as the bound").more(UNIT_MORE),
        may("max", Kind::Limit, "the most that it may be"),
        may("min", Kind::Limit, "the least that it may be"),
        may("for", Kind::Count, "consecutive breaches that make it fail")
            .usually(Literal::Count(3))
            .within(Range::From(Literal::Count(1)))
            .more("On samples that share no observation, so that a request counts once."),
        may("min_samples", Kind::Count, "fewer observations are inconclusive")
            .usually(Literal::Count(50))
            .more(
                "Beside `metric` only; a query comes to nothing where there is too little to \
                 judge. On a quiet service let `every` be longer rather than this smaller.",
            ),
        may("every", Kind::Duration, "time from one look to the next")
            .otherwise("1s, or the query's")
            .within(Range::AboveZero)
            .more(
                "Also the least width of a sample. A query is asked as often as the range that it \
                 looks back over, or every 15s, and not more often; a metric that counts answers \
                 at least every 10m.",
            ),
        may("patience", Kind::Duration, "how long it may stay inconclusive")
            .usually(Literal::Lasts(Duration::from_secs(5 * 60))),
        may("on_no_data", Kind::Choice(&["fail", "ignore"]), "what it does after that")
            .usually(Literal::Word("fail"))
            .more("`fail` takes the phase back, `ignore` goes on without this guard."),
    ],
};

/// How often the orchestrator's own metrics are looked at unless the guard says so.
const LOOK: Duration = Duration::from_secs(1);

/// How often a query is asked that does not look back over a range.
const SCRAPE: Duration = Duration::from_secs(15);

const ON_NO_DATA: [(&str, OnNoData); 2] = [("fail", OnNoData::Fail), ("ignore", OnNoData::Ignore)];

/// Reads one guard.
pub(super) fn guard(id: &Spanned<GuardId>, table: &Table<'_>, servers: &[Server]) -> Option<Guard> {
    let breaches = table.count("for").map_or_else(
        || Some(table.usual_count("for")),
        |given| {
            let count = *given.get_ref();
            let breaches = table.within("for", Literal::Count(count)).then_some(count);
            if breaches.is_none() {
                let message = format!("`for` cannot be {}", given.get_ref());
                let hint = "it counts consecutive breaches: 3 is usual, 1 the least";
                table.faults.hinted(given.span(), message, hint);
            }
            breaches
        },
    );
    let measured = measured(&format!("guard `{}`", id.get_ref()), table, servers);
    let every = match &measured {
        Some((measure, _)) => every(table, measure),
        None => None,
    };
    let min_samples = if table.has("query") { 0 } else { table.counted("min_samples") };
    let patience = table.lasting("patience");
    let on_no_data = table.chosen("on_no_data", &ON_NO_DATA);
    let (measure, limit) = measured?;
    Some(Guard {
        id: id.get_ref().clone(),
        measure,
        limit,
        breaches: u32::try_from(breaches?).unwrap_or(u32::MAX),
        min_samples,
        every: every?,
        on_no_data,
        patience,
    })
}

/// The time from one look to the next, which keeps samples apart and whole.
fn every(table: &Table<'_>, measure: &Measure) -> Option<Duration> {
    let range = measure.query().map(|query| promql::selected(&query.query).range);
    let usual = match range {
        None => LOOK,
        Some(range) => range.unwrap_or(SCRAPE),
    };
    let Some(given) = table.duration("every") else { return Some(usual) };
    let every = *given.get_ref();
    let shown = crate::units::duration::format;
    if !table.within("every", Literal::Lasts(every)) {
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
