//! What the ledger knows about one plan, as plain rows; everything shown is built from it.
//!
//! [`Records::read`] is the only place that asks the ledger, and it asks for no more than is
//! shown: how long the ledger is does not matter.

use super::model::LedgerHead;
use super::place::Place;
use crate::ids::{PhaseId, PlanName};
use crate::ledger::fact::RunBegun;
use crate::ledger::view::{
    BackupRow, CriterionRow, IssueRow, MilestoneRow, PhaseRow, RunRow, StepRow,
};
use crate::ledger::{LedgerError, Reader};

/// What the ledger knows about one plan.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The plan that these records are about.
    pub plan: Option<PlanName>,
    pub head: Option<LedgerHead>,
    /// Newest first.
    pub runs: Vec<RunRow>,
    pub phases: Vec<PhaseRow>,
    /// The steps of the runs that last migrated these phases.
    pub steps: Vec<StepRow>,
    /// How those runs began.
    pub begun: Vec<RunBegun>,
    /// The run that is not over, of whatever plan.
    pub open: Option<Place>,
    /// Newest first.
    pub backups: Vec<BackupRow>,
    pub milestones: Vec<MilestoneRow>,
    pub criteria: Vec<CriterionRow>,
    /// Newest first.
    pub issues: Vec<IssueRow>,
}

/// How many runs and issues are shown at most.
const RECENT: u32 = 50;

impl Records {
    /// Reads what is known about `plan`, or without one about the plan that was run last.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn read(reader: &Reader, plan: Option<&PlanName>) -> Result<Self, LedgerError> {
        let (seq, hash) = reader.head()?;
        let mut runs = reader.runs(RECENT)?;
        let open = reader.open_run()?.map(|row| reader.facts(&row.run)).transpose()?;
        let head = Some(LedgerHead { seq, hash: hash.to_string() });
        let open = open.and_then(|facts| Place::of(&facts));
        let backups = reader.backups()?;
        let Some(plan) = plan.or(runs.first().map(|row| &row.plan)).cloned() else {
            return Ok(Self { head, backups, ..Self::default() });
        };
        runs.retain(|row| row.plan == plan);
        let phases = reader.phases(&plan)?;
        let steps = phases.iter().map(|row| reader.steps(&row.migrated));
        let begun = phases.iter().map(|row| reader.begun(&row.migrated));
        Ok(Self {
            head,
            steps: steps.collect::<Result<Vec<_>, _>>()?.concat(),
            begun: begun.collect::<Result<_, _>>()?,
            runs,
            phases,
            open,
            backups,
            milestones: reader.milestones(&plan)?,
            criteria: reader.criteria(&plan)?,
            issues: reader.issues(&plan, RECENT)?,
            plan: Some(plan),
        })
    }

    /// Whether nothing was ever run.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.open.is_none()
    }

    /// Where a phase stands; `None` if it was never run.
    pub fn phase(&self, id: &PhaseId) -> Option<&PhaseRow> {
        self.phases.iter().find(|row| row.phase == *id)
    }

    /// How the latest migration of the phase began.
    pub fn begun(&self, id: &PhaseId) -> Option<&RunBegun> {
        self.begun.iter().find(|begun| begun.phase.id == *id)
    }
}
