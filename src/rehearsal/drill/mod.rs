//! The drill: a fault at every step of a plan, and the proof that the phase rolls back each time.
//!
//! Law: faults come from outside of what is tested. The app misbehaves on demand; `ctx` and
//! `ctx serve` are processes, and die of `kill -9`. What is proven is read from outside, too: the
//! configuration and the extensions over the control API, the files, and the record of the app.
//!
//! How it works: the phases before those that are drilled are migrated once, and the state before
//! each phase is set aside. Every drill begins on a copy of it, with an app, an orchestrator,
//! ports, a ledger and traffic of its own, so several run beside one another.
//!
//! - [`Fault`]: what can go wrong, and how badly.
//! - [`Case`]: one fault at one step.
//! - `process`, `theatre`: the processes, and everything around them.
//! - `provider`: a monitoring server that can go away.
//! - `photo`: the state that must be equal.
//! - `trial`: one drill from its beginning to its end.
//! - [`Drilled`]: what came of it; [`culprits`] names the steps that are to blame.

mod fault;
mod outcome;
mod photo;
mod process;
mod provider;
mod theatre;
mod trial;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::load::Rate;
use crate::plan::Plan;
use crate::plan::model::{Action, Phase, Step};

pub use fault::Fault;
pub use outcome::{Drilled, Ending, culprits};
use theatre::Theatre;

use super::staging::Staging;

/// How often a drill is tried whose phase failed before its fault was there.
const TRIES: u32 = 3;

/// One fault at one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub phase: Phase,
    pub step: Step,
    pub fault: Fault,
}

impl Case {
    /// The part of the step that is struck: the last one, after which there is most to undo; or the
    /// first, where nothing may come after it.
    fn part(&self) -> u32 {
        if self.fault == Fault::MetricsDown {
            return 1;
        }
        let parts = match &self.step.action {
            Action::Ramp { to, .. } | Action::Canary { to, .. } => to.len(),
            _ => 1,
        };
        u32::try_from(parts).unwrap_or(u32::MAX)
    }
}

/// Every fault at every step of a plan, in order, as far as `wanted` says. A phase that no guard
/// watches asks no monitoring, and misses none.
pub fn cases(plan: &Plan, wanted: impl Fn(&Phase, &Step, Fault) -> bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for phase in &plan.phases {
        for step in &phase.steps {
            let guarded = !plan.guards_of(phase).is_empty();
            let faults = Fault::ALL.into_iter().filter(|fault| wanted(phase, step, *fault));
            let faults = faults.filter(|fault| guarded || *fault != Fault::MetricsDown);
            cases.extend(faults.map(|fault| Case {
                phase: phase.clone(),
                step: step.clone(),
                fault,
            }));
        }
    }
    cases
}

/// What all drills of a plan share.
#[derive(Debug)]
pub struct Drill {
    /// The plan as the stage sees it.
    pub plan: Plan,
    /// Its file, absolute.
    pub file: PathBuf,
    /// An empty folder for everything.
    pub folder: PathBuf,
    /// `tempo` and `in_earnest` count; the paths are set here.
    pub staging: Staging,
    pub rate: Rate,
    /// Drills at the same time.
    pub jobs: usize,
    /// What programs of the plan find in their folder.
    pub files: Option<PathBuf>,
    /// Programs whose output is part of the state.
    pub compare: Vec<PathBuf>,
}

/// How far a drill has come.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The state before a phase was set aside.
    Prepared {
        phase: &'a Phase,
        took: Duration,
    },
    Done {
        drilled: &'a Drilled,
        n: usize,
        of: usize,
    },
}

impl Drill {
    /// Migrates what comes before the phases that are drilled, and sets each state aside.
    ///
    /// # Errors
    /// When a phase does not come to its end without a fault.
    pub fn prepare(
        &self,
        cases: &[Case],
        tell: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("the drill's folder: {error}");
        std::fs::create_dir_all(self.folder.join("secrets")).map_err(failed)?;
        self.staging(&self.folder.join("prepare")).make_secrets().map_err(failed)?;
        let last = cases.iter().map(|case| case.phase.number).max().unwrap_or(1);
        let mut theatre: Option<Theatre> = None;
        for phase in self.plan.phases.iter().filter(|phase| phase.number < last) {
            let began = SystemClock.boot();
            let here = match theatre.take() {
                Some(theatre) => theatre,
                None => Theatre::open(self, &self.folder.join("prepare"), None, None, false)?,
            };
            let theatre = theatre.insert(here);
            trial::migrate_whole(theatre, phase)?;
            theatre.set_aside(&self.before(phase.number + 1))?;
            tell(Progress::Prepared { phase, took: SystemClock.boot().saturating_sub(began) });
        }
        Ok(())
    }

    /// Drills every case, several at the same time; in the order of `cases`.
    pub fn perform(&self, cases: &[Case], tell: &(dyn Fn(Progress<'_>) + Sync)) -> Vec<Drilled> {
        // Those that wait have a queue of their own, so that they do not wait for one another.
        let (slow, quick): (Vec<_>, Vec<_>) =
            cases.iter().enumerate().partition(|(_, case)| case.fault.is_slow());
        let queues = [Mutex::new(slow.into_iter()), Mutex::new(quick.into_iter())];
        let lanes = if self.jobs == 1 { vec![[0, 1]] } else { vec![[0, 1], [1, 0]] };
        let done: Mutex<Vec<(usize, Drilled)>> = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for [first, second] in lanes.into_iter().cycle().take(self.jobs.max(1)) {
                let (queues, done) = (&queues, &done);
                scope.spawn(move || {
                    loop {
                        let mine = lock(&queues[first]).next();
                        let Some((mine, case)) = mine.or_else(|| lock(&queues[second]).next())
                        else {
                            return;
                        };
                        let drilled = self.one(mine, case);
                        let mut done = lock(done);
                        let n = done.len() + 1;
                        tell(Progress::Done { drilled: &drilled, n, of: cases.len() });
                        done.push((mine, drilled));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        done.sort_by_key(|(n, _)| *n);
        done.into_iter().map(|(_, drilled)| drilled).collect()
    }

    fn one(&self, n: usize, case: &Case) -> Drilled {
        let mut tried = 1;
        loop {
            let folder = self.folder.join(format!("drill-{}-{tried}", n + 1));
            let drilled = trial::perform(self, case, &folder);
            let again = matches!(drilled.ending, Ending::NotReached(_)) && tried < TRIES;
            if drilled.is_clean() || again {
                // What is left of a drill that went wrong is there to be looked at, with `--keep`.
                let _ = std::fs::remove_dir_all(&folder);
            }
            if !again {
                return drilled;
            }
            tried += 1;
        }
    }

    /// The state before a phase; `None` where nothing was migrated yet.
    fn before(&self, phase: u32) -> PathBuf {
        self.folder.join(format!("before-{phase}"))
    }

    fn staging(&self, folder: &Path) -> Staging {
        Staging {
            secrets: self.folder.join("secrets"),
            taken: folder.join("taken"),
            ..self.staging.clone()
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A drill that panicked has printed why; the others go on.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
