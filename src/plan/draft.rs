//! A plan between its text and its meaning: typed values that still know where they stand.
//!
//! Readers make a draft of whatever they could read; what they could not is `None`, with its
//! fault on record. Rules look at the draft as a whole; a draft without faults becomes a plan.

use toml::Spanned;

use super::model::{
    Action, AlertSink, BackupPolicy, Criterion, Guard, OnFailure, Orchestrator, Risk, Suite,
};
use super::source::Span;
use crate::ids::{CriterionId, GuardId, MilestoneId, PhaseId, PlanName, SinkId, StepId, SuiteId};

#[derive(Debug)]
pub(super) struct Draft<'d> {
    pub(super) name: Option<PlanName>,
    pub(super) title: Option<String>,
    pub(super) orchestrator: Option<Orchestrator>,
    pub(super) backup: BackupPolicy,
    pub(super) guards: Vec<Item<GuardId, Guard>>,
    pub(super) phases: Vec<DraftPhase<'d>>,
    pub(super) criteria: Vec<DraftCriterion>,
    pub(super) risks: Vec<Item<String, Risk>>,
    pub(super) suites: Vec<Item<SuiteId, Suite>>,
    pub(super) alerts: Vec<Item<SinkId, AlertSink>>,
}

/// Something with an id, whose body may have had a fault. The id counts all the same, so that
/// naming it elsewhere is not a second fault.
#[derive(Debug)]
pub(super) struct Item<I, T> {
    pub(super) id: Spanned<I>,
    pub(super) body: Option<T>,
}

#[derive(Debug)]
pub(super) struct DraftCriterion {
    pub(super) item: Item<CriterionId, Criterion>,
    /// Where it names a suite.
    pub(super) suite: Option<Spanned<SuiteId>>,
}

#[derive(Debug)]
pub(super) struct DraftPhase<'d> {
    pub(super) id: Spanned<PhaseId>,
    pub(super) title: Option<String>,
    pub(super) objective: Option<String>,
    pub(super) days: Option<Spanned<(u32, u32)>>,
    pub(super) on_failure: OnFailure,
    /// Where it says `irreversible = true`.
    pub(super) irreversible: Option<Span>,
    pub(super) steps: Vec<DraftStep<'d>>,
    pub(super) criteria: Vec<DraftCriterion>,
    /// Criteria of the plan that it names.
    pub(super) named: Vec<Spanned<&'d str>>,
    pub(super) without_guards: Vec<Spanned<&'d str>>,
    pub(super) milestones: Vec<DraftMilestone<'d>>,
    pub(super) line: u32,
}

#[derive(Debug)]
pub(super) struct DraftStep<'d> {
    pub(super) id: Spanned<StepId>,
    pub(super) title: Option<String>,
    pub(super) action: Option<DraftAction>,
    pub(super) soak: std::time::Duration,
    pub(super) require: Vec<Spanned<&'d str>>,
    /// Where it says `irreversible = true`.
    pub(super) irreversible: Option<Span>,
    pub(super) line: u32,
}

/// An action and where it names things: each assignment of `set`, each suite of `test`, else the
/// one flag, upstream, file or extension.
#[derive(Debug)]
pub(super) struct DraftAction {
    pub(super) action: Action,
    pub(super) span: Span,
    pub(super) marks: Vec<Mark>,
}

/// Where a name stands, and the value given to it.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) name: Span,
    pub(super) value: Span,
}

impl Mark {
    pub(super) fn of(span: Span) -> Self {
        Self { name: span.clone(), value: span }
    }
}

#[derive(Debug)]
pub(super) struct DraftMilestone<'d> {
    pub(super) id: Spanned<MilestoneId>,
    pub(super) title: String,
    pub(super) days: Option<Spanned<(u32, u32)>>,
    pub(super) after: Option<Spanned<&'d str>>,
    pub(super) when: Vec<Spanned<&'d str>>,
}

impl Draft<'_> {
    /// Every criterion: those of the plan, then those of its phases.
    pub(super) fn all_criteria(&self) -> impl Iterator<Item = &DraftCriterion> {
        self.criteria.iter().chain(self.phases.iter().flat_map(|phase| &phase.criteria))
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = &DraftStep<'_>> {
        self.phases.iter().flat_map(|phase| &phase.steps)
    }
}
