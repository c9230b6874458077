//! One trial: a plan that is driven forward or back while everything around it is killed.
//!
//! The seed decides where the plan is meant to go, what is struck, and when. What the kernel and
//! the disk do in between is theirs, so a trial repeats its strikes, not its every byte.

use std::fmt;
use std::time::Duration;

use ctx::control::config::{Config, LEGACY};
use ctx::error::Code;
use ctx::failpoint::Point;
use ctx::ledger::fact::{Fact, Outcome, RunKind};
use ctx::ledger::view::PhaseStatus;
use ctx::load::dice::Dice;

use super::scene::{Ended, Scene};
use super::tally::{Strike, Tally, is_served, points};

/// How often an end is asked for, undisturbed, before it counts as out of reach.
const PATIENCE: usize = 12;
/// The longest time from the beginning of a command to a strike from outside.
const DELAY_MS: u64 = 900;
/// How long a lease lives.
const LEASE: Duration = Duration::from_secs(30);

const MIGRATE: &[&str] = &["migrate", "all", "--yes"];
const RESUME: &[&str] = &["resume", "--yes"];
const ROLLBACK: &[&str] = &["rollback", "--to", "start", "--yes", "--reason", "killed"];

/// Where the plan is meant to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    Done,
    Undone,
}

/// What a trial is made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) seed: u64,
    /// Where the first strike falls; anywhere, if absent.
    pub(super) point: Option<Point>,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        self.point.map_or(Ok(()), |point| write!(f, ":{point}"))
    }
}

impl Trial {
    /// Runs it; `done` is the configuration that the whole plan leads to.
    pub(super) fn run(self, done: &[u8]) -> Tally {
        let mut dice = Dice::new(self.seed);
        let special = self.point.map_or(Special::None, Special::of);
        let born = if special == Special::Birth { self.point } else { None };
        let strikes = born.map(|point| Strike::At(point, 1)).into_iter().collect();
        let soak = if special == Special::Renewal { "11s" } else { "30ms" };
        let mut scene = Scene::new(strikes, soak);
        let before = scene.state().config;
        let aim = match special {
            Special::Renewal | Special::Revert => Aim::Undone,
            Special::Offline | Special::Restore => Aim::Done,
            _ if dice.below(3) == 0 => Aim::Undone,
            _ => Aim::Done,
        };
        self.first(special, &mut scene, &mut dice);
        for _ in 0..dice.below(4) {
            again(aim, &mut scene, &mut dice);
        }
        let end = settle(aim, &mut scene, &before, done);
        if let (Special::Offline | Special::Restore, Some(point)) = (special, self.point) {
            afterwards(special, point, &mut scene);
        }
        let mut tally = scene.ends();
        tally.trials = 1;
        tally.ends.insert(end, 1);
        tally
    }

    /// Begins the plan, and strikes where the trial says.
    fn first(self, special: Special, scene: &mut Scene, dice: &mut Dice) {
        let mut strike = |point| Strike::At(point, 1 + dice.below(comes_back(point)));
        match (special, self.point) {
            (Special::Birth | Special::Offline | Special::Restore, _) | (_, None) => {
                disturbed(MIGRATE, scene, dice);
            }
            (Special::Renewal, Some(point)) => {
                scene.run(MIGRATE, Some(Strike::At(point, 1)), None);
            }
            (Special::Operation, Some(point)) => {
                scene.run(MIGRATE, Some(Strike::At(Point::ApplyReceived, 1)), None);
                scene.run(RESUME, Some(Strike::At(point, 1)), None);
            }
            (Special::Revert, Some(point)) => {
                scene.run(MIGRATE, Some(Strike::At(Point::MetricsReceived, 2)), None);
                scene.run(ROLLBACK, Some(Strike::At(point, 1)), None);
            }
            (Special::Expiry, Some(point)) => {
                rearm(scene, Strike::At(point, 1));
                scene.run(MIGRATE, Some(Strike::At(Point::MetricsReceived, 2)), None);
                // Nobody resumes: the lease lapses, and what was provisional is reverted.
                let lapsed = |scene: &Scene| scene.tally.points.contains(&point);
                assert!(scene.wait(LEASE * 2, lapsed), "the lease has not lapsed");
            }
            (Special::Drain, Some(point)) => {
                rearm(scene, Strike::At(point, 1));
                scene.run(MIGRATE, Some(Strike::At(Point::ApplyReceived, 1)), None);
                scene.serve.terminate();
                let ended = |scene: &Scene| scene.tally.points.contains(&point);
                assert!(scene.wait(LEASE, ended), "it has not ended");
            }
            (Special::None, Some(point)) if is_served(point) => {
                rearm(scene, strike(point));
                scene.run(MIGRATE, None, None);
            }
            (Special::None, Some(point)) => {
                scene.run(MIGRATE, Some(strike(point)), None);
            }
        }
    }
}

