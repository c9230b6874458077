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

mod bars;
mod frames;
mod json;
mod lines;
mod pulse;
mod quiet;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, WallMs};
use crate::error::{Code, Failure};
use crate::ids::GuardId;
use crate::judge::guard::Look;
use crate::ledger::fact::Recorded;
use crate::ui::Ui;

pub use bars::Bars;
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

/// The observer that fits the terminal and the flags.
pub fn observer(ui: &Ui, clock: Arc<dyn Clock>) -> Box<dyn Observer> {
    match ui {
        Ui { json: true, .. } => Box::new(JsonLines::new(ui.outlet(), clock)),
        Ui { quiet: true, .. } => Box::new(Quiet),
        Ui { live: true, .. } => Box::new(Bars::new(ui.outlet_err(), ui.width, ui.color_err)),
        _ => Box::new(Lines::new(ui.outlet_err(), ui.color_err)),
    }
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
