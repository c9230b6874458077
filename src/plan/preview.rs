//! What a plan would do: each step's change of the configuration, its inverse, its soaks.
//!
//! Computed by applying every step before it to the configuration of a service that nothing has
//! been changed about yet.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::effect;
use super::model::{Action, Criterion, Guard, OnFailure, Phase, Plan, Request, Step};
use crate::control::config::Config;
use crate::control::document::{DocumentError, assign};
use crate::error::count;
use crate::ids::{PhaseId, PlanName, StepId};
use crate::units::duration;

/// What a plan would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    pub name: PlanName,
    pub title: String,
    pub phases: Vec<PhasePreview>,
}

/// What a phase would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhasePreview {
    pub number: u32,
    pub id: PhaseId,
    pub title: String,
    pub objective: Option<String>,
    pub days: Option<(u32, u32)>,
    pub on_failure: OnFailure,
    /// Hold while the phase is in flight.
    pub guards: Vec<Condition>,
    /// Must pass before it is confirmed.
    pub criteria: Vec<Condition>,
    pub steps: Vec<StepPreview>,
    /// Of all its steps and their parts.
    #[serde(with = "duration")]
    pub soak: Duration,
}

/// What a step would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepPreview {
    pub id: StepId,
    pub title: Option<String>,
    /// In one line.
    pub what: String,
    pub changes: Vec<Change>,
    pub parts: usize,
    /// After each part.
    #[serde(with = "duration")]
    pub soak: Duration,
    /// Must pass before it begins.
    pub require: Vec<Condition>,
    /// How it is undone; `None` where nothing can undo it.
    pub inverse: Option<String>,
}

/// A guard or a criterion.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    pub id: String,
    /// Such as `latency_p95 at most 100ms`.
    pub bound: String,
}

/// A value of the configuration that a step changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub path: String,
    /// `null` where there is none.
    pub from: Value,
    /// After each part that changes it; `null` where it is gone.
    pub to: Vec<Value>,
}

impl Preview {
    /// Computes what `plan` would do.
    ///
    /// # Errors
    /// When a change does not fit the configuration; a parsed plan's always do.
    pub fn of(plan: &Plan) -> Result<Self, DocumentError> {
        let mut config = effect::baseline();
        let mut phases = Vec::new();
        for phase in &plan.phases {
            let mut steps = Vec::new();
            for step in &phase.steps {
                steps.push(step_preview(step, &mut config)?);
            }
            phases.push(phase_preview(plan, phase, steps));
        }
        Ok(Self { name: plan.name.clone(), title: plan.title.clone(), phases })
    }

    /// How long all soaks take together.
    pub fn soak(&self) -> Duration {
        self.phases.iter().map(|phase| phase.soak).sum()
    }

    /// The steps that nothing can undo, each with its phase.
    pub fn points_of_no_return(&self) -> impl Iterator<Item = (&PhasePreview, &StepPreview)> {
        let steps = |phase| PhasePreview::points_of_no_return(phase).map(move |step| (phase, step));
        self.phases.iter().flat_map(steps)
    }
}

impl PhasePreview {
    /// The steps that nothing can undo.
    pub fn points_of_no_return(&self) -> impl Iterator<Item = &StepPreview> {
        self.steps.iter().filter(|step| step.inverse.is_none())
    }
}

impl Condition {
    fn of_guard(guard: &Guard) -> Self {
        let bound = format!("{} {}", guard.measure, guard.limit.describe_in(guard.measure.unit()));
        Self { id: guard.id.to_string(), bound }
    }

    fn of_criterion(criterion: &Criterion) -> Self {
        Self { id: criterion.id.to_string(), bound: criterion.check.target() }
    }
}

fn phase_preview(plan: &Plan, phase: &Phase, steps: Vec<StepPreview>) -> PhasePreview {
    PhasePreview {
        number: phase.number,
        id: phase.id.clone(),
        title: phase.title.clone(),
        objective: phase.objective.clone(),
        days: phase.days,
        on_failure: phase.on_failure,
        guards: plan.guards_of(phase).iter().map(Condition::of_guard).collect(),
        criteria: phase.criteria.iter().map(Condition::of_criterion).collect(),
        steps,
        soak: phase.soak_total(),
    }
}

