//! The first fact of a run: what is to be done, by whom, and what was there before.

use super::Context;
use crate::control::wire::State;
use crate::engine::moves::unroll;
use crate::error::{Code, Failure, Result};
use crate::ledger::fact::{Base, By, RunBegun, RunKind};
use crate::plan::model::Phase;
use crate::plan::{Loaded, phase_hash};

/// The first fact of a run of `phase`.
///
/// # Errors
/// When a step does not fit the configuration that it would meet.
pub(super) fn prepare(
    loaded: &Loaded,
    phase: &Phase,
    there: &State,
    url: &str,
    by: By,
    tempo: f64,
) -> Result<RunBegun> {
    let plan = &loaded.plan;
    unroll(phase, &there.config).map_err(|(at, error)| {
        Failure::new(Code::Refused, format!("step `{at}` does not fit the orchestrator"))
            .because(&error)
            .hint("compare the plan with `ctx status`")
    })?;
    let guards = plan.guards_of(phase);
    let milestones = plan.milestones.iter().filter(|m| m.phase == phase.id).cloned().collect();
    Ok(RunBegun {
        kind: RunKind::Migrate,
        plan: plan.name.clone(),
        plan_title: plan.title.clone(),
        plan_file: loaded.path.display().to_string(),
        file_hash: loaded.file_hash.clone(),
        phase_hash: phase_hash(phase, &guards, &plan.suites),
        phases: u32::try_from(plan.phases.len()).expect("a plan has few phases"),
        phase: phase.clone(),
        guards,
        suites: plan.suites.clone(),
        milestones,
        base: base(there, url, plan.orchestrator.token.clone()),
        by,
        tempo,
    })
}

/// The orchestrator as a run finds it.
pub(super) fn base(there: &State, url: &str, token: Option<String>) -> Base {
    Base {
        orchestrator: url.to_owned(),
        token,
        state_uuid: there.state_uuid.clone(),
        rev: there.head,
        config_hash: there.config_hash.clone(),
        config: there.config.clone(),
        anchor: there.anchor.clone(),
    }
}

/// Who does this, for the record.
pub(super) fn by(context: &Context) -> By {
    By {
        user: crate::settings::user(),
        host: crate::settings::host(),
        ctx_version: env!("CARGO_PKG_VERSION").to_owned(),
        reason: context.reason.clone(),
    }
}