/// How often a process that is not disturbed comes to a point, at the least.
fn comes_back(point: Point) -> u64 {
    let begins = |prefix| point.name().starts_with(prefix);
    match () {
        () if begins("ledger.append") => 30,
        () if begins("gateway.forward") || begins("gateway.re") => 20,
        // Once for each change.
        () if begins("desk.swap") => 3,
        () if begins("client.state") || begins("desk") || begins("store.commit") => 4,
        () if ["client.apply", "client.confirm", "backup.part"].into_iter().any(begins) => 3,
        () => 1,
    }
}

/// Points that an ordinary run does not come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    None,
    /// Only the first start comes here.
    Birth,
    /// Only a run that takes longer than a third of its lease.
    Renewal,
    /// Only a run that finds a request of unknown outcome.
    Operation,
    /// Only a rollback that finds something provisional.
    Revert,
    /// Only an orchestrator whose lease is not renewed.
    Expiry,
    /// Only an orchestrator that is asked to end.
    Drain,
    /// Only `ctx ledger rebuild`.
    Offline,
    /// Only `ctx backup restore`.
    Restore,
}

impl Special {
    fn of(point: Point) -> Self {
        let name = point.name();
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        match () {
            () if begins(&["serve.token", "store.migrate", "serve.start.before"]) => Self::Birth,
            () if begins(&["client.renew"]) => Self::Renewal,
            () if begins(&["client.operation"]) => Self::Operation,
            () if begins(&["client.revert"]) => Self::Revert,
            () if begins(&["desk.expiry"]) => Self::Expiry,
            () if begins(&["serve.stop"]) => Self::Drain,
            () if begins(&["ledger.rebuild"]) => Self::Offline,
            () if begins(&["client.restore-cache", "backup.restore"]) => Self::Restore,
            () => Self::None,
        }
    }
}

/// Kills the orchestrator, so that it is armed when it comes back.
fn rearm(scene: &mut Scene, strike: Strike) {
    scene.serve.arm(strike);
    scene.serve.strike(&scene.test, &mut scene.tally);
}

/// Goes on towards the aim, with another strike.
fn again(aim: Aim, scene: &mut Scene, dice: &mut Dice) {
    let command = match (aim, dice.below(3)) {
        (_, 0) => RESUME,
        (Aim::Done, _) => MIGRATE,
        (Aim::Undone, _) => ROLLBACK,
    };
    disturbed(command, scene, dice);
}

/// Runs a command and strikes it, or the orchestrator, or both.
fn disturbed(command: &[&str], scene: &mut Scene, dice: &mut Dice) -> Ended {
    let delay = |dice: &mut Dice| Duration::from_millis(dice.below(DELAY_MS));
    let point = |served: bool, dice: &mut Dice| {
        let points = points(served);
        let n = dice.below(u64::try_from(points.len()).unwrap());
        Strike::At(points[usize::try_from(n).unwrap()], 1 + dice.below(4))
    };
    let (mut strike, mut serve) = (None, None);
    match dice.below(6) {
        0 => strike = Some(Strike::After(delay(dice))),
        1 => serve = Some(delay(dice)),
        2 => {
            strike = Some(Strike::After(delay(dice)));
            serve = Some(delay(dice));
        }
        3 | 4 => strike = Some(point(false, dice)),
        _ => {
            let armed = point(true, dice);
            rearm(scene, armed);
        }
    }
    scene.run(command, strike, serve)
}

