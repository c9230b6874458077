//! `kill -9`, everywhere: of `ctx` and of `ctx serve`, at random instants and at every failpoint.
//!
//! A trial drives a whole plan, forward or back, on the real binary, with an app that handles
//! signed events all the time. Processes die by the trial's seed, in the run and in its recovery,
//! again and again. Then nobody disturbs it any more, and what must hold is checked: the end is
//! that the plan is done, or everything is as it was before, byte for byte, or a halt that
//! `ctx status` explains; both chains verify; no acknowledged event is lost.
//!
//! For thousands of kills, on another seed each time:
//!
//! ```sh
//! CTX_KILLS=5000 cargo test --test it -- --ignored --nocapture kills::as_many
//! ```
//!
//! A trial that fails prints how to run it alone: `CTX_KILLS_TRIAL=SEED:POINT` instead.

mod daemon;
mod history;
mod scene;
mod tally;
mod trial;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use ctx::error::Code;
use ctx::failpoint::{self, Point};
use ctx::load::dice::Dice;
use ctx::settings::environment;

use crate::support::Test;

use scene::Scene;
use tally::{Strike, Tally};
use trial::{Trial, general};

/// The least kills of an ordinary run of the tests.
const KILLS: u32 = 200;
/// Trials at the same time; much of a trial is waiting.
const WORKERS: usize = 5;

/// Points that no trial strikes, each with the reason.
const SPARED: [(Point, &str); 7] = [
    (Point::HandoverOffers, HANDOVER),
    (Point::HandoverTaken, HANDOVER),
    (Point::HandoverReleases, HANDOVER),
    (Point::HandoverReleased, HANDOVER),
    (Point::HandoverOpens, HANDOVER),
    (Point::HandoverServes, HANDOVER),
    (Point::HandoverHeard, HANDOVER),
];
const HANDOVER: &str = "two processes are needed; tests/it/transport/handover.rs strikes each";

#[test]
fn two_hundred_kills_lose_nothing_and_strike_every_failpoint() {
    let mut dice = Dice::new(3);
    // Those that wait for a clock come first, so that the others go on meanwhile.
    let slow = |point: &Point| {
        let name = point.name();
        !["desk.expiry", "client.renew"].iter().any(|prefix| name.starts_with(prefix))
    };
    let mut points: Vec<_> = failpoint::ALL.iter().map(|(point, ..)| *point).collect();
    points.retain(|point| SPARED.iter().all(|(spared, _)| spared != point));
    points.sort_by_key(slow);
    let trials = points.iter().map(|point| Trial { seed: dice.roll(), point: Some(*point) });
    let mut trials: Vec<_> = trials.collect();
    trials.reverse();
    let tally = all(trials, |tally| {
        (tally.kills < KILLS).then(|| Trial { seed: dice.roll(), point: None })
    });
    println!("{tally}");
    let missed: Vec<_> = points.iter().filter(|point| !tally.points.contains(point)).collect();
    assert!(missed.is_empty(), "no process died at {missed:?}");
    assert!(tally.kills >= KILLS, "{tally}");
}

#[test]
#[ignore = "takes as long as it is told to; see the module"]
fn as_many_kills_as_are_asked_for() {
    let mut dice = Dice::fresh();
    let all_points = || failpoint::ALL.iter().map(|(point, ..)| *point);
    if let Some(one) = environment("CTX_KILLS_TRIAL") {
        let (seed, name) = one.split_once(':').unwrap_or((&one, ""));
        let point = all_points().find(|point| point.name() == name);
        let trial = Trial { seed: seed.parse().expect("it begins with a seed"), point };
        println!("{}", all(vec![trial], |_| None));
        return;
    }
    let kills = environment("CTX_KILLS").map_or(1000, |n| n.parse().expect("it is a number"));
    let points: Vec<_> = all_points().collect();
    let tally = all(Vec::new(), |tally| {
        let n = dice.below(2 * u64::try_from(points.len()).unwrap());
        // Half of the trials begin anywhere.
        let point = points.get(usize::try_from(n).unwrap()).copied();
        (tally.kills < kills).then(|| Trial { seed: dice.roll(), point })
    });
    println!("{tally}");
}

