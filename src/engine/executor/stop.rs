//! Why the loop came back, and what that means to the person who started it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::rfc3339;
use crate::control::client::ControlError;
use crate::control::failure::control_failure;
use crate::control::wire::{LeaseView, ProblemCode};
use crate::engine::state::StateError;
use crate::error::{Code, Failure, Result};
use crate::ledger::LedgerError;
use crate::ledger::fact::{HaltReason, Outcome};

/// Why nobody has to hurry when a run stops half way.
const TAKEN_BACK: &str = "what is provisional is taken back by the orchestrator itself";

/// Why the loop came back.
#[derive(Debug)]
pub enum Stop {
    /// The run has ended; the sentence says how.
    Ended(Outcome, String),
    /// A person must approve first.
    Awaiting(String),
    /// A signal asked it to stop, and it stopped at a safe point.
    Interrupted(Signal),
    /// The same, but this revision could not be taken back before the process left.
    LeftBehind(Signal, u64),
    /// A person asked for it from another terminal.
    Paused {
        by: String,
    },
    /// The soak goes on at the orchestrator; somebody comes back to confirm.
    Left(Left),
    /// It cannot go on by itself.
    Halted(HaltReason, String),
    /// Somebody else holds the lease.
    Held(Box<LeaseView>),
    /// The orchestrator did not answer for too long.
    Lost(ControlError),
    /// The orchestrator refused something that it should not have.
    Refused(ControlError),
    /// Refused before anything was recorded.
    Failed(Failure),
    Ledger(LedgerError),
    State(StateError),
}

/// A soak that goes on without this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Such as `pool-ramp 2/4`.
    pub step: String,
    /// How much longer it soaks; zero when it only waits to be confirmed.
    pub soaks: Duration,
    /// What is missing although the time is over, such as a guard without data.
    pub waits_for: Option<String>,
    /// The provisional revision: its number, the one it reverts to, and how long it has left.
    pub provisional: Option<(u64, u64, Duration)>,
}

/// The signals that ask a run to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, SIGHUP, or a closed terminal.
    Terminate,
}

impl Signal {
    /// The exit code of a process that it stopped.
    const fn code(self) -> Code {
        match self {
            Self::Interrupt => Code::Interrupted,
            Self::Terminate => Code::Terminated,
        }
    }

    /// The signal's name, as people know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl Stop {
    /// Why a request has no good answer, as the reason for a stop.
    pub(super) fn of(error: ControlError) -> Self {
        match error {
            ControlError::Refused(problem) => match (problem.code, &problem.lease) {
                (ProblemCode::LeaseHeld, Some(lease)) => Self::Held(Box::new(lease.clone())),
                _ => Self::Refused(ControlError::Refused(problem)),
            },
            error => Self::Lost(error),
        }
    }

    /// The same stop before the run's first fact: a call that failed leaves nothing to go on with.
    pub(super) fn before_the_run(self) -> Self {
        match self {
            Self::Lost(error) | Self::Refused(error) => {
                Self::Failed(control_failure(&error).hint("nothing was begun"))
            }
            stop => stop,
        }
    }

