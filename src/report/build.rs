//! Builds the report from the plan, the ledger's rows and what the orchestrator answered.
//!
//! What was run is told as it was run: the ledger's copy of a phase wins over the plan file.
//! Without the plan file, phases that never ran are known by their number only, and a note says
//! so.

use std::time::Duration;

use super::criteria;
use super::live::Live;
use super::model::{
    BackupEntry, IssueEntry, MilestoneEntry, Moment, PhaseEntry, PhaseState, Progress, Report,
    RiskEntry, RunEntry, SCHEMA, StepEntry, StepState,
};
use super::next;
use super::records::Records;
use super::sentence;
use super::timeline::Timeline;
use super::words;
use crate::clock::WallMs;
use crate::ids::{MilestoneId, RunId};
use crate::ledger::view::{BackupRow, IssueRow, MilestoneRow, PhaseRow, RunRow, StepRow};
use crate::plan::Plan;
use crate::plan::model::{Milestone, Phase, Step};

/// What a report is built from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub now_ms: WallMs,
    pub records: &'a Records,
    /// The plan file, if it is there.
    pub plan: Option<&'a Plan>,
    /// What the orchestrator answered, if it was asked.
    pub live: Option<&'a Live>,
}

impl Report {
    /// Builds the report.
    pub fn build(inputs: &Inputs<'_>) -> Self {
        let Inputs { now_ms, records, plan, live } = *inputs;
        let phases = phases(inputs);
        let criteria = criteria::by_category(records, plan);
        let met = !criteria.is_empty() && criteria.iter().all(|category| category.passed);
        let name = records.plan.clone().or_else(|| plan.map(|plan| plan.name.clone()));
        Self {
            schema: SCHEMA,
            generated_at: Moment(now_ms),
            title: title(inputs),
            plan: name,
            progress: progress(&phases),
            orchestrator: live.and_then(Live::orchestrator),
            next_steps: next::steps(records, &phases, met, live),
            milestones: milestones(inputs),
            criteria_met: met,
            criteria,
            performance: live.map(Live::performance).unwrap_or_default(),
            issues: records.issues.iter().cloned().map(issue).collect(),
            risks: plan.map(risks).unwrap_or_default(),
            backups: records.backups.iter().cloned().map(backup).collect(),
            runs: records.runs.iter().cloned().map(|row| run(row, now_ms)).collect(),
            ledger: records.head.clone(),
            timeline: Timeline::default(),
            notes: notes(inputs, &phases),
            phases,
        }
    }

    /// Keeps only what concerns one phase, named by number or id; `None` if there is none such.
    #[must_use]
    pub fn only(mut self, phase: &str) -> Option<Self> {
        let number = phase.parse::<u32>().ok();
        let named = |entry: &PhaseEntry| {
            Some(entry.number) == number || entry.id.as_ref().is_some_and(|id| id.as_str() == phase)
        };
        self.phases.retain(named);
        let id = self.phases.first()?.id.clone();
        if let Some(id) = &id {
            self.timeline.only(id);
        }
        self.progress = progress(&self.phases);
        self.milestones.retain(|entry| entry.phase == id);
        self.issues.retain(|entry| Some(&entry.phase) == id.as_ref());
        self.runs.retain(|entry| Some(&entry.phase) == id.as_ref());
        let runs: Vec<&RunId> = self.runs.iter().map(|entry| &entry.run).collect();
        self.backups.retain(|entry| entry.run.as_ref().is_some_and(|run| runs.contains(&run)));
        for category in &mut self.criteria {
            category.criteria.retain(|c| id.as_ref().is_some_and(|id| c.required_by.contains(id)));
        }
        self.criteria.retain(|category| !category.criteria.is_empty());
        Some(self)
    }
}

fn title(inputs: &Inputs<'_>) -> String {
    let recorded = inputs.records.begun.first().map(|begun| begun.plan_title.clone());
    let planned = inputs.plan.map(|plan| plan.title.clone());
    planned.or(recorded).unwrap_or_else(|| "no plan, and nothing recorded".to_owned())
}

