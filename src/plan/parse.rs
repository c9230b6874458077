//! From the text of a plan to the plan, or to everything that is wrong with it.
//!
//! Four passes, each of which goes on after a fault: TOML with spans (all syntax errors), a draft
//! (shapes and single values), rules (what values mean to each other), and the plan itself. The
//! last one can only be reached without a fault, and then cannot fail.

use toml::de::DeTable;

use super::alerts::AlertSink;
use super::cap;
use super::draft::{Draft, DraftCriterion, DraftMilestone, DraftPhase, DraftStep};
use super::fault::{Fault, Faults};
use super::model::{Criterion, Milestone, Phase, Plan, Step};
use super::read::{self, ReadFile};
use super::rules;
use super::source::Source;
use super::table::Table;
use crate::ids::PhaseId;

/// The largest plan that is read, in bytes. A thousand steps are a tenth of it.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Parses a plan. `file_name` is for messages; `read` gives the files that the plan names, by
/// their path relative to the plan.
///
/// # Errors
/// With every fault of the plan, in the order of its text.
pub fn parse(file_name: &str, text: &str, read: ReadFile<'_>) -> Result<Plan, Vec<Fault>> {
    if text.len() > MAX_BYTES {
        return Err(vec![too_large(file_name)]);
    }
    let source = Source::new(file_name, text);
    let mut faults = Faults::new(&source);
    let (document, errors) = DeTable::parse_recoverable(text);
    if let Some((at, what)) = cap::exceeded(document.get_ref()) {
        faults.hinted(at, what, "split it into plans that are run in turn");
        return Err(faults.into_sorted());
    }
    faults.syntax(&errors);
    let draft = read::plan(&document, &faults, read);
    // Where the text itself is broken, what was recovered of it may lack what others refer to.
    if !faults.is_broken() {
        rules::apply(&draft, &faults);
    }
    match resolve(&draft) {
        Some(plan) if faults.is_empty() => Ok(plan),
        whole => {
            if faults.is_empty() {
                // A reader that gave up without a word: refuse, rather than run half a plan.
                debug_assert!(whole.is_some(), "a draft without a fault is whole");
                faults.hinted(0..0, "the plan could not be read", "this is a bug in ctx");
            }
            Err(faults.into_sorted())
        }
    }
}

/// Parses a file that names sinks of alerts, in a table `[alerts]` as a plan has it.
///
/// # Errors
/// With every fault of the file, in the order of its text.
pub fn parse_alerts(file_name: &str, text: &str) -> Result<Vec<AlertSink>, Vec<Fault>> {
    let source = Source::new(file_name, text);
    let mut faults = Faults::new(&source);
    let (document, errors) = DeTable::parse_recoverable(text);
    if let Some((at, what)) = cap::exceeded(document.get_ref()) {
        faults.hinted(at, what, "name fewer sinks");
        return Err(faults.into_sorted());
    }
    faults.syntax(&errors);
    let table = Table::of(document.get_ref(), 0..0, &read::ALERTS_FILE, &faults);
    let sinks: Option<Vec<AlertSink>> =
        read::alerts(&table).into_iter().map(|item| item.body).collect();
    match sinks {
        Some(sinks) if faults.is_empty() => Ok(sinks),
        _ => Err(faults.into_sorted()),
    }
}

/// The fault of a plan above [`MAX_BYTES`].
pub(super) fn too_large(file_name: &str) -> Fault {
    let hint = "split it into plans that are run in turn";
    Fault::of_file(file_name, "the plan is larger than 1 MiB".to_owned(), hint)
}

/// Makes the plan of a draft; `None` where something of it is missing.
fn resolve(draft: &Draft<'_>) -> Option<Plan> {
    let bodies = |criteria: &[DraftCriterion]| -> Option<Vec<Criterion>> {
        criteria.iter().map(|criterion| criterion.item.body.clone()).collect()
    };
    let find = |id: &str| -> Option<Criterion> {
        let found = draft.all_criteria().find(|c| c.item.id.get_ref().as_str() == id);
        found.and_then(|criterion| criterion.item.body.clone())
    };
    let phases: Option<Vec<Phase>> = (1..)
        .zip(&draft.phases)
        .map(|(number, phase)| {
            let own = bodies(&phase.criteria)?;
            let named: Option<Vec<_>> = phase.named.iter().map(|id| find(id.get_ref())).collect();
            let mut criteria = named?;
            criteria.extend(own);
            phase_of(phase, number, criteria, &find)
        })
        .collect();
    let milestones: Option<Vec<Milestone>> = draft
        .phases
        .iter()
        .flat_map(|phase| phase.milestones.iter().map(move |m| (phase, m)))
        .map(|(phase, m)| milestone_of(m, phase.id.get_ref(), &find))
        .collect();
    let name = draft.name.clone()?;
    Some(Plan {
        title: draft.title.clone().unwrap_or_else(|| name.to_string()),
        name,
        orchestrator: draft.orchestrator.clone()?,
        backup: draft.backup.clone(),
        guards: draft.guards.iter().map(|item| item.body.clone()).collect::<Option<_>>()?,
        phases: phases?,
        criteria: bodies(&draft.criteria)?,
        milestones: milestones?,
        risks: draft.risks.iter().map(|item| item.body.clone()).collect::<Option<_>>()?,
        suites: draft.suites.iter().map(|item| item.body.clone()).collect::<Option<_>>()?,
        alerts: draft.alerts.iter().map(|item| item.body.clone()).collect::<Option<_>>()?,
    })
}

fn phase_of(
    draft: &DraftPhase<'_>,
    number: u32,
    criteria: Vec<Criterion>,
    find: &dyn Fn(&str) -> Option<Criterion>,
) -> Option<Phase> {
    let steps = draft.steps.iter().map(|step| step_of(step, find)).collect::<Option<_>>()?;
    let without = draft.without_guards.iter().map(|id| id.get_ref().parse().ok());
    Some(Phase {
        id: draft.id.get_ref().clone(),
        number,
        title: draft.title.clone().unwrap_or_else(|| draft.id.get_ref().to_string()),
        objective: draft.objective.clone(),
        days: draft.days.as_ref().map(|days| *days.get_ref()),
        on_failure: draft.on_failure,
        steps,
        criteria,
        without_guards: without.collect::<Option<_>>()?,
        line: draft.line,
    })
}

fn step_of(draft: &DraftStep<'_>, find: &dyn Fn(&str) -> Option<Criterion>) -> Option<Step> {
    let require = draft.require.iter().map(|id| find(id.get_ref())).collect::<Option<_>>()?;
    Some(Step {
        id: draft.id.get_ref().clone(),
        title: draft.title.clone(),
        action: draft.action.as_ref()?.action.clone(),
        require,
        soak: draft.soak,
        line: draft.line,
    })
}

fn milestone_of(
    draft: &DraftMilestone<'_>,
    phase: &PhaseId,
    find: &dyn Fn(&str) -> Option<Criterion>,
) -> Option<Milestone> {
    let after = match &draft.after {
        Some(step) => Some(step.get_ref().parse().ok()?),
        None => None,
    };
    Some(Milestone {
        id: draft.id.get_ref().clone(),
        title: draft.title.clone(),
        phase: phase.clone(),
        days: draft.days.as_ref().map(|days| *days.get_ref()),
        after,
        when: draft.when.iter().map(|id| find(id.get_ref())).collect::<Option<_>>()?,
    })
}
