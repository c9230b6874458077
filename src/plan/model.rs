//! A plan after parsing: everything in it is valid, resolved and typed.
//!
//! The text of a plan is read once, by [`super::parse()`]; nobody checks any of this again. A plan
//! is plain data, and the phase that a run executes is stored in the ledger with the run, so that
//! it can be rolled back when the file is long gone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::alerts::AlertSink;
use crate::control::document::Assignment;
use crate::ids::{CriterionId, GuardId, MilestoneId, PhaseId, PlanName, StepId, SuiteId};
use crate::judge::canary::ALPHA;
pub use crate::judge::canary::Compare;
pub use crate::judge::guard::{Guard, OnNoData};
use crate::judge::measure::Query;
use crate::judge::{Limit, Measure, Metric};
use crate::units::{Percent, duration};

/// A migration, described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub name: PlanName,
    pub title: String,
    pub orchestrator: Orchestrator,
    pub backup: BackupPolicy,
    /// Hold from a phase's first step until it is confirmed.
    pub guards: Vec<Guard>,
    /// In the order in which they are migrated.
    pub phases: Vec<Phase>,
    /// Of the migration as a whole; phases name those that they need too.
    pub criteria: Vec<Criterion>,
    pub milestones: Vec<Milestone>,
    pub risks: Vec<Risk>,
    pub suites: Vec<Suite>,
    /// Where people are told; no part of what a phase does.
    pub alerts: Vec<AlertSink>,
}

/// Where the orchestrator is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orchestrator {
    pub url: String,
    /// A reference, `env:NAME` or `file:PATH`; never the token itself.
    pub token: Option<String>,
}

/// What a backup holds besides the orchestrator's own configuration, database and cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupPolicy {
    /// SQLite databases of the service, as paths relative to the plan's folder.
    pub databases: Vec<String>,
}

/// The unit that an operator migrates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    pub id: PhaseId,
    /// From 1, by position in the plan.
    pub number: u32,
    pub title: String,
    pub objective: Option<String>,
    /// First and last day of the timeline, from 1.
    pub days: Option<(u32, u32)>,
    pub on_failure: OnFailure,
    pub steps: Vec<Step>,
    /// Must all pass before the phase is confirmed: the phase's own, and those of the plan that
    /// it names.
    pub criteria: Vec<Criterion>,
    /// Ids of guards of the plan that do not hold in this phase.
    pub without_guards: Vec<GuardId>,
    /// The line of the plan file that it begins on.
    pub line: u32,
}

/// What to do when a phase fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Undo this phase.
    #[default]
    RollbackPhase,
    /// Undo this phase and every phase before it.
    RollbackAll,
    /// Revert what is provisional and stop.
    Hold,
}

/// One change with its inverse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub id: StepId,
    pub title: Option<String>,
    pub action: Action,
    /// Criteria that must pass at this moment, or the step is not begun and the phase fails.
    pub require: Vec<Criterion>,
    /// How long the guards are watched after the step, or after each part of it.
    #[serde(with = "duration")]
    pub soak: Duration,
    /// The line of the plan file that it begins on.
    pub line: u32,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Assigns values of the configuration. Inverse: the document before.
    Set { assignments: Vec<Assignment> },
    /// Raises a flag's percentage part by part. Inverse: the document before.
    Ramp { flag: String, to: Vec<Percent> },
    /// Gives a second upstream a growing share and compares both. Inverse: the document before.
    Canary {
        /// The arm that its requests are counted under: `ID@VERSION` for an extension's.
        upstream: String,
        url: Option<String>,
        to: Vec<Percent>,
        compare: Compare,
        /// The new version of an extension, as it is installed at 100%; then it is no upstream.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<Assignment>,
    },
    /// Installs an extension. Inverse: the document before.
    Install { assignment: Assignment },
    /// Removes an extension. Inverse: the document before.
    Uninstall { assignment: Assignment },
    /// Runs test suites. Changes nothing.
    Test { suites: Vec<SuiteId> },
    /// Runs a program. Inverse: `undo`, or none when the step is irreversible.
    Run {
        command: Argv,
        undo: Option<Argv>,
        #[serde(with = "duration")]
        timeout: Duration,
    },
    /// Sends an HTTP request. Inverse: `undo`, or none when the step is irreversible.
    Call {
        request: Request,
        undo: Option<Request>,
        #[serde(with = "duration")]
        timeout: Duration,
    },
    /// Takes and verifies a backup, besides the one that every phase begins with.
    Backup,
    /// Waits for a person. The phase stops with exit code 12 until it was approved.
    Approve { prompt: String },
    /// Only watches the guards, for the step's `soak`.
    Soak,
}

