//! `[[criterion]]` and `[[phase.criterion]]`.

use std::time::Duration;

use toml::Spanned;

use super::id;
use super::measure::{Server, UNIT, UNIT_MORE, measured};
use crate::ids::SuiteId;
use crate::judge::{Measure, Metric};
use crate::plan::draft::{DraftCriterion, Item};
use crate::plan::model::{Category, Criterion, CriterionCheck};
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::table::Table;
use crate::plan::usual::{Literal, Range};

pub(super) static CRITERION: Shape = Shape {
    what: "a criterion",
    about: "What must be true for a phase, or the whole migration, to count as done. It asks one \
            thing: `metric` or `query` with `max` or `min`, or `suite`. What cannot be known is \
            inconclusive, and no success. `ctx validate` judges all of them.",
    keys: &[
        need("id", Kind::Name, "a name, unique within the plan"),
        may("title", Kind::Text, "what it asks, in a few words"),
        may(
            "category",
            Kind::Choice(&["performance", "reliability", "functionality"]),
            "what it is about, for reports",
        )
        .otherwise("as its metric")
        .more("`functionality` for a suite and `parity`, `performance` for a query."),
        may("metric", Kind::Metric, "what is measured, by the orchestrator itself"),
        may("query", Kind::Query, "what is measured, as a query that comes to one number"),
        may("from", Kind::Text, "the server under `[metrics]` that is asked")
            .otherwise("the only one"),
        may("unit", UNIT, "what the query's number is").otherwise("as the bound").more(UNIT_MORE),
        may("max", Kind::Limit, "the most that it may be"),
        may("min", Kind::Limit, "the least that it may be"),
        may("window", Kind::Duration, "the time, up to now, that is looked at")
            .usually(Literal::Lasts(Duration::from_secs(30)))
            .within(Range::AboveZero)
            .more("Beside `metric` only: a query says itself how far back it looks."),
        may("min_samples", Kind::Count, "fewer observations are inconclusive")
            .usually(Literal::Count(50))
            .more("Beside `metric` only. Metrics that count nothing, such as `cpu`, have none."),
        may("suite", Kind::Name, "a suite that must pass, instead of a metric"),
    ],
};

/// What has a meaning for a number only.
const OF_NUMBERS: [&str; 6] = ["from", "unit", "max", "min", "window", "min_samples"];

/// Reads one criterion.
pub(super) fn criterion(table: &Table<'_>, servers: &[Server]) -> DraftCriterion {
    let id = id(table);
    let suite: Option<Spanned<SuiteId>> = table.name("suite");
    let named = Category::ALL.map(|category| (category.name(), category));
    let category = table.choice("category", &named);
    let check = if table.has("metric") || table.has("query") {
        if table.has("suite") {
            let message = format!("criterion `{}` asks two things", id.get_ref());
            table.faults.hinted(table.key_span("suite"), message, HINT);
        }
        number(&format!("criterion `{}`", id.get_ref()), table, servers)
    } else if table.has("suite") {
        for key in OF_NUMBERS.into_iter().filter(|key| table.has(key)) {
            let message = format!("`{key}` has no meaning beside `suite`");
            table.faults.push(table.key_span(key), message);
        }
        suite.as_ref().map(|suite| CriterionCheck::Suite { suite: suite.get_ref().clone() })
    } else {
        let message = format!("criterion `{}` asks nothing", id.get_ref());
        table.faults.hinted(table.span(), message, HINT);
        None
    };
    let category = category.unwrap_or_else(|| usual(check.as_ref()));
    let title = table.string("title");
    let body =
        check.map(|check| Criterion { id: Clone::clone(id.get_ref()), title, category, check });
    DraftCriterion { item: Item { id, body }, suite }
}

const HINT: &str = "write `metric` or `query` with `max` or `min`, or `suite`";

fn number(who: &str, table: &Table<'_>, servers: &[Server]) -> Option<CriterionCheck> {
    let measured = measured(who, table, servers);
    if table.has("query") {
        if table.has("window") {
            let hint = "a query says itself how far back it looks: `rate(all[5m])`";
            let message = "`window` has no meaning beside `query`";
            table.faults.hinted(table.key_span("window"), message, hint);
        }
        let (measure, limit) = measured?;
        return Some(CriterionCheck::Metric {
            measure,
            limit,
            min_samples: 0,
            window: Duration::ZERO,
        });
    }
    let window = table.lasting_within("window", "`window` must be longer than zero");
    let min_samples = table.counted("min_samples");
    let ((measure, limit), window) = (measured?, window?);
    Some(CriterionCheck::Metric { measure, limit, min_samples, window })
}

/// What a criterion is about unless it says so.
fn usual(check: Option<&CriterionCheck>) -> Category {
    let Some(CriterionCheck::Metric { measure, .. }) = check else {
        return Category::Functionality;
    };
    match measure {
        Measure::Own(Metric::Uptime | Metric::Mttr | Metric::Mtbf | Metric::Healthy) => {
            Category::Reliability
        }
        Measure::Own(Metric::Parity) => Category::Functionality,
        Measure::Own(_) | Measure::Query(_) => Category::Performance,
    }
}