/// Applies a step to `config` and says what that changed.
fn step_preview(step: &Step, config: &mut Config) -> Result<StepPreview, DocumentError> {
    let mut changes: Vec<Change> = Vec::new();
    for part in 0..step.parts() {
        let assignments = effect::assignments(&step.action, part);
        if assignments.is_empty() {
            continue;
        }
        let after = assign(config, &assignments)?;
        for Change { path, from, to } in diff(config, &after) {
            match changes.iter_mut().find(|change| change.path == path) {
                Some(change) => change.to.extend(to),
                None => changes.push(Change { path, from, to }),
            }
        }
        *config = after;
    }
    Ok(StepPreview {
        id: step.id.clone(),
        title: step.title.clone(),
        what: what(step, &changes),
        changes,
        parts: step.parts(),
        soak: step.soak,
        require: step.require.iter().map(Condition::of_criterion).collect(),
        inverse: inverse(&step.action),
    })
}

/// The values that differ between two configurations, by path.
pub fn diff(before: &Config, after: &Config) -> Vec<Change> {
    let value = |config| serde_json::to_value(config).expect("a configuration is plain data");
    let mut changes = Vec::new();
    collect("", &value(before), &value(after), &mut changes);
    changes
}

fn collect(path: &str, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        if before != after {
            let (from, to) = (before.clone(), vec![after.clone()]);
            changes.push(Change { path: path.to_owned(), from, to });
        }
        return;
    };
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let side = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
        collect(&below, &side(old), &side(new), changes);
    }
}

/// What a step does, in one line.
fn what(step: &Step, changes: &[Change]) -> String {
    match &step.action {
        Action::Set { assignments } => {
            let moves = |path: &str| changes.iter().any(|change| change.path.starts_with(path));
            let same = assignments.iter().filter(|a| !moves(&a.path)).count();
            let same = if same > 0 { format!(", {same} as before") } else { String::new() };
            format!("sets {}{same}", count(assignments.len(), "value"))
        }
        Action::Ramp { flag, to } => format!("raises flag `{flag}` to {}", joined(to)),
        Action::Canary { upstream, to, next, .. } => {
            let of = if next.is_some() { "the extension's events" } else { "the traffic" };
            format!("gives `{upstream}` {} of {of} and compares", joined(to))
        }
        Action::Install { assignment } => {
            format!("installs extension `{}`", assignment.path.trim_start_matches("extensions."))
        }
        Action::Uninstall { assignment } => {
            format!("removes extension `{}`", assignment.path.trim_start_matches("extensions."))
        }
        Action::Test { suites } => {
            let noun = if suites.len() == 1 { "suite" } else { "suites" };
            format!("runs {noun} {}", joined(suites))
        }
        Action::Run { command, .. } => format!("runs `{}`", command.join(" ")),
        Action::Call { request, .. } => format!("sends {}", sent(request)),
        Action::Backup => "takes and verifies a backup".to_owned(),
        Action::Approve { prompt } => format!("asks a person: {prompt}"),
        Action::Soak => "watches the guards".to_owned(),
    }
}

/// How a step is undone.
fn inverse(action: &Action) -> Option<String> {
    let text = match action {
        Action::Set { .. }
        | Action::Ramp { .. }
        | Action::Canary { .. }
        | Action::Install { .. }
        | Action::Uninstall { .. } => "the configuration before".to_owned(),
        Action::Run { undo, .. } => format!("runs `{}`", undo.as_ref()?.join(" ")),
        Action::Call { undo, .. } => format!("sends {}", sent(undo.as_ref()?)),
        Action::Test { .. } | Action::Backup | Action::Approve { .. } | Action::Soak => {
            "nothing to undo".to_owned()
        }
    };
    Some(text)
}

fn sent(request: &Request) -> String {
    format!("{} {}", request.method, request.url)
}

fn joined(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named_by_its_path() {
        let before = effect::baseline();
        let mut after = before.clone();
        after.scaling.max = 16;
        after.routes.remove("slack");
        let changes = diff(&before, &after);
        let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["routes.slack", "scaling.max"]);
        assert_eq!((&changes[1].from, &changes[1].to[0]), (&json!(8), &json!(16)));
        assert_eq!(changes[0].to, [Value::Null]);
    }
}
