//! How a run is shown while it happens.
//!
//! The engine tells an [`Observer`] what it has recorded and, in between, that time passes. An
//! observer only looks: it cannot fail, it cannot stop a run, and nothing is decided by what it
//! prints. The ledger is the record; every observer is a view of the same facts, in the
//! words of [`crate::report::sentence`].
//!
//! A run calls [`Observer::resumed`] once if there are facts from before, then
//! [`Observer::fact`] after each append and [`Observer::tick`] about once a second, and at last
//! [`Observer::end`]; [`finish`] does that for a command.

mod all;
mod bars;
mod file;
mod frames;
pub mod github;
mod json;
mod lines;
mod pulse;
mod quiet;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, WallMs};
use crate::error::{Code, Failure};
use crate::ids::GuardId;
use crate::judge::guard::Look;
use crate::ledger::fact::Recorded;
use crate::ui::Ui;

use all::All;
pub use bars::Bars;
pub use github::Github;
pub use json::JsonLines;
pub use lines::Lines;
pub use quiet::Quiet;

/// Somebody who watches a run.
pub trait Observer: fmt::Debug + Send {
    /// A run from before is taken up; these are all its facts until now, oldest first.
    fn resumed(&mut self, facts: &[Recorded]);
    /// One more fact is durable.
    fn fact(&mut self, recorded: &Recorded);
    /// Time passes.
    fn tick(&mut self, tick: &Tick);
    /// The command ends, with a code or a failure. Called once, whatever happened.
    fn end(&mut self, result: Result<Code, &Failure>);
}

/// What there is to say while nothing is recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tick {
    pub at_ms: WallMs,
    /// The soak that runs, if one does.
    pub soak: Option<Soak>,
    /// The last look at each guard, in the order of the plan.
    pub guards: Vec<Glance>,
    /// What the run waits for when it is not a soak, such as `the orchestrator does not answer`.
    pub waiting: Option<String>,
}

/// How far a soak is, in real time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soak {
    pub elapsed: Duration,
    pub total: Duration,
}

impl Soak {
    /// The time that is left.
    pub fn left(self) -> Duration {
        self.total.saturating_sub(self.elapsed)
    }
}

/// The last look at one guard.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    pub guard: GuardId,
    pub look: Look,
}

/// Who else is told of a run than whoever watches the terminal.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// A file for the same records that `--json` prints.
    pub json_into: Option<PathBuf>,
    /// GitHub Actions runs this.
    pub github: Option<GithubStep>,
}

/// A step of a job of GitHub Actions.
#[derive(Clone, Debug, Default)]
pub struct GithubStep {
    /// The file for its summary.
    pub summary: Option<PathBuf>,
}

/// The observers that fit the terminal, the flags and the environment.
///
/// # Errors
/// When the file for records cannot be written to.
pub fn observer(
    ui: &Ui,
    clock: &Arc<dyn Clock>,
    beside: &Beside,
) -> crate::error::Result<Box<dyn Observer>> {
    let shown: Box<dyn Observer> = match ui {
        Ui { json: true, .. } => Box::new(JsonLines::new(ui.outlet(), Arc::clone(clock))),
        Ui { quiet: true, .. } => Box::new(Quiet),
        Ui { live: true, .. } => Box::new(Bars::new(ui.outlet_err(), ui.width, ui.color_err)),
        _ => Box::new(Lines::new(ui.outlet_err(), ui.color_err)),
    };
    // The group of a run begins before its first line.
    let mut all: Vec<Box<dyn Observer>> = Vec::new();
    if let Some(step) = &beside.github {
        all.push(Box::new(Github::new(ui.outlet_err(), step.summary.clone())));
    }
    all.push(shown);
    if let Some(path) = &beside.json_into {
        let records = file::Records::begin(path).map_err(|error| {
            let what = format!("failed to write records into `{}`", path.display());
            Failure::new(Code::Usage, what).because(&error).hint("name another file")
        })?;
        all.push(Box::new(JsonLines::new(records, Arc::clone(clock))));
    }
    Ok(Box::new(All(all)))
}

/// Tells the observer how the command ends.
///
/// With `--json` the last record is `run_end`, also of a failure; so the failure is printed to
/// stderr here, and only its exit code goes on to the caller, who would print it once more.
///
/// # Errors
/// The failure, where it is still to be printed.
pub fn finish(
    observer: &mut dyn Observer,
    ui: &Ui,
    result: crate::error::Result<Code>,
) -> crate::error::Result<Code> {
    observer.end(result.as_ref().copied());
    match result {
        Err(failure) if ui.json => {
            ui.fail(&failure);
            Ok(failure.code)
        }
        result => result,
    }
}