    /// What the process exits with, or the failure it prints.
    ///
    /// # Errors
    /// For everything that is not a plain end.
    pub fn into_result(self, again: &str, now: DateTime<Utc>) -> Result<Code> {
        let resume = format!("go on with `{again}`");
        let failure = match self {
            Self::Ended(Outcome::Done, _) => return Ok(Code::Done),
            Self::Ended(Outcome::RolledBack, summary) => Failure::new(
                Code::RolledBack,
                "the phase failed and was rolled back",
            )
            .why(summary)
            .hint("the configuration is the one from before the phase, read back and compared")
            .hint("see what happened: `ctx report`"),
            Self::Ended(Outcome::Held | Outcome::Abandoned, summary) => {
                Failure::new(Code::Failed, "the phase failed and was not rolled back")
                    .why(summary)
                    .hint(format!("see to the cause, then run it again: `{again}`"))
                    .hint("or undo it with `ctx rollback`")
            }
            Self::Ended(Outcome::RollbackIncomplete, summary) => Failure::new(
                Code::RollbackIncomplete,
                "the rollback is incomplete: a person is needed",
            )
            .why(summary)
            .hint("see what is not undone, and why: `ctx status`")
            .hint("once that is mended, `ctx rollback` tries it again"),
            Self::Awaiting(prompt) => {
                Failure::new(Code::Awaiting, "the phase waits for an approval")
                    .why(prompt)
                    .hint(format!("approve it with `{again} --yes`"))
            }
            Self::Left(left) => left.into_failure(now),
            Self::Paused { by } => Failure::new(Code::Awaiting, "paused at a safe point")
                .why(format!("asked for by {by}; what was provisional was taken back"))
                .hint(resume)
                .hint("or undo the phase with `ctx rollback`"),
            Self::LeftBehind(signal, rev) => {
                Failure::new(signal.code(), format!("stopped by {}", signal.name()))
                    .why(format!(
                        "revision {rev} was not taken back: the orchestrator does not answer; it \
                         takes it back itself when the lease lapses"
                    ))
                    .hint(resume)
                    .hint("or undo the phase with `ctx rollback`")
            }
            Self::Interrupted(signal) => {
                Failure::new(signal.code(), format!("stopped by {} at a safe point", signal.name()))
                    .why("what was provisional was taken back; confirmed steps stay")
                    .hint(resume)
                    .hint("or undo the phase with `ctx rollback`")
            }
            Self::Halted(reason, detail) => halted(reason, detail, &resume),
            Self::Held(lease) => {
                Failure::new(Code::Locked, "somebody else is changing this orchestrator")
                    .why(format!(
                        "run {} of {}@{} (pid {}), last heard of {:.1} s ago, holds the lease \
                         until {}",
                        lease.run,
                        lease.holder,
                        lease.host,
                        lease.pid,
                        Duration::from_millis(lease.heartbeat_age_ms).as_secs_f64(),
                        rfc3339(now + Duration::from_millis(lease.expires_in_ms)),
                    ))
                    .hint("wait for it, or ask them; a dead holder's lease lapses by itself")
            }
            Self::Lost(error) => control_failure(&error).hint(TAKEN_BACK).hint(resume),
            Self::Refused(error) => {
                let failure = control_failure(&error);
                let code = match error.code() {
                    Some(ProblemCode::StaleFence) => Code::LeaseLost,
                    _ => failure.code,
                };
                Failure { code, ..failure }.hint(resume)
            }
            Self::Failed(failure) => failure,
            Self::Ledger(error) => Failure::from(error).hint(TAKEN_BACK).hint(resume),
            Self::State(error) => error.into(),
        };
        Err(failure)
    }
}

impl Left {
    fn into_failure(self, now: DateTime<Utc>) -> Failure {
        let Self { step, soaks, waits_for, provisional } = self;
        let what = match (&waits_for, soaks.is_zero()) {
            (Some(what), _) => format!("step {step} has soaked, and still waits for {what}"),
            (None, true) => format!("step {step} has soaked and waits to be confirmed"),
            (None, false) => {
                format!("step {step} soaks until {} without this process", rfc3339(now + soaks))
            }
        };
        let failure = Failure::new(Code::Awaiting, what);
        let failure = match provisional {
            Some((rev, back, left)) => failure.why(format!(
                "revision {rev} reverts to revision {back} at {} unless confirmed, and at once \
                 when a guard is breached",
                rfc3339(now + left)
            )),
            None => failure.why("the orchestrator takes the phase back when a guard is breached"),
        };
        failure
            .hint("`ctx resume` goes on when it is over; a scheduled job may ask again and again")
            .hint("confirm it now with `ctx confirm`, or undo it with `ctx abort`")
    }
}

fn halted(reason: HaltReason, detail: String, resume: &str) -> Failure {
    let (code, what, hint) = match reason {
        HaltReason::Drift => (
            Code::Refused,
            "halted: the configuration was changed by somebody else",
            "look at it with `ctx status`; undo the phase with `ctx rollback`",
        ),
        HaltReason::WrongOrchestrator => (
            Code::Refused,
            "halted: this is another orchestrator than the one the run began on",
            "check `--orchestrator` and the plan's `[orchestrator] url`",
        ),
        HaltReason::StateRegression => (
            Code::Refused,
            "halted: the orchestrator was restored to an older state",
            "find out who restored it; `ctx rollback` writes the configuration from before",
        ),
        HaltReason::Tampered => (
            Code::LedgerDamaged,
            "halted: the orchestrator knows a request of ours with other bytes",
            "check the ledger with `ctx ledger verify`",
        ),
        HaltReason::PlanChanged => (
            Code::PlanEdited,
            "halted: the plan was edited since the run began",
            "put the plan back, or undo the phase with `ctx rollback`",
        ),
    };
    Failure::new(code, what).why(detail).hint(hint).hint(format!("then {resume}"))
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::new(Code::LedgerDamaged, "the ledger's facts do not fit together")
            .because(&error)
            .hint("check it with `ctx ledger verify`")
    }
}
