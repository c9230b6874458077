//! Strikes, and what was struck.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::process::Command;
use std::time::Duration;

use ctx::failpoint::{self, Point};

/// How a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    /// By itself, when it comes to a point for the nth time.
    At(Point, u64),
    /// From outside, so long after the command has begun.
    After(Duration),
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(point, nth) => write!(f, "{point}:{nth}"),
            Self::After(delay) => write!(f, "{delay:?}"),
        }
    }
}

/// Arms a process that is about to start; only a point needs that.
pub(super) fn armament(command: &mut Command, strike: Strike) -> Option<Point> {
    let Strike::At(point, nth) = strike else { return None };
    command.env("CTX_FAILPOINT", format!("{point}:kill:{nth}"));
    Some(point)
}

/// Whether it is `ctx serve` that comes to a point, and not a command.
pub(super) fn is_served(point: Point) -> bool {
    let of = |prefix| point.name().starts_with(prefix);
    ["serve.", "store.", "start.", "desk.", "gateway.", "handover.", "inbox."].into_iter().any(of)
}

/// The points of one kind of process.
pub(super) fn points(served: bool) -> Vec<Point> {
    let all = failpoint::ALL.iter().map(|(point, ..)| *point);
    all.filter(|point| is_served(*point) == served).collect()
}

/// What one trial, or many, came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) trials: u32,
    /// Processes that died of SIGKILL.
    pub(super) kills: u32,
    /// The points at which one did.
    pub(super) points: BTreeSet<Point>,
    pub(super) ends: BTreeMap<&'static str, u32>,
    /// Events that were answered with 2xx.
    pub(super) acknowledged: usize,
}

impl Tally {
    /// A process that was armed with `point` has died of SIGKILL by itself.
    pub(super) fn struck(&mut self, point: Option<Point>) {
        self.kills += 1;
        self.points.extend(point);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.trials += other.trials;
        self.kills += other.kills;
        self.points.extend(&other.points);
        self.acknowledged += other.acknowledged;
        for (end, times) in &other.ends {
            *self.ends.entry(end).or_insert(0) += times;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (points, all) = (self.points.len(), failpoint::ALL.len());
        write!(f, "{} kills in {} trials, at {points} of {all} points", self.kills, self.trials)?;
        for (end, times) in &self.ends {
            write!(f, ", {times} {end}")?;
        }
        write!(f, ", {} events acknowledged and handled", self.acknowledged)
    }
}
