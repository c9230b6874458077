//! Which phases of a plan are meant.

use crate::error::{Code, Failure, Result, did_you_mean};
use crate::ledger::Reader;
use crate::ledger::view::PhaseStatus;
use crate::plan::Loaded;
use crate::plan::model::{Phase, Plan};

/// The phases that are not confirmed.
pub(super) fn pending<'a>(reader: Option<&Reader>, loaded: &'a Loaded) -> Result<Vec<&'a Phase>> {
    let rows = reader.map(|reader| reader.phases(&loaded.plan.name)).transpose()?;
    let rows = rows.unwrap_or_default();
    let confirmed = |phase: &&Phase| {
        rows.iter().any(|row| row.phase == phase.id && row.status == PhaseStatus::Confirmed)
    };
    Ok(loaded.plan.phases.iter().filter(|phase| !confirmed(phase)).collect())
}

/// The phase that a person named.
pub(super) fn find<'a>(plan: &'a Plan, named: &str) -> Result<&'a Phase> {
    plan.phase(named).ok_or_else(|| {
        let known: Vec<_> = plan.phases.iter().map(|p| format!("{} {}", p.number, p.id)).collect();
        let failure =
            Failure::new(Code::Usage, format!("plan `{}` has no phase `{named}`", plan.name))
                .why(format!("its phases are: {}", known.join(", ")));
        match did_you_mean(named, plan.phases.iter().map(|p| p.id.as_str())) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure,
        }
    })
}
