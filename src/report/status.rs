//! One screen: where the migration stands now, and what to do next.
//!
//! At most 24 rows of 80 columns, so that it fits any terminal without scrolling and
//! `--watch` never flickers. The ledger alone is enough for it; what the orchestrator answers
//! makes it exact.

use std::time::Duration;

use serde::Serialize;

use super::build::Inputs;
use super::live::Live;
use super::model::{
    BackupEntry, IssueEntry, LedgerHead, Moment, NextStep, PhaseState, Progress, Report, RunEntry,
};
use super::place::{Doing, Place};
use super::words;
use crate::clock::WallMs;
use crate::control::wire::LeaseView;
use crate::ids::{GuardId, PhaseId, PlanName, RunId, StepId};
use crate::judge::{Verdict, criterion};
use crate::plan::model::Guard;

/// The version of the status's JSON; fields may be added within a version, never changed.
pub const SCHEMA: &str = "ctx.status/1";

/// Where the migration stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    pub schema: &'static str,
    pub generated_at: Moment,
    pub plan: Option<PlanName>,
    pub title: String,
    /// The address of the orchestrator's control API.
    pub target: Option<String>,
    /// Whether the orchestrator answered just now.
    pub reached: bool,
    /// `healthy`, `unhealthy` or `unknown`.
    pub health: &'static str,
    pub failing: Vec<String>,
    pub progress: Progress,
    /// The run that is not over.
    pub run: Option<InFlight>,
    /// The last run, where none is in flight.
    pub last_run: Option<RunEntry>,
    /// The revision in force, as read back, or else as recorded.
    pub revision: Option<u64>,
    /// What becomes of a provisional revision, as a sentence.
    pub provisional: Option<String>,
    /// The guards of the run in flight.
    pub guards: Vec<GuardNow>,
    pub lease: Option<LeaseView>,
    pub last_backup: Option<BackupEntry>,
    pub last_issue: Option<IssueEntry>,
    pub next_steps: Vec<NextStep>,
    pub ledger: Option<LedgerHead>,
}

/// A run that is not over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InFlight {
    pub run: Option<RunId>,
    pub phase: PhaseId,
    pub phase_number: u32,
    pub phases: u32,
    pub phase_title: String,
    pub begun: Moment,
    /// What it does, as a sentence.
    pub doing: String,
    pub status: PhaseState,
    pub step: Option<StepNow>,
}

/// The step that is at hand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepNow {
    pub id: StepId,
    /// From 1, of [`Self::steps`].
    pub number: usize,
    pub steps: usize,
    pub part: u32,
    pub parts: u32,
    /// The share of traffic that the part sets.
    pub weight: Option<String>,
    pub begun: Moment,
    pub lasted_ms: u64,
    /// What is left of its soak, while it soaks.
    pub soak_left_ms: Option<u64>,
}

/// A guard, its limit, and how it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GuardNow {
    pub guard: GuardId,
    pub state: GuardState,
    /// The limit; with the number and its count where the orchestrator gave one.
    pub sentence: String,
}

/// How a guard is at one look. A breach needs several in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardState {
    /// The orchestrator was not asked.
    Unread,
    Within,
    Outside,
    /// Too little to judge.
    Inconclusive,
}

