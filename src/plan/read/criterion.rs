//! `[[criterion]]` and `[[phase.criterion]]`, and the limits that guards share with them.

use std::time::Duration;

use toml::Spanned;

use super::id;
use crate::ids::SuiteId;
use crate::judge::{Limit, Metric};
use crate::plan::draft::{DraftCriterion, Item};
use crate::plan::model::{Category, Criterion, CriterionCheck};
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::table::Table;

pub(super) static CRITERION: Shape = Shape {
    what: "a criterion",
    keys: &[
        need("id", Kind::Name, "a name, unique within the plan"),
        may("title", Kind::Text, "what it asks, in a few words"),
        may(
            "category",
            Kind::Choice(&["performance", "reliability", "functionality"]),
            "what it is about; by default what its metric is about",
        ),
        may("metric", Kind::Metric, "what is measured"),
        may("max", Kind::Limit, "the most that it may be"),
        may("min", Kind::Limit, "the least that it may be"),
        may("window", Kind::Duration, "the time, up to now, that is looked at; 30s"),
        may("min_samples", Kind::Count, "fewer observations are inconclusive; 50"),
        may("suite", Kind::Name, "a suite whose cases must all pass, instead of a metric"),
    ],
};

/// Reads one criterion.
pub(super) fn criterion(table: &Table<'_>) -> DraftCriterion {
    let id = id(table);
    let suite: Option<Spanned<SuiteId>> = table.name("suite");
    let metric = table.metric("metric");
    let named = Category::ALL.map(|category| (category.name(), category));
    let category = table.choice("category", &named);
    let check = match (table.has("metric"), table.has("suite")) {
        (true, false) => measured(table, metric.as_ref()),
        (false, true) => {
            for key in ["max", "min", "window", "min_samples"] {
                if table.has(key) {
                    let message = format!("`{key}` has no meaning beside `suite`");
                    table.faults.push(table.key_span(key), message);
                }
            }
            suite.as_ref().map(|suite| CriterionCheck::Suite { suite: suite.get_ref().clone() })
        }
        (both, _) => {
            let message = if both { "asks two things" } else { "asks nothing" };
            let hint = "write `metric` with `max` or `min`, or `suite`";
            let message = format!("criterion `{}` {message}", id.get_ref());
            table.faults.hinted(
                if both { table.key_span("suite") } else { table.span() },
                message,
                hint,
            );
            None
        }
    };
    let category = category.unwrap_or_else(|| usual(metric.map(Spanned::into_inner)));
    let title = table.string("title");
    let body =
        check.map(|check| Criterion { id: Clone::clone(id.get_ref()), title, category, check });
    DraftCriterion { item: Item { id, body }, suite }
}

fn measured(table: &Table<'_>, metric: Option<&Spanned<Metric>>) -> Option<CriterionCheck> {
    let limit = limit(table, metric);
    let window = table.duration("window").map_or(Some(Duration::from_secs(30)), |given| {
        let window = *given.get_ref();
        if window.is_zero() {
            table.faults.push(given.span(), "`window` must be longer than zero");
        }
        (!window.is_zero()).then_some(window)
    });
    let min_samples = table.count("min_samples").map_or(50, Spanned::into_inner);
    let (metric, limit, window) = (*metric?.get_ref(), limit?, window?);
    Some(CriterionCheck::Metric { metric, limit, min_samples, window })
}

/// What a criterion is about unless it says so.
fn usual(metric: Option<Metric>) -> Category {
    match metric {
        Some(Metric::Uptime | Metric::Mttr | Metric::Mtbf | Metric::Healthy) => {
            Category::Reliability
        }
        None | Some(Metric::Parity) => Category::Functionality,
        Some(_) => Category::Performance,
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