/// Goes on undisturbed until the plan has come to an end, and says to which.
fn settle(aim: Aim, scene: &mut Scene, before: &Config, done: &[u8]) -> &'static str {
    let mut said = Vec::new();
    for _ in 0..PATIENCE {
        let ended = scene.run(if aim == Aim::Done { MIGRATE } else { ROLLBACK }, None, None);
        if ended.is(Code::Done) && (aim == Aim::Done || none_in_force(scene)) {
            let state = scene.state();
            assert_eq!(state.provisional, None, "after the end");
            let marked = scene.test.path("mark").exists();
            if aim == Aim::Done {
                assert!(general(&state.config) == done, "not what the plan leads to: {said:#?}");
                assert!(marked, "the program's mark is not there");
                return "done";
            }
            assert_eq!(state.config.canonical(), before.canonical(), "not as before: {said:#?}");
            assert!(!marked, "the program's mark is still there");
            return "rolled back";
        }
        if ended.is(Code::RolledBack) {
            let expected = found_by_last_run(scene);
            assert_eq!(scene.state().config.canonical(), expected.canonical(), "{ended:#?}");
            return "phases rolled back by themselves";
        }
        if let Some(reason) = halted(scene) {
            let status = scene.run(&["status"], None, None);
            assert!(status.says(&reason), "{reason}: {status:#?}");
            return "halted";
        }
        assert!(!ended.is(Code::Locked), "a dead process holds the lease: {ended:#?}");
        said.push(ended);
    }
    panic!("no end in sight: {said:#?}");
}

/// The configuration, but for where the legacy app is.
pub(super) fn general(config: &Config) -> Vec<u8> {
    let mut config = config.clone();
    config.upstreams.remove(LEGACY);
    config.canonical()
}

/// Whether everything was undone.
fn none_in_force(scene: &Scene) -> bool {
    let Some(ledger) = scene.ledger() else { return true };
    let Some(last) = ledger.runs(1).unwrap().into_iter().next() else { return true };
    let phases = ledger.phases(&last.plan).unwrap();
    let over = |status| matches!(status, PhaseStatus::RolledBack);
    ledger.open_run().unwrap().is_none() && phases.iter().all(|phase| over(phase.status))
}

/// The configuration from before the last run, or that it was to lead back to.
fn found_by_last_run(scene: &Scene) -> Config {
    let ledger = scene.ledger().expect("a phase has run");
    let last = ledger.runs(1).unwrap().remove(0);
    assert_eq!(last.outcome, Some(Outcome::RolledBack), "{last:?}");
    let begun = ledger.begun(&last.run).unwrap();
    match begun.kind {
        RunKind::Migrate => begun.base.config,
        RunKind::Rollback { to, .. } => *to,
    }
}

/// Why the run in flight has halted, if it has.
pub(super) fn halted(scene: &Scene) -> Option<String> {
    let ledger = scene.ledger()?;
    let open = ledger.open_run().unwrap()?;
    let facts = ledger.facts(&open.run).unwrap();
    match &facts.last()?.fact {
        Fact::Halted { reason, .. } => Some(ctx::report::sentence::halt_reason(*reason).to_owned()),
        _ => None,
    }
}

/// Runs a command that comes after the plan, struck, and then once more.
fn afterwards(special: Special, point: Point, scene: &mut Scene) {
    let backup = scene.ledger().unwrap().backups().unwrap().remove(0).backup.to_string();
    let restore = ["backup", "restore", &backup, "--part", "cache", "--yes", "--reason", "test"];
    let command: &[&str] =
        if special == Special::Offline { &["ledger", "rebuild"] } else { &restore };
    scene.run(command, Some(Strike::At(point, 1)), None);
    // The lease of a restore that was killed is nobody's.
    scene.serve.strike(&scene.test, &mut scene.tally);
    let ended = scene.run(command, None, None);
    assert!(ended.is(Code::Done), "{ended:#?}");
}
