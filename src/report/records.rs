//! What the ledger knows about one plan, as plain rows; everything shown is built from it.

use super::model::LedgerHead;
use super::place::Place;
use crate::ids::{PhaseId, PlanName, RunId};
use crate::ledger::fact::RunBegun;
use crate::ledger::view::{
    BackupRow, CriterionRow, IssueRow, MilestoneRow, PhaseRow, RunRow, StepRow,
};

/// What the ledger knows about one plan.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The plan that these records are about.
    pub plan: Option<PlanName>,
    pub head: Option<LedgerHead>,
    /// Newest first.
    pub runs: Vec<RunRow>,
    pub phases: Vec<PhaseRow>,
    /// The steps of the runs that [`Self::phases`] names.
    pub steps: Vec<StepRow>,
    /// How the runs that [`Self::phases`] names began.
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

impl Records {
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

    /// The run that did the phase's steps: a later rollback may have brought it where it stands.
    pub fn migration_of<'a>(&'a self, row: &'a PhaseRow) -> &'a RunId {
        let migrates =
            |run: &&RunRow| run.kind == "migrate" && run.plan == row.plan && run.phase == row.phase;
        self.runs.iter().find(migrates).map_or(&row.run, |run| &run.run)
    }
}
