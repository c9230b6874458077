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

/// How many runs, issues and backups are shown at most.
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
        let backups = reader.latest_backups(RECENT)?;
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::clock::from_wall_ms;
    use crate::ids::RunId;
    use crate::ledger::fact::{Fact, Outcome};
    use crate::ledger::{Ledger, Of};
    use crate::report::fixture::{NOON, breached, soaking};

    /// How many steps SQLite takes to read what is shown of a ledger of so many finished runs and one
    /// that is in flight.
    fn steps(finished: u32) -> u64 {
        let id = |n: u32| RunId::try_from(format!("{n:032x}")).unwrap();
        let of = |run: RunId, facts: Vec<Fact>| -> Vec<Of> {
            facts.into_iter().map(|fact| (Some(run.clone()), fact)).collect()
        };
        let story = |n: u32| {
            let mut facts: Vec<Fact> = breached().into_iter().map(|told| told.fact).collect();
            let backup = Fact::BackupDone {
                backup: format!("b-20300101-{n:06}-abcd").parse().unwrap(),
                path: "backups/b".to_owned(),
                bytes: 1,
                manifest_hash: "dd".repeat(32),
            };
            facts.insert(1, backup);
            if !facts.iter().any(|fact| matches!(fact, Fact::RunEnded { .. })) {
                let summary = "undone".to_owned();
                facts.push(Fact::RunEnded { outcome: Outcome::RolledBack, summary });
            }
            of(id(n), facts)
        };
        let mut facts: Vec<Of> = (0..finished).flat_map(story).collect();
        facts.extend(of(id(finished), soaking().into_iter().map(|told| told.fact).collect()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        Ledger::begin(&path, &facts, from_wall_ms(NOON)).unwrap();
        let reader = Ledger::read(&path).unwrap();
        let steps = reader.counting_steps();
        assert_eq!(reader.damage(), None);
        let records = Records::read(&reader, None).unwrap();
        assert!(records.open.is_some());
        assert_eq!(records.backups.len(), 50, "the latest, and no more");
        // The first is that of the run in flight.
        let newest = records.backups[1].backup.to_string();
        assert_eq!(newest, format!("b-20300101-{:06}-abcd", finished - 1));
        steps.load(Ordering::Relaxed)
    }

    #[test]
    fn how_much_is_read_does_not_grow_with_the_ledger() {
        let (few, many) = (steps(60), steps(240));
        assert!(few > 1_000, "{few} steps are those of nothing");
        assert!(many < few + few / 20, "{many} steps, and {few} for a quarter of it");
    }
}
