//! A run's observer that tells people elsewhere, beside the one that tells the terminal.

use super::desk::Desk;
use super::incidents::Incidents;
use crate::error::{Code, Failure};
use crate::ledger::fact::Recorded;
use crate::progress::{Observer, Tick};

/// Passes everything on, and makes alerts of facts.
#[derive(Debug)]
pub struct Watching<'a> {
    shown: &'a mut dyn Observer,
    incidents: Incidents,
    desk: &'a Desk,
}

impl<'a> Watching<'a> {
    /// Watches beside `shown` a run that comes after others, which may have left something open.
    pub fn beside(shown: &'a mut dyn Observer, desk: &'a Desk, earlier: Vec<Incidents>) -> Self {
        Self { shown, incidents: Incidents::after(earlier), desk }
    }

    fn tell(&mut self, recorded: &Recorded) {
        for alert in self.incidents.heard(recorded) {
            self.desk.put(&alert);
        }
    }
}

impl Observer for Watching<'_> {
    /// What an earlier process did not deliver is sent now; the journal knows what it did.
    fn resumed(&mut self, facts: &[Recorded]) {
        self.shown.resumed(facts);
        for recorded in facts {
            self.tell(recorded);
        }
    }

    fn fact(&mut self, recorded: &Recorded) {
        self.shown.fact(recorded);
        self.tell(recorded);
    }

    fn tick(&mut self, tick: &Tick) {
        self.shown.tick(tick);
    }

    fn end(&mut self, result: Result<Code, &Failure>) {
        self.shown.end(result);
    }
}