fn phases(inputs: &Inputs<'_>) -> Vec<PhaseEntry> {
    let Inputs { records, plan, .. } = inputs;
    let recorded = records.begun.iter().map(|begun| begun.phases).max().unwrap_or(0);
    let planned = plan.map_or(0, |plan| u32::try_from(plan.phases.len()).unwrap_or(u32::MAX));
    let count = if plan.is_some() { planned } else { recorded };
    let number = |number| {
        let planned = plan.and_then(|plan| plan.phases.iter().find(|p| p.number == number));
        let row = match planned {
            Some(phase) => records.phase(&phase.id),
            None => records.phases.iter().find(|row| row.number == number),
        };
        let begun = row.and_then(|row| records.begun(&row.phase)).map(|begun| &begun.phase);
        phase(number, begun.or(planned), row, inputs)
    };
    (1..=count).map(number).collect()
}

fn phase(
    number: u32,
    phase: Option<&Phase>,
    row: Option<&PhaseRow>,
    inputs: &Inputs<'_>,
) -> PhaseEntry {
    let status = row.map_or(PhaseState::Pending, |row| row.status.into());
    let rows = &inputs.records.steps;
    let run = row.map(|row| &row.migrated);
    let steps: Vec<StepEntry> = phase.map_or(Vec::new(), |phase| {
        let own = |row: &&StepRow| Some(&row.run) == run;
        let own: Vec<&StepRow> = rows.iter().filter(own).collect();
        phase.steps.iter().map(|planned| step(planned, &own, status)).collect()
    });
    let ended = row.and_then(|row| row.ended_ms);
    let lasted = row.map(|row| words::between(row.begun_ms, ended.unwrap_or(inputs.now_ms)));
    PhaseEntry {
        number,
        id: phase.map(|phase| phase.id.clone()).or_else(|| row.map(|row| row.phase.clone())),
        title: phase
            .map(|phase| phase.title.clone())
            .or_else(|| row.map(|row| row.title.clone()))
            .unwrap_or_else(|| "not run yet; named in the plan file only".to_owned()),
        objective: phase.and_then(|phase| phase.objective.clone()),
        days: phase.and_then(|phase| phase.days),
        status,
        percent: percent(status, &steps),
        soak_ms: phase.map_or(0, |phase| millis(phase.soak_total())),
        begun: row.map(|row| Moment(row.begun_ms)),
        ended: ended.map(Moment),
        lasted_ms: lasted.map(millis),
        run: row.map(|row| row.run.clone()),
        steps,
    }
}

fn step(step: &Step, rows: &[&StepRow], phase: PhaseState) -> StepEntry {
    let rows: Vec<&StepRow> = rows.iter().filter(|row| row.step == step.id).copied().collect();
    let state = |row: &StepRow| StepState::from(row.status);
    let parts = step.parts();
    // A test that passed in a phase that was rolled back is no progress.
    let counts = |row: &&&StepRow| state(row) == StepState::Done && phase != PhaseState::RolledBack;
    let parts_done = rows.iter().filter(counts).count();
    let latest = rows.iter().max_by_key(|row| row.part);
    // A failure of any part is the step's; otherwise the latest part says where the step is.
    let bad = rows
        .iter()
        .map(|row| state(row))
        .find(|state| matches!(state, StepState::Failed | StepState::NotUndone));
    let status = bad.or(latest.map(|row| state(row))).unwrap_or(StepState::Pending);
    let ended = rows.iter().map(|row| row.ended_ms).collect::<Option<Vec<_>>>();
    StepEntry {
        id: step.id.clone(),
        title: step.title.clone(),
        // One part done of several is not a step done.
        status: match status {
            StepState::Done if rows.len() < parts => StepState::Applied,
            status => status,
        },
        parts_done,
        parts,
        revisions: rows.iter().filter_map(|row| row.rev).collect(),
        soak_ms: millis(step.soak),
        irreversible: step.is_irreversible(),
        begun: rows.iter().map(|row| Moment(row.begun_ms)).min(),
        ended: ended.and_then(|ended| ended.into_iter().max()).map(Moment),
        detail: latest.and_then(|row| row.detail.clone()),
    }
}

fn percent(status: PhaseState, steps: &[StepEntry]) -> u8 {
    let done: usize = steps.iter().map(|step| step.parts_done).sum();
    let parts: usize = steps.iter().map(|step| step.parts).sum();
    match status {
        PhaseState::Confirmed => 100,
        PhaseState::Pending | PhaseState::RolledBack => 0,
        _ => u8::try_from((done * 100).checked_div(parts).unwrap_or(0).min(99)).unwrap_or(99),
    }
}

