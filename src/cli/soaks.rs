//! Who watches the soaks: flags of the commands that work on a run.

use std::time::Duration;

use crate::control::wire::MAX_CONFIRM_WITHIN;
use crate::engine::executor::Attendance;
use crate::error::{Code, Failure, Result};
use crate::plan::model::{OnFailure, Phase};
use crate::units::duration;

/// How long there is time to confirm after a soak that nobody attended.
const GRACE: &str = "1h";

/// Flags about soaks.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Soaks {
    /// Leave soaks to the orchestrator and exit with 12; `ctx resume` goes on later
    #[arg(long, global = true)]
    pub detach: bool,
    /// How long after each soak a detached change waits to be confirmed before it
    /// reverts [default: 1h]
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration::parse)]
    pub confirm_within: Option<Duration>,
}

impl Soaks {
    /// Who watches, for a run that may have begun otherwise.
    ///
    /// # Errors
    /// When the flags contradict each other.
    pub(crate) fn attendance(&self) -> Result<Attendance> {
        match (self.detach, self.confirm_within) {
            (false, None) => Ok(Attendance::AsBefore),
            (false, Some(_)) => {
                Err(Failure::new(Code::Usage, "`--confirm-within` is for detached soaks")
                    .hint("say `--detach` too; an attended change lives and dies with its lease"))
            }
            (true, grace) => Ok(Attendance::Detach(
                grace.unwrap_or_else(|| duration::parse(GRACE).expect("the default is a duration")),
            )),
        }
    }
}

/// Checks that every detached change of a phase can be kept for as long as it needs.
///
/// # Errors
/// When the longest soak and the time to confirm are more than the orchestrator keeps anything.
pub(crate) fn check(phase: &Phase, attendance: Attendance) -> Result<()> {
    let Attendance::Detach(grace) = attendance else { return Ok(()) };
    if phase.on_failure == OnFailure::Hold {
        return Err(Failure::new(
            Code::Refused,
            format!("phase `{}` holds where it is when it fails", phase.id),
        )
        .why("the orchestrator can take a phase back whole, but not hold it half way")
        .hint(
            "run it without `--detach`, or let it roll back: `on_failure = \"rollback-phase\"`",
        ));
    }
    let too_long = |soak: Duration| soak.saturating_add(grace) > MAX_CONFIRM_WITHIN;
    match phase.steps.iter().find(|step| too_long(step.soak)) {
        None => Ok(()),
        Some(step) => Err(Failure::new(
            Code::Refused,
            format!("step `{}` soaks too long to be left to the orchestrator", step.id),
        )
        .why(format!(
            "{} of soak and {} to confirm are more than {}, which is the longest that anything \
             stays provisional",
            duration::format(step.soak),
            duration::format(grace),
            duration::format(MAX_CONFIRM_WITHIN)
        ))
        .hint("shorten `--confirm-within`, or split the soak: a `soak` step of its own changes nothing")),
    }
}
