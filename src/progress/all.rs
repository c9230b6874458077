//! Several observers of one run.

use super::{Observer, Tick};
use crate::error::{Code, Failure};
use crate::ledger::fact::Recorded;

/// Tells each of them everything, in order.
#[derive(Debug)]
pub(super) struct All(pub(super) Vec<Box<dyn Observer>>);

impl Observer for All {
    fn resumed(&mut self, facts: &[Recorded]) {
        self.0.iter_mut().for_each(|observer| observer.resumed(facts));
    }

    fn fact(&mut self, recorded: &Recorded) {
        self.0.iter_mut().for_each(|observer| observer.fact(recorded));
    }

    fn tick(&mut self, tick: &Tick) {
        self.0.iter_mut().for_each(|observer| observer.tick(tick));
    }

    fn end(&mut self, result: Result<Code, &Failure>) {
        self.0.iter_mut().for_each(|observer| observer.end(result));
    }
}
