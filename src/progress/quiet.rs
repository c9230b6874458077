//! The observer that shows nothing.

use super::{Observer, Tick};
use crate::error::{Code, Failure};
use crate::ledger::fact::Recorded;

/// Shows nothing: for `--quiet`, where the result and the exit code say it all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Observer for Quiet {
    fn resumed(&mut self, _: &[Recorded]) {}

    fn fact(&mut self, _: &Recorded) {}

    fn tick(&mut self, _: &Tick) {}

    fn end(&mut self, _: Result<Code, &Failure>) {}
}
