//! What the read commands start from: the plan, if it is at hand, and what the ledger knows.

use std::path::Path;

use super::Context;
use crate::error::Result;
use crate::ledger::{Ledger, LedgerError, Reader};
use crate::plan::{self, Plan};
use crate::report::Records;
use crate::settings::{Origin, Sourced};

/// What is known without asking the orchestrator.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) plan: Option<Plan>,
    pub(super) records: Records,
    /// Whether there is a ledger at all.
    pub(super) ledger: bool,
}

/// Reads the plan and the ledger; neither has to be there.
///
/// # Errors
/// When the ledger cannot be read, or the plan that `--plan` names.
pub(super) fn known(context: &Context) -> Result<Known> {
    let plan = match &context.settings.plan {
        Some(Sourced { value, origin: Origin::Flag(_) }) => Some(plan::load(value)?.plan),
        Some(Sourced { value, .. }) => plan_if_readable(context, value),
        None => None,
    };
    let reader = reader(context)?;
    let name = plan.as_ref().map(|plan| &plan.name);
    let records = reader.as_ref().map(|reader| Records::read(reader, name)).transpose()?;
    Ok(Known { plan, ledger: records.is_some(), records: records.unwrap_or_default() })
}

/// The ledger, open for reading; `None` if there is none yet.
///
/// # Errors
/// When there is one and it cannot be read.
pub(super) fn reader(context: &Context) -> Result<Option<Reader>> {
    match Ledger::read(&context.settings.ledger.value) {
        Ok(reader) => Ok(Some(reader)),
        Err(LedgerError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A plan with faults must not hide what the ledger knows.
fn plan_if_readable(context: &Context, path: &Path) -> Option<Plan> {
    if let Ok(loaded) = plan::load(path) {
        return Some(loaded.plan);
    }
    context.ui.note(format!("note: `{}` is left out: it is not a valid plan", path.display()));
    context.ui.note("hint: `ctx plan check` says why");
    None
}
