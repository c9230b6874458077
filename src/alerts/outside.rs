//! From what `ctx monitor` sees outside a phase to what people are told.
//!
//! A guard that is breached is an incident, until it holds again or the phase is rolled back. Its
//! key is made of the plan and the guard: one look after the other finds the same incident. The
//! rollback itself is a run, and told as one.

use std::collections::BTreeMap;

use super::alert::{About, Alert, Event, Status, Subject};
use crate::clock::WallMs;
use crate::ids::{GuardId, PhaseId, PlanName};
use crate::ledger::monitored::Monitored;
use crate::plan::alerts::Severity;

/// The guards of a plan, as far as people were told of them.
#[derive(Clone, Debug)]
pub struct Outside {
    plan: PlanName,
    orchestrator: String,
    /// Since when each is breached.
    breached: BTreeMap<GuardId, WallMs>,
}

impl Outside {
    /// Nobody was told of anything yet.
    pub fn of(plan: PlanName, orchestrator: String) -> Self {
        Self { plan, orchestrator, breached: BTreeMap::new() }
    }

    /// Takes in what was seen, and says what there is to tell.
    pub fn heard(&mut self, event: &Monitored, at: WallMs) -> Option<Alert> {
        match event {
            Monitored::Breached { guard, .. } => {
                let began = *self.breached.entry(guard.clone()).or_insert(at);
                let alert = self.alert(guard, Status::Firing, began, at);
                Some(Alert {
                    title: "guard breached".to_owned(),
                    detail: event.sentence(),
                    next: Some("`ctx status --live`; `ctx rollback` undoes the last phase".into()),
                    ..alert
                })
            }
            Monitored::Recovered { guard, .. } => {
                let began = self.breached.remove(guard)?;
                let alert = self.alert(guard, Status::Resolved, began, at);
                let title = "guard holds again".to_owned();
                Some(Alert { title, detail: event.sentence(), ..alert })
            }
            Monitored::Unknown { guard, .. } => {
                let alert = self.alert(guard, Status::Note, at, at);
                Some(Alert {
                    key: format!("{}/unknown/{at}", alert.key),
                    event: Event::Halt,
                    severity: Severity::Warning,
                    title: "guard cannot be judged".to_owned(),
                    detail: event.sentence(),
                    ..alert
                })
            }
            Monitored::Begun { .. } | Monitored::Reported(_) | Monitored::Ended { .. } => None,
        }
    }

    /// The phase is taken back, and with it what its guards were about.
    pub fn rolled_back(&mut self, phase: &PhaseId, at: WallMs) -> Vec<Alert> {
        let over = std::mem::take(&mut self.breached).into_iter();
        over.map(|(guard, began)| Alert {
            title: "rolled back, the service is as before".to_owned(),
            detail: format!("phase `{phase}` was rolled back, as guard `{guard}` was breached"),
            ..self.alert(&guard, Status::Resolved, began, at)
        })
        .collect()
    }

    /// Everything but the words.
    fn alert(&self, guard: &GuardId, status: Status, began_ms: WallMs, at_ms: WallMs) -> Alert {
        let key = format!("ctx/{}/guards/{guard}", self.plan);
        Alert {
            id: format!("{key}/{}/{at_ms}", status.name()),
            key,
            event: if status == Status::Resolved { Event::End } else { Event::Breach },
            status,
            severity: Severity::Error,
            title: String::new(),
            detail: String::new(),
            next: None,
            about: About {
                subject: Subject::Plan(self.plan.clone()),
                orchestrator: self.orchestrator.clone(),
            },
            began_ms,
            at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::NOON;

    fn outside() -> Outside {
        Outside::of("shop".parse().unwrap(), "http://127.0.0.1:7700".to_owned())
    }

    fn breached() -> Monitored {
        Monitored::Breached { guard: "errors".parse().unwrap(), why: "7% > 5%".to_owned() }
    }

    #[test]
    fn a_breach_lasts_until_the_guard_holds_again() {
        let mut outside = outside();
        let first = outside.heard(&breached(), NOON).unwrap();
        assert_eq!((first.event, first.status), (Event::Breach, Status::Firing));
        assert_eq!(first.place(), "shop, outside a phase");
        let recovered =
            Monitored::Recovered { guard: "errors".parse().unwrap(), why: "1%".to_owned() };
        let over = outside.heard(&recovered, NOON + 9).unwrap();
        assert_eq!((over.status, &over.key, over.began_ms), (Status::Resolved, &first.key, NOON));
        assert_eq!(outside.heard(&recovered, NOON + 10), None, "nobody was told that it did not");
    }

    #[test]
    fn a_rollback_ends_every_breach_once() {
        let mut outside = outside();
        let first = outside.heard(&breached(), NOON).unwrap();
        let phase = "caching".parse().unwrap();
        let over = outside.rolled_back(&phase, NOON + 9);
        assert_eq!(over.len(), 1);
        assert_eq!((&over[0].key, over[0].status), (&first.key, Status::Resolved));
        assert_eq!(outside.rolled_back(&phase, NOON + 10), []);
    }

    #[test]
    fn what_cannot_be_judged_is_a_note_that_rings_no_pager() {
        let unknown = Monitored::Unknown { guard: "errors".parse().unwrap(), why: "-".to_owned() };
        let note = outside().heard(&unknown, NOON).unwrap();
        assert_eq!((note.status, note.severity), (Status::Note, Severity::Warning));
        let ended = Monitored::Ended { why: "every guard held".to_owned() };
        assert_eq!(outside().heard(&ended, NOON), None);
    }
}
