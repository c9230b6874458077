//! What happened when: the guarded metrics and the rollout over time, with everything that a reader
//! looks for marked on them.
//!
//! A fold over the facts of the runs, oldest first; it asks nobody. A chart of it is drawn by
//! [`super::chart`], and the same numbers stand in the report's JSON.

use serde::Serialize;

use super::model::Moment;
use crate::clock::WallMs;
use crate::ids::{GuardId, PhaseId, RunId};
use crate::judge::Limit;
use crate::judge::metric::Unit;
use crate::ledger::fact::{At, Fact, Outcome, Recorded, RunBegun, RunKind};
use crate::plan::model::Action;

/// The runs of a migration on one axis of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// One for each guard that was ever read.
    pub series: Vec<Series>,
    /// The share of the traffic that a ramp or a canary had, from each moment on.
    pub rollout: Vec<Share>,
    pub marks: Vec<Mark>,
}

/// A guard's readings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    pub guard: GuardId,
    /// The limit as a number of the metric's own unit, and in words.
    pub limit: f64,
    pub limit_text: String,
    pub points: Vec<Point>,
    #[serde(skip)]
    pub unit: Unit,
}

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    pub at: Moment,
    pub value: f64,
    pub samples: Option<u64>,
}

/// A share of the traffic, from a moment on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    pub at: Moment,
    pub phase: PhaseId,
    /// 0..=1.
    pub share: f64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    pub at: Moment,
    pub kind: MarkKind,
    pub phase: PhaseId,
    pub run: RunId,
    pub what: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    Step,
    Breach,
    Rollback,
    Confirmed,
}

impl MarkKind {
    /// The kind in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Breach => "breach",
            Self::Rollback => "rollback",
            Self::Confirmed => "confirmed",
        }
    }
}

impl Timeline {
    /// Folds the facts of runs, each run's oldest first, the runs in their order.
    pub fn of<'a>(runs: impl IntoIterator<Item = &'a [Recorded]>) -> Self {
        let mut timeline = Self::default();
        for facts in runs {
            let Some((first, rest)) = facts.split_first() else { continue };
            let (Fact::RunBegun(begun), Some(run)) = (&first.fact, &first.run) else { continue };
            let mut teller = Teller { begun, run, timeline: &mut timeline };
            teller.begin(first.at_ms);
            for recorded in rest {
                teller.see(recorded.at_ms, &recorded.fact);
            }
        }
        timeline
    }

    /// Keeps only what concerns one phase.
    pub fn only(&mut self, phase: &PhaseId) {
        self.rollout.retain(|share| share.phase == *phase);
        self.marks.retain(|mark| mark.phase == *phase);
        let span = (self.marks.first().map(|mark| mark.at), self.marks.last().map(|mark| mark.at));
        if let (Some(from), Some(to)) = span {
            for series in &mut self.series {
                series.points.retain(|point| from <= point.at && point.at <= to);
            }
        }
        self.series.retain(|series| !series.points.is_empty());
    }

    /// The first and the last moment of anything; `None` if there is nothing to show.
    pub fn span(&self) -> Option<(WallMs, WallMs)> {
        let points = self.series.iter().flat_map(|series| &series.points).map(|point| point.at.0);
        let shares = self.rollout.iter().map(|share| share.at.0);
        let marks = self.marks.iter().map(|mark| mark.at.0);
        let all: Vec<WallMs> = points.chain(shares).chain(marks).collect();
        Some((*all.iter().min()?, *all.iter().max()?))
    }
}

/// One run as it is told.
struct Teller<'a> {
    begun: &'a RunBegun,
    run: &'a RunId,
    timeline: &'a mut Timeline,
}