impl GuardState {
    /// The state in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Unread => "not read",
            Self::Within => "within",
            Self::Outside => "OUTSIDE",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl Status {
    /// Builds the status; `target` is the orchestrator's address where the caller knows it.
    pub fn build(inputs: &Inputs<'_>, target: Option<&str>) -> Self {
        let report = Report::build(inputs);
        let Inputs { now_ms, records, plan, live } = *inputs;
        let place = records.open.as_ref();
        let state = live.and_then(|live| live.state.as_ref());
        let recorded = place.map(|place| place.begun.base.orchestrator.as_str());
        let planned = plan.map(|plan| plan.orchestrator.url.as_str());
        Self {
            schema: SCHEMA,
            generated_at: report.generated_at,
            plan: report.plan,
            title: report.title,
            target: target.or(recorded).or(planned).map(str::to_owned),
            reached: state.is_some(),
            health: live.map_or("unknown", Live::health_word),
            failing: live.map(Live::failing).unwrap_or_default(),
            progress: report.progress,
            run: place.map(|place| in_flight(place, now_ms)),
            last_run: report.runs.into_iter().next().filter(|_| place.is_none()),
            revision: state.map(|state| state.head).or(place.map(|place| place.rev)),
            provisional: match state {
                Some(_) => live.and_then(Live::fate),
                None => place.and_then(recorded_fate),
            },
            guards: place.map(|place| guards(&place.begun.guards, live)).unwrap_or_default(),
            lease: state.and_then(|state| state.lease.clone()),
            last_backup: report.backups.into_iter().next(),
            last_issue: report.issues.into_iter().next(),
            next_steps: report.next_steps,
            ledger: report.ledger,
        }
    }
}

fn recorded_fate(place: &Place) -> Option<String> {
    let (rev, confirmed) = (place.provisional?, place.confirmed);
    let at = match place.left_until() {
        Some((_, Some(ms))) => format!(" at {}", words::time_of_day(ms)),
        _ => String::new(),
    };
    Some(format!(
        "revision {rev} reverts to revision {confirmed}{at} unless confirmed, as recorded"
    ))
}

fn in_flight(place: &Place, now_ms: WallMs) -> InFlight {
    let phase = place.phase();
    InFlight {
        run: place.run.clone(),
        phase: phase.id.clone(),
        phase_number: phase.number,
        phases: place.begun.phases,
        phase_title: phase.title.clone(),
        begun: Moment(place.begun_ms),
        doing: place.activity(),
        status: match &place.doing {
            Doing::Halted { .. } => PhaseState::Halted,
            _ if place.rollback.is_some() => PhaseState::RollingBack,
            _ => PhaseState::Running,
        },
        step: step(place, now_ms),
    }
}

fn step(place: &Place, now_ms: WallMs) -> Option<StepNow> {
    let (number, step) = place.step()?;
    let at = place.at.as_ref()?;
    let soak_left_ms = match place.doing {
        Doing::Soaking { begun_ms, lasts } | Doing::Left { begun_ms, lasts } => {
            Some(millis(lasts.saturating_sub(words::between(begun_ms, now_ms))))
        }
        _ => None,
    };
    Some(StepNow {
        id: step.id.clone(),
        number,
        steps: place.phase().steps.len(),
        part: at.part,
        parts: at.parts,
        weight: place.weight(),
        begun: Moment(place.at_ms),
        lasted_ms: millis(words::between(place.at_ms, now_ms)),
        soak_left_ms,
    })
}

fn guards(guards: &[Guard], live: Option<&Live>) -> Vec<GuardNow> {
    let read = live.and_then(|live| Some((live.metrics.as_ref()?, live.health.as_ref()?)));
    let now = |guard: &Guard| {
        let own = guard.measure.own();
        let Some(((metrics, health), metric)) = read.zip(own) else {
            // What a Prometheus server says, the orchestrator knows while guards are armed.
            let limit = guard.limit.describe_in(guard.measure.unit());
            let sentence = format!("{} {limit}", guard.measure);
            return GuardNow { guard: guard.id.clone(), state: GuardState::Unread, sentence };
        };
        let reading = metric.read(metrics, health);
        let verdict = criterion::judge(metric, guard.limit, guard.min_samples, reading, 1);
        let state = match verdict {
            Verdict::Pass(_) => GuardState::Within,
            Verdict::Fail(_) => GuardState::Outside,
            Verdict::Inconclusive(_) => GuardState::Inconclusive,
        };
        GuardNow { guard: guard.id.clone(), state, sentence: verdict.why().to_owned() }
    };
    guards.iter().map(now).collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
