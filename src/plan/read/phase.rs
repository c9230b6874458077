//! `[[phase]]`, with its milestones.

use super::criterion::{CRITERION, criterion};
use super::days::days;
use super::measure::Server;
use super::step::{STEP, step};
use super::{ReadFile, id};
use crate::plan::draft::{DraftMilestone, DraftPhase};
use crate::plan::model::OnFailure;
use crate::plan::shape::{Kind, Shape, may, need};
use crate::plan::table::Table;
use crate::plan::usual::Literal;

pub(super) static PHASE: Shape = Shape {
    what: "a phase",
    about: "What is migrated, and rolled back, together. Phases are run in the order of the file, \
            `ctx migrate phase 1` first; none begins before those above it are done.",
    keys: &[
        need("id", Kind::Name, "a name, unique within the plan"),
        may("title", Kind::Text, "what the phase is, in a few words").otherwise("the id"),
        may("objective", Kind::Text, "what it is for"),
        may("days", Kind::Days, "first and last day of the timeline, such as `15-28`")
            .more("For the timeline of reports; nothing waits for a day. Phases may not overlap."),
        may(
            "on_failure",
            Kind::Choice(&["rollback-phase", "rollback-all", "hold"]),
            "what happens when a step, guard or criterion fails",
        )
        .usually(Literal::Word("rollback-phase"))
        .more(
            "`rollback-phase` undoes this phase, `rollback-all` this one and all before it. `hold` \
             reverts what is provisional and stops, for a person to decide.",
        ),
        may("criteria", Kind::Names, "criteria of the plan that this phase must meet").more(
            "They are judged once all steps are done, with those of the phase itself; one that \
             is not met is a failure of the phase.",
        ),
        may("without_guards", Kind::Names, "guards of the plan that do not hold in this phase"),
        may("irreversible", Kind::Bool, "whether its steps may lack an undo")
            .usually(Literal::Bool(false)),
        need("step", Kind::Tables(&STEP), "the steps, in order"),
        may("criterion", Kind::Tables(&CRITERION), "criteria of this phase"),
        may("milestone", Kind::Tables(&MILESTONE), "named signs of progress"),
    ],
};

static MILESTONE: Shape = Shape {
    what: "a milestone",
    about: "A sign of progress with a name, kept in the ledger and told to the alerts' sinks when \
            it is reached. `ctx milestone list` shows all of them.",
    keys: &[
        need("id", Kind::Name, "a name, unique within the plan"),
        need("title", Kind::Text, "what is reached"),
        may("days", Kind::Days, "first and last day of the timeline")
            .more("Within those of the phase."),
        may("after", Kind::Name, "the step of the phase whose end reaches it")
            .otherwise("the end of the phase"),
        may("when", Kind::Names, "criteria that must hold at that moment"),
    ],
};

const ON_FAILURE: [(&str, OnFailure); 3] = [
    ("rollback-phase", OnFailure::RollbackPhase),
    ("rollback-all", OnFailure::RollbackAll),
    ("hold", OnFailure::Hold),
];

/// Reads one phase.
pub(super) fn phase<'d>(
    table: &Table<'d>,
    servers: &[Server],
    read: ReadFile<'_>,
) -> DraftPhase<'d> {
    let id = id(table);
    let steps: Vec<_> = table.tables("step").iter().map(|table| step(table, read)).collect();
    if table.has("step") && steps.is_empty() {
        let message = format!("phase `{}` has no steps", id.get_ref());
        table.faults.push(table.key_span("step"), message);
    }
    DraftPhase {
        title: table.string("title"),
        objective: table.string("objective"),
        days: days(table),
        on_failure: table.chosen("on_failure", &ON_FAILURE),
        irreversible: table.bool("irreversible").filter(|b| *b.get_ref()).map(|b| b.span()),
        steps,
        criteria: table.tables("criterion").iter().map(|table| criterion(table, servers)).collect(),
        named: table.texts("criteria"),
        without_guards: table.texts("without_guards"),
        milestones: table.tables("milestone").iter().map(milestone).collect(),
        line: table.line(),
        id,
    }
}

fn milestone<'d>(table: &Table<'d>) -> DraftMilestone<'d> {
    DraftMilestone {
        id: id(table),
        title: table.string("title").unwrap_or_default(),
        days: days(table),
        after: table.text("after"),
        when: table.texts("when"),
    }
}
