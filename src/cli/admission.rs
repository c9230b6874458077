//! Whether a phase may run now.
//!
//! The ledger decides, alone: one phase is in flight at a time, phases are confirmed in order, and
//! what is on record was done under the plan as it stands. Whether the orchestrator is as the last
//! run left it is asked when it answers.

use crate::control::wire::State;
use crate::error::{Code, Failure, Result};
use crate::ids::RunId;
use crate::ledger::Reader;
use crate::ledger::fact::RunKind;
use crate::ledger::view::PhaseStatus;
use crate::plan::model::Phase;
use crate::plan::{Loaded, phase_hash};

/// Whether a phase may run now.
pub(super) enum Admission {
    /// It is confirmed, and the plan still says the same.
    Complete,
    /// It was begun and not ended.
    Resume(RunId),
    /// It may begin; and the hash of the configuration that the last run left, if there was one.
    Begin { expected: Option<String> },
}

/// Decides whether a phase may run, from the ledger alone.
pub(super) fn admit(ledger: &Reader, loaded: &Loaded, phase: &Phase) -> Result<Admission> {
    let plan = &loaded.plan;
    let rows = ledger.phases(&plan.name)?;
    let open = ledger.open_run()?;
    if let Some(open) = &open {
        let begun = ledger.begun(&open.run)?;
        let same = begun.plan == plan.name && begun.phase.id == phase.id;
        if !same || begun.kind != RunKind::Migrate {
            let (run, number, id) = (&open.run, begun.phase.number, &begun.phase.id);
            let (what, hint) = match begun.kind {
                RunKind::Migrate => (
                    "run",
                    format!(
                        "finish it with `ctx migrate phase {number}`, or undo it with `ctx rollback`"
                    ),
                ),
                RunKind::Rollback { .. } => {
                    ("rollback", "finish it with `ctx rollback`".to_owned())
                }
            };
            return Err(Failure::new(
                Code::Refused,
                format!("{what} {run} of phase {number} `{id}` has not ended"),
            )
            .why("one phase is in flight at a time")
            .hint(hint));
        }
        if begun.phase_hash != phase_hash(phase, &plan.guards_of(phase), &plan.suites) {
            return Err(edited(phase, "while its run is in flight"));
        }
        return Ok(Admission::Resume(open.run.clone()));
    }
    for row in rows.iter().filter(|row| row.status == PhaseStatus::Confirmed) {
        let now = plan.phases.iter().find(|p| p.id == row.phase);
        let same =
            now.is_some_and(|p| phase_hash(p, &plan.guards_of(p), &plan.suites) == row.phase_hash);
        if !same {
            let Some(now) = now else {
                return Err(Failure::new(
                    Code::PlanEdited,
                    format!("phase `{}` was applied and is no longer in the plan", row.phase),
                )
                .why("what the ledger records was done under another plan")
                .hint("put it back, or undo it with `ctx rollback`"));
            };
            return Err(edited(now, "after it was applied"));
        }
    }
    let confirmed =
        |id| rows.iter().any(|row| row.phase == id && row.status == PhaseStatus::Confirmed);
    if confirmed(phase.id.clone()) {
        return Ok(Admission::Complete);
    }
    if let Some(before) =
        plan.phases.iter().find(|p| p.number < phase.number && !confirmed(p.id.clone()))
    {
        let (number, id) = (before.number, &before.id);
        return Err(Failure::new(
            Code::Refused,
            format!("phase {number} `{id}` comes first and is not confirmed"),
        )
        .hint(format!("run it: `ctx migrate phase {number}`")));
    }
    Ok(Admission::Begin { expected: left_behind(ledger)? })
}

fn edited(phase: &Phase, when: &str) -> Failure {
    Failure::new(
        Code::PlanEdited,
        format!("phase {} `{}` was edited {when}", phase.number, phase.id),
    )
    .why("what the ledger records was done under another plan; comments and white space do not count")
    .hint("put the plan back as it was, or undo the phase with `ctx rollback`")
}

/// The hash of the configuration that the last ended run left.
fn left_behind(ledger: &Reader) -> Result<Option<String>> {
    Ok(super::drift::left_behind(ledger)?.map(|state| state.expected().hash()))
}

/// Refuses to begin on a configuration that the last run did not leave.
pub(super) fn check_drift(expected: Option<&str>, there: &State) -> Result<()> {
    match expected {
        Some(expected) if expected != there.config_hash => Err(Failure::new(
            Code::Refused,
            "the configuration is not the one that the last run left",
        )
        .why(format!(
            "revision {} has configuration {:.12}, the ledger expects {expected:.12}",
            there.head, there.config_hash
        ))
        .hint("find out who changed it; `ctx history` shows what ctx did")
        .hint("to begin from what is there: `--accept-drift --reason WHY`")),
        _ => Ok(()),
    }
}
