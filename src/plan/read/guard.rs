//! `[guards]`.

use std::time::Duration;

use toml::Spanned;

use super::criterion::limit;
use crate::ids::GuardId;
use crate::plan::model::{Guard, OnNoData};
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::table::Table;

pub(super) static GUARD: Shape = Shape {
    what: "a guard",
    keys: &[
        need("metric", Kind::Metric, "what is measured"),
        may("max", Kind::Limit, "the most that it may be"),
        may("min", Kind::Limit, "the least that it may be"),
        may("for", Kind::Count, "consecutive breaches that make it fail; 3"),
        may("min_samples", Kind::Count, "fewer observations are inconclusive; 50"),
        may("every", Kind::Duration, "time from one look to the next; 1s"),
        may("patience", Kind::Duration, "how long it may stay inconclusive; 5m"),
        may("on_no_data", Kind::Choice(&["fail", "ignore"]), "what it does after that; fail"),
    ],
};

const ON_NO_DATA: [(&str, OnNoData); 2] = [("fail", OnNoData::Fail), ("ignore", OnNoData::Ignore)];

/// Reads one guard.
pub(super) fn guard(id: &Spanned<GuardId>, table: &Table<'_>) -> Option<Guard> {
    let breaches = table.count("for").map_or(Some(3), |given| {
        let breaches = u32::try_from(*given.get_ref()).ok().filter(|n| *n > 0);
        if breaches.is_none() {
            let message = format!("`for` cannot be {}", given.get_ref());
            let hint = "it counts consecutive breaches: 3 is usual, 1 the least";
            table.faults.hinted(given.span(), message, hint);
        }
        breaches
    });
    let every = table.duration("every").map_or(Some(Duration::from_secs(1)), |given| {
        let every = *given.get_ref();
        if every.is_zero() {
            table.faults.push(given.span(), "`every` must be longer than zero");
        }
        (!every.is_zero()).then_some(every)
    });
    let min_samples = table.count("min_samples").map_or(50, Spanned::into_inner);
    let patience =
        table.duration("patience").map_or(Duration::from_secs(5 * 60), Spanned::into_inner);
    let on_no_data = table.choice("on_no_data", &ON_NO_DATA).unwrap_or(OnNoData::Fail);
    let metric = table.metric("metric");
    let limit = limit(table, metric.as_ref());
    Some(Guard {
        id: id.get_ref().clone(),
        metric: metric?.into_inner(),
        limit: limit?,
        breaches: breaches?,
        min_samples,
        every: every?,
        on_no_data,
        patience,
    })
}
