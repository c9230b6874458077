//! `[guards]`.

use std::time::Duration;

use toml::Spanned;

use super::measure::{Server, UNIT, measured};
use crate::ids::GuardId;
use crate::judge::metric::KEPT;
use crate::judge::{Measure, promql};
use crate::plan::model::{Guard, OnNoData};
use crate::plan::shape::{Kind, Shape, may};
use crate::plan::table::Table;

pub(super) static GUARD: Shape = Shape {
    what: "a guard",
    keys: &[
        may("metric", Kind::Metric, "what is measured, by the orchestrator itself"),
        may("query", Kind::Query, "what is measured, as a query that comes to one number"),
        may("from", Kind::Text, "the server under `[metrics]` that is asked; the only one"),
        may("unit", UNIT, "what the query's number is; by default as the bound is written"),
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

/// How often a query is asked that does not look back over a range.
const SCRAPE: Duration = Duration::from_secs(15);

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
    let measured = measured(&format!("guard `{}`", id.get_ref()), table, servers);
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