#[test]
fn a_process_that_slept_through_its_lease_writes_nothing_under_it() {
    let points = [Point::ApplySends, Point::ConfirmSends, Point::MetricsReceived];
    for point in points {
        let mut scene = Scene::new(Vec::new(), "30ms");
        // A start voids every lease; the one that lapses after 30 s is struck elsewhere.
        let ended = scene.run_stopped(&["migrate", "all", "--yes"], point, |scene| {
            scene.serve.strike(&scene.test, &mut scene.tally);
        });
        assert!(ended.is(Code::Done), "{point}: {ended:#?}");
        assert!(scene.test.count("lease_taken") > 2, "{point}: the lease was taken again");
        scene.ends();
    }
}

#[test]
fn an_orchestrator_that_forgets_halts_the_run_and_status_says_why() {
    let mut scene = Scene::new(Vec::new(), "30ms");
    let older = scene.test.path("older");
    let state = scene.test.path("state");
    scene.serve.kill(&mut scene.tally);
    copy(&state, &older);
    scene.serve.start(&scene.test, &mut scene.tally);
    scene.run(&["migrate", "all", "--yes"], Some(Strike::At(Point::CallSends, 1)), None);
    // A disk is put back from a copy that was made before the run.
    scene.serve.kill(&mut scene.tally);
    std::fs::remove_dir_all(&state).unwrap();
    copy(&older, &state);
    scene.serve.start(&scene.test, &mut scene.tally);
    let ended = scene.run(&["resume"], None, None);
    let reason = trial::halted(&scene).unwrap_or_else(|| panic!("{ended:#?}"));
    let status = scene.run(&["status"], None, None);
    assert!(status.says(&reason), "{reason}: {status:#?}");
    scene.ends();
}

#[test]
fn a_failpoint_that_there_is_not_is_named() {
    let test = Test::new().env("CTX_FAILPOINT", "ledger.append.sometime:kill");
    test.run(&["status"]).exits(Code::Usage).warns(&["`ledger.append.sometime:kill`"]);
}

/// Runs these trials, the last one first, and then those that `more` asks for.
fn all(trials: Vec<Trial>, more: impl FnMut(&Tally) -> Option<Trial> + Send) -> Tally {
    let done = undisturbed();
    let queue = Mutex::new((trials, more, Tally::default()));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let trial = {
                        let (trials, more, tally) = &mut *queue.lock().unwrap();
                        trials.pop().or_else(|| more(tally))
                    };
                    let Some(trial) = trial else { return };
                    match catch_unwind(AssertUnwindSafe(|| trial.run(&done))) {
                        Ok(tally) => queue.lock().unwrap().2.add(&tally),
                        Err(_) => failed.lock().unwrap().push(trial.to_string()),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} trials failed, as is said above; to run one of them alone:\n  CTX_KILLS_TRIAL={} cargo \
         test --test it -- --ignored kills::as_many",
        failed.len(),
        failed.join(" or ")
    );
    queue.into_inner().unwrap().2
}

/// The configuration that the plan leads to when nobody disturbs it.
fn undisturbed() -> Vec<u8> {
    let mut scene = Scene::new(Vec::new(), "30ms");
    let ended = scene.run(&["migrate", "all", "--yes"], None, None);
    assert!(ended.is(Code::Done), "{ended:#?}");
    let done = general(&scene.state().config);
    scene.ends();
    done
}

/// The pause between two looks at the processes.
fn nap(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "processes are watched from outside")]
    std::thread::sleep(time);
}

/// Copies a folder of files.
fn copy(from: &Path, to: &Path) {
    DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // A socket is nobody's content.
        if !entry.file_type().unwrap().is_file() {
            continue;
        }
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