/// A program and its arguments; never a shell line.
pub type Argv = Vec<String>;

/// An HTTP request of a `call` step or a suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub method: String,
    /// Absolute; or a path, which is taken relative to the orchestrator's data plane. A path
    /// that begins with `control:` goes to the control API, with its token.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

/// A condition that must be true for a phase, or the migration, to count as done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    pub id: CriterionId,
    pub title: Option<String>,
    pub category: Category,
    pub check: CriterionCheck,
}

/// What a criterion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Performance,
    Reliability,
    Functionality,
}

impl Category {
    pub const ALL: [Self; 3] = [Self::Performance, Self::Reliability, Self::Functionality];

    /// The name as in plans and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Performance => "performance",
            Self::Reliability => "reliability",
            Self::Functionality => "functionality",
        }
    }
}

/// How a criterion is decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CriterionCheck {
    /// A metric keeps a limit over a window that ends now; a query says itself what it looks at.
    Metric {
        /// Called `metric` where it is kept: that of the orchestrator is its plain name.
        #[serde(rename = "metric")]
        measure: Measure,
        limit: Limit,
        min_samples: u64,
        #[serde(with = "duration")]
        window: Duration,
    },
    /// Every case of a suite passes.
    Suite { suite: SuiteId },
}

/// A named sign of progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Milestone {
    pub id: MilestoneId,
    pub title: String,
    /// The phase that it belongs to.
    pub phase: PhaseId,
    /// First and last day of the timeline.
    pub days: Option<(u32, u32)>,
    /// Reached when this step of its phase is confirmed; at the end of the phase if absent.
    pub after: Option<StepId>,
    /// And when these criteria hold at that moment.
    pub when: Vec<Criterion>,
}

/// Something that may go wrong, and what the plan does about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    pub id: String,
    pub title: String,
    pub severity: Severity,
    pub mitigations: Vec<String>,
}

/// How bad a risk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Low,
    Medium,
    High,
}

/// Test cases that are run together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    pub id: SuiteId,
    pub kind: SuiteKind,
    pub cases: Vec<Case>,
    /// The load that a performance or load suite applies.
    pub load: Option<Load>,
}

/// What a suite is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuiteKind {
    Functional,
    Performance,
    Integration,
    Load,
}

/// One request and what must come back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub name: String,
    pub request: Request,
    /// Sign the body as this platform does, with the secret of its route where there is one, and
    /// give the request a fresh delivery id.
    pub sign_as: Option<crate::control::config::Platform>,
    /// How that signature is made.
    #[serde(default, skip_serializing_if = "Signature::is_right")]
    pub signature: Signature,
    /// Send the same delivery a second time; both answers must be alike.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    pub expect: Expect,
}

/// How a case is signed. All but the right one must be refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signature {
    #[default]
    Right,
    /// With another secret.
    Wrong,
    /// With the right secret, over another body.
    OtherBytes,
    /// As it would have been right a day ago.
    Stale,
    /// Not at all.
    Missing,
}

impl Signature {
    /// Whether the event must be taken.
    pub fn is_right(&self) -> bool {
        *self == Self::Right
    }

    /// The name as in plans.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::OtherBytes => "other-bytes",
            Self::Stale => "stale",
            Self::Missing => "missing",
        }
    }
}

/// What must come back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expect {
    pub status: u16,
    /// Texts that the body must contain.
    pub contains: Vec<String>,
    /// Headers by name and the text that their value must contain.
    pub headers: Vec<(String, String)>,
    /// JSON pointers and the values that must stand there.
    pub json: Vec<(String, serde_json::Value)>,
}

/// Load at a constant arrival rate, drawn from the suite's cases in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Requests a second.
    pub rate: f64,
    #[serde(with = "duration")]
    pub lasts: Duration,
    /// Thresholds on what the load generator itself saw.
    pub thresholds: Vec<(Metric, Limit)>,
}

impl CriterionCheck {
    /// What must be, in words: `error_rate at most 1%`, or that a suite passes.
    pub fn target(&self) -> String {
        match self {
            Self::Metric { measure, limit, .. } => {
                format!("{measure} {}", limit.describe_in(measure.unit()))
            }
            Self::Suite { suite } => format!("suite `{suite}` passes"),
        }
    }

    /// The query that decides it, if one does.
    pub fn query(&self) -> Option<&Query> {
        match self {
            Self::Metric { measure, .. } => measure.query(),
            Self::Suite { .. } => None,
        }
    }
}