fn progress(phases: &[PhaseEntry]) -> Progress {
    let steps = || phases.iter().flat_map(|phase| &phase.steps);
    let sum: usize = phases.iter().map(|phase| usize::from(phase.percent)).sum();
    let confirmed = |phase: &&PhaseEntry| phase.status == PhaseState::Confirmed;
    Progress {
        percent: u8::try_from(sum.checked_div(phases.len()).unwrap_or(0)).unwrap_or(100),
        phases_done: phases.iter().filter(confirmed).count(),
        phases: phases.len(),
        steps_done: steps().filter(|step| step.parts_done == step.parts).count(),
        steps: steps().count(),
        parts_done: steps().map(|step| step.parts_done).sum(),
        parts: steps().map(|step| step.parts).sum(),
    }
}

fn milestones(inputs: &Inputs<'_>) -> Vec<MilestoneEntry> {
    let Inputs { records, plan, .. } = inputs;
    let reached = |id: &MilestoneId| records.milestones.iter().find(|row| row.milestone == *id);
    let planned: Vec<&Milestone> = match plan {
        Some(plan) => plan.milestones.iter().collect(),
        None => records.begun.iter().flat_map(|begun| &begun.milestones).collect(),
    };
    let mut entries: Vec<MilestoneEntry> = planned
        .into_iter()
        .map(|milestone| MilestoneEntry {
            id: milestone.id.clone(),
            title: milestone.title.clone(),
            phase: Some(milestone.phase.clone()),
            days: milestone.days,
            reached: reached(&milestone.id).map(|row| Moment(row.reached_ms)),
        })
        .collect();
    let unplanned = |row: &&MilestoneRow| !entries.iter().any(|entry| entry.id == row.milestone);
    let recorded = records.milestones.iter().filter(unplanned).map(|row| MilestoneEntry {
        id: row.milestone.clone(),
        title: row.title.clone(),
        phase: records.runs.iter().find(|run| run.run == row.run).map(|run| run.phase.clone()),
        days: None,
        reached: Some(Moment(row.reached_ms)),
    });
    let recorded: Vec<MilestoneEntry> = recorded.collect();
    entries.extend(recorded);
    entries
}

fn notes(inputs: &Inputs<'_>, phases: &[PhaseEntry]) -> Vec<String> {
    let mut notes = Vec::new();
    if inputs.plan.is_none() {
        let what = if phases.iter().any(|phase| phase.id.is_none()) {
            "phases that never ran, their milestones, and risks are not shown"
        } else {
            "risks are not shown"
        };
        notes.push(format!("the plan file is not at hand: {what}"));
    }
    let records = inputs.records;
    if records.is_empty() {
        notes.push("nothing was run yet".to_owned());
    }
    if inputs.live.is_none_or(|live| live.state.is_none()) {
        notes.push(
            "the orchestrator was not reached: revisions are as recorded, not read back".to_owned(),
        );
    }
    notes
}

fn risks(plan: &Plan) -> Vec<RiskEntry> {
    let mut risks: Vec<RiskEntry> = plan
        .risks
        .iter()
        .map(|risk| RiskEntry {
            id: risk.id.clone(),
            title: risk.title.clone(),
            severity: risk.severity,
            mitigations: risk.mitigations.clone(),
        })
        .collect();
    risks.sort_by_key(|risk| std::cmp::Reverse(risk.severity));
    risks
}

fn issue(row: IssueRow) -> IssueEntry {
    let at = Moment(row.at_ms);
    let what = sentence::issue(&row.kind, &row.what);
    IssueEntry { at, seq: row.seq, run: row.run, phase: row.phase, kind: row.kind, what }
}

fn backup(row: BackupRow) -> BackupEntry {
    BackupEntry {
        id: row.backup,
        at: Moment(row.at_ms),
        path: row.path,
        bytes: row.bytes,
        manifest_hash: row.manifest_hash,
        run: row.run,
    }
}

/// One run as the report and the history tell it.
pub fn run(row: RunRow, now_ms: WallMs) -> RunEntry {
    RunEntry {
        begun: Moment(row.begun_ms),
        ended: row.ended_ms.map(Moment),
        lasted_ms: millis(words::between(row.begun_ms, row.ended_ms.unwrap_or(now_ms))),
        run: row.run,
        kind: row.kind,
        phase: row.phase,
        phase_number: row.phase_number,
        outcome: row.outcome,
        summary: row.summary,
        user: row.user,
        host: row.host,
        reason: row.reason,
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
