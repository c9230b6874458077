//! From what self-healing cannot cure to what people are told.
//!
//! A reconciler: it compares what is sick by now with what was told, so that nothing depends on
//! being called at the right moment. An incident lasts as long as its cause is sick; its key is
//! made of the orchestrator's address and the cause, so the next process goes on with the same.

use std::collections::BTreeMap;

use super::alert::{About, Alert, Event, Status, Subject};
use crate::clock::WallMs;
use crate::control::observe::Escalation;
use crate::plan::alerts::Severity;

/// What people were told of and not yet that it is over.
#[derive(Clone, Debug)]
pub struct Escalations {
    orchestrator: String,
    /// What is sick, since when, and when self-healing gave up.
    told: BTreeMap<String, (WallMs, String)>,
}

impl Escalations {
    /// Nobody was told of anything by the orchestrator whose control API is there.
    pub fn at(orchestrator: String) -> Self {
        Self { orchestrator, told: BTreeMap::new() }
    }

    /// Looks at what self-healing has given up on, and says what there is to tell.
    pub fn seen(&mut self, now: &[Escalation], at: WallMs) -> Vec<Alert> {
        let well: Vec<String> = self.told.keys().cloned().collect();
        let well = well.into_iter().filter(|told| now.iter().all(|sick| sick.what != *told));
        let mut alerts = Vec::new();
        for what in well {
            let Some((began, _)) = self.told.remove(&what) else { continue };
            alerts.push(Alert {
                title: format!("{what} is well again"),
                detail: format!("self-healing sees nothing wrong with {what} any more"),
                ..self.alert(&what, Status::Resolved, began, at)
            });
        }
        for Escalation { at: gave_up, what, because } in now {
            if self.told.get(what).is_some_and(|(_, told)| told == gave_up) {
                continue;
            }
            // Given up on again, before anybody saw that it was well in between.
            let began = self.told.get(what).map_or(at, |(began, _)| *began);
            self.told.insert(what.clone(), (began, gave_up.clone()));
            alerts.push(Alert {
                title: format!("self-healing does not help: {what}"),
                detail: because.clone(),
                next: Some("look at `ctx status --live`, and at the service itself".to_owned()),
                ..self.alert(what, Status::Firing, began, at)
            });
        }
        alerts
    }

    /// Everything but the words.
    fn alert(&self, what: &str, status: Status, began_ms: WallMs, at_ms: WallMs) -> Alert {
        let key = format!("ctx/{}/healing/{what}", self.orchestrator);
        Alert {
            id: format!("{key}/{}/{at_ms}", status.name()),
            key,
            event: Event::Escalation,
            status,
            severity: Severity::Critical,
            title: String::new(),
            detail: String::new(),
            next: None,
            about: About { subject: Subject::Service, orchestrator: self.orchestrator.clone() },
            began_ms,
            at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::NOON;

    fn sick(what: &str, at: &str) -> Escalation {
        Escalation { at: at.to_owned(), what: what.to_owned(), because: "status 503".to_owned() }
    }

    fn told(alerts: &[Alert]) -> Vec<(Status, String)> {
        alerts.iter().map(|alert| (alert.status, alert.title.clone())).collect()
    }

    #[test]
    fn each_is_told_once_and_so_is_its_end() {
        let mut escalations = Escalations::at("http://127.0.0.1:7700".to_owned());
        let legacy = [sick("upstream legacy", "12:00")];
        let first = escalations.seen(&legacy, NOON);
        let title = "self-healing does not help: upstream legacy".to_owned();
        assert_eq!(told(&first), [(Status::Firing, title)]);
        assert_eq!(escalations.seen(&legacy, NOON + 1), []);
        let both = [legacy[0].clone(), sick("the machine", "12:01")];
        assert_eq!(escalations.seen(&both, NOON + 2).len(), 1);
        let over = escalations.seen(&both[1..], NOON + 3);
        assert_eq!(told(&over), [(Status::Resolved, "upstream legacy is well again".to_owned())]);
        assert_eq!((&over[0].key, over[0].began_ms), (&first[0].key, NOON));
        assert_eq!(escalations.seen(&[], NOON + 4).len(), 1);
        assert_eq!(escalations.seen(&[], NOON + 5), []);
    }

    #[test]
    fn what_is_given_up_on_again_is_the_same_incident() {
        let mut escalations = Escalations::at("http://127.0.0.1:7700".to_owned());
        let first = escalations.seen(&[sick("upstream legacy", "12:00")], NOON);
        let again = escalations.seen(&[sick("upstream legacy", "12:09")], NOON + 9);
        assert_eq!((again.len(), again[0].began_ms), (1, NOON));
        assert_eq!(again[0].key, first[0].key);
        assert_ne!(again[0].id, first[0].id);
    }
}