impl Plan {
    /// The phase with this number (from 1) or id.
    pub fn phase(&self, number_or_id: &str) -> Option<&Phase> {
        let by_number = number_or_id.parse::<u32>().ok();
        self.phases.iter().find(|p| Some(p.number) == by_number || p.id.as_str() == number_or_id)
    }

    /// The guards that hold in `phase`.
    pub fn guards_of(&self, phase: &Phase) -> Vec<Guard> {
        let holds = |guard: &&Guard| !phase.without_guards.contains(&guard.id);
        self.guards.iter().filter(holds).cloned().collect()
    }

    /// All criteria once: those of the plan, then those that only a phase has.
    pub fn all_criteria(&self) -> Vec<&Criterion> {
        let mut all: Vec<&Criterion> = self.criteria.iter().collect();
        for criterion in self.phases.iter().flat_map(|p| &p.criteria) {
            if !all.iter().any(|seen| seen.id == criterion.id) {
                all.push(criterion);
            }
        }
        all
    }

    /// As [`Plan::all_criteria`], with those that only a step requires or a milestone stands for;
    /// one may come more than once.
    pub fn named_criteria(&self) -> impl Iterator<Item = &Criterion> {
        let steps = self.phases.iter().flat_map(|phase| &phase.steps);
        let required = steps.flat_map(|step| &step.require);
        let of_milestones = self.milestones.iter().flat_map(|milestone| &milestone.when);
        self.all_criteria().into_iter().chain(required).chain(of_milestones)
    }

    /// Drops guards and criteria, wherever they are named, and thresholds of load.
    pub fn leave_out(
        &mut self,
        guard: impl Fn(&Guard) -> bool,
        criterion: impl Fn(&Criterion) -> bool,
        threshold: impl Fn(Metric) -> bool,
    ) {
        self.guards.retain(|one| !guard(one));
        let keep = |criteria: &mut Vec<Criterion>| criteria.retain(|one| !criterion(one));
        keep(&mut self.criteria);
        for phase in &mut self.phases {
            keep(&mut phase.criteria);
            phase.steps.iter_mut().for_each(|step| keep(&mut step.require));
        }
        self.milestones.iter_mut().for_each(|milestone| keep(&mut milestone.when));
        for load in self.suites.iter_mut().filter_map(|suite| suite.load.as_mut()) {
            load.thresholds.retain(|(metric, _)| !threshold(*metric));
        }
    }

    /// How long all soaks take together, as the plan says.
    pub fn soak_total(&self) -> Duration {
        self.phases.iter().map(Phase::soak_total).sum()
    }
}

impl Phase {
    /// How long the soaks of this phase take together, as the plan says.
    pub fn soak_total(&self) -> Duration {
        self.steps.iter().map(|s| s.soak * u32::try_from(s.parts()).unwrap_or(u32::MAX)).sum()
    }

    /// How probable it may be that an equal canary is aborted at one of its weights: what the judge
    /// allows for a phase, in equal shares for all weights that leave the control some traffic.
    pub fn canary_alpha(&self) -> f64 {
        let weights = self.steps.iter().map(|step| match &step.action {
            Action::Canary { to, .. } => to.iter().filter(|share| **share < Percent::ALL).count(),
            _ => 0,
        });
        let weights = u32::try_from(weights.sum::<usize>().max(1)).unwrap_or(u32::MAX);
        ALPHA / f64::from(weights)
    }

    /// The steps that cannot be undone.
    pub fn irreversible(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|s| s.is_irreversible())
    }
}

impl Action {
    /// In how many parts it is done: at least 1.
    pub fn parts(&self) -> usize {
        match self {
            Self::Ramp { to, .. } | Self::Canary { to, .. } => to.len(),
            _ => 1,
        }
    }
}

impl Step {
    /// In how many parts the step is done, each with its own soak: at least 1.
    pub fn parts(&self) -> usize {
        self.action.parts()
    }

    /// Whether nothing can undo the step.
    pub fn is_irreversible(&self) -> bool {
        matches!(&self.action, Action::Run { undo: None, .. } | Action::Call { undo: None, .. })
    }

    /// Whether the step changes the configuration, whose inverse is always known.
    pub fn is_configuration(&self) -> bool {
        matches!(
            &self.action,
            Action::Set { .. }
                | Action::Ramp { .. }
                | Action::Canary { .. }
                | Action::Install { .. }
                | Action::Uninstall { .. }
        )
    }
}