impl Teller<'_> {
    fn begin(&mut self, at_ms: WallMs) {
        let phase = &self.begun.phase;
        match self.begun.kind {
            RunKind::Migrate => {
                let what = format!("phase {} `{}` begun", phase.number, phase.id);
                self.mark(at_ms, MarkKind::Step, what);
            }
            RunKind::Rollback { .. } => {
                self.mark(at_ms, MarkKind::Rollback, "rollback asked for".to_owned());
            }
        }
    }

    fn see(&mut self, at_ms: WallMs, fact: &Fact) {
        match fact {
            Fact::GuardsSampled { samples, .. } => {
                for sample in samples {
                    let point =
                        Point { at: Moment(at_ms), value: sample.value, samples: sample.samples };
                    self.read(&sample.guard, point);
                }
            }
            Fact::ChangeApplied { at, rev, .. } => {
                if let Some(share) = self.share(at) {
                    self.rollout(at_ms, share);
                }
                self.mark(at_ms, MarkKind::Step, format!("step {at} applied as revision {rev}"));
            }
            Fact::LocalDone { at, .. } => {
                self.mark(at_ms, MarkKind::Step, format!("step {at} done"));
            }
            Fact::GuardBreached { guard, why, .. } => {
                self.mark(at_ms, MarkKind::Breach, format!("guard `{guard}`: {why}"));
            }
            Fact::TakenBack { why, .. } => self.mark(at_ms, MarkKind::Breach, why.clone()),
            Fact::StepFailed { at, why } => {
                self.mark(at_ms, MarkKind::Breach, format!("step {at} failed: {why}"));
            }
            Fact::RollbackBegun { cause } => {
                self.mark(at_ms, MarkKind::Rollback, format!("rollback begun: {cause}"));
            }
            Fact::Reverted { .. } | Fact::RestoreApplied { .. } => self.rollout(at_ms, 0.0),
            Fact::RunEnded { outcome, summary } => {
                let kind = match outcome {
                    Outcome::Done => MarkKind::Confirmed,
                    _ => MarkKind::Rollback,
                };
                self.mark(at_ms, kind, summary.clone());
            }
            _ => {}
        }
    }

    fn mark(&mut self, at_ms: WallMs, kind: MarkKind, what: String) {
        let (phase, run) = (self.begun.phase.id.clone(), self.run.clone());
        self.timeline.marks.push(Mark { at: Moment(at_ms), kind, phase, run, what });
    }

    fn rollout(&mut self, at_ms: WallMs, share: f64) {
        // A phase without a ramp has no share that could fall.
        let phase = self.begun.phase.id.clone();
        let ramped = self.timeline.rollout.iter().any(|earlier| earlier.phase == phase);
        if share > 0.0 || ramped {
            self.timeline.rollout.push(Share { at: Moment(at_ms), phase, share });
        }
    }

    /// The share of the traffic that a part of a step gives.
    fn share(&self, at: &At) -> Option<f64> {
        let step = self.begun.phase.steps.iter().find(|step| step.id == at.step)?;
        let (Action::Ramp { to, .. } | Action::Canary { to, .. }) = &step.action else {
            return None;
        };
        let part = usize::try_from(at.part).ok()?.checked_sub(1)?;
        to.get(part).map(|share| share.ratio())
    }

    fn read(&mut self, guard: &GuardId, point: Point) {
        let series = &mut self.timeline.series;
        let position = series.iter().position(|series| series.guard == *guard);
        let position = position.or_else(|| {
            let known = self.begun.guards.iter().find(|known| known.id == *guard)?;
            series.push(Series {
                guard: guard.clone(),
                limit: known.limit.bound(),
                limit_text: limit_text(known.limit, known.metric.unit()),
                points: Vec::new(),
                unit: known.metric.unit(),
            });
            Some(series.len() - 1)
        });
        if let Some(position) = position {
            series[position].points.push(point);
        }
    }
}

fn limit_text(limit: Limit, unit: Unit) -> String {
    let bound = unit.format(limit.bound());
    match limit {
        Limit::AtMost(_) => format!("at most {bound}"),
        Limit::AtLeast(_) => format!("at least {bound}"),
    }
}
