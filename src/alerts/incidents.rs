//! From the facts of a run to what people are told.
//!
//! A run has at most two incidents. It *fails* from the first breach or the beginning of a
//! rollback until it ends well or is rolled back; that is ctx's own business, and an error. It
//! *needs a person* while it is halted, or when it ends held or half rolled back; that is critical.
//! Everything else worth telling is a note.
//!
//! Keys come from the run alone, ids from the run and the number of the fact in the ledger: a
//! process that takes the run up makes the same alerts of the same facts.

use super::alert::{About, Alert, Event, Status, Subject};
use crate::clock::WallMs;
use crate::ids::RunId;
use crate::ledger::fact::{Fact, Outcome, Recorded, RunBegun, RunKind};
use crate::plan::alerts::Severity;
use crate::report::sentence::sentence;

/// What is the matter with a run, as far as its facts say.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    about: Option<(RunId, About)>,
    /// Since when it fails.
    failing: Option<WallMs>,
    /// Since when it needs a person.
    waiting: Option<WallMs>,
    /// Those of earlier runs, which the next run that ends well ends too.
    earlier: Vec<Self>,
}

/// What an alert is about: one of the two incidents of a run, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Failing,
    Person,
    Note,
}

/// An alert before it knows whose it is.
struct News {
    slot: Slot,
    event: Event,
    status: Status,
    severity: Severity,
    title: &'static str,
    next: Option<&'static str>,
    began_ms: WallMs,
}

impl Incidents {
    /// Begins where earlier runs left something open.
    #[must_use]
    pub fn after(earlier: Vec<Self>) -> Self {
        Self { earlier, ..Self::default() }
    }

    /// What the facts of a whole run leave.
    #[must_use]
    pub fn of(facts: &[Recorded]) -> Self {
        let mut incidents = Self::default();
        for recorded in facts {
            incidents.heard(recorded);
        }
        incidents
    }

    /// Takes one more fact in, and says what there is to tell.
    pub fn heard(&mut self, recorded: &Recorded) -> Vec<Alert> {
        if let Fact::RunBegun(begun) = &recorded.fact {
            let earlier = std::mem::take(&mut self.earlier);
            *self = Self { about: about(recorded, begun), earlier, ..Self::default() };
        }
        let news = self.news(recorded);
        let Some((run, about)) = &self.about else { return Vec::new() };
        let own = news.iter().map(|news| alert(run, about, recorded, news));
        let mut alerts: Vec<Alert> = own.collect();
        if matches!(recorded.fact, Fact::RunEnded { outcome: Outcome::Done, .. }) {
            let earlier = std::mem::take(&mut self.earlier).into_iter();
            alerts.extend(earlier.flat_map(|mut earlier| earlier.heard(recorded)));
        }
        alerts
    }

    fn news(&mut self, recorded: &Recorded) -> Vec<News> {
        let at = recorded.at_ms;
        match &recorded.fact {
            Fact::RunBegun(begun) => match begun.kind {
                RunKind::Migrate => Vec::new(),
                RunKind::Rollback { .. } => {
                    vec![note(Event::Rollback, Severity::Warning, "rollback begun", at)]
                }
            },
            // Whoever heard of the breach, or of the rollback, knows.
            Fact::TakenBack { .. } if self.failing.is_some() => Vec::new(),
            Fact::GuardBreached { .. } | Fact::TakenBack { guard: Some(_), .. } => {
                vec![self.fails(Event::Breach, "guard breached", at)]
            }
            Fact::TakenBack { guard: None, .. } => {
                vec![self.fails(Event::Rollback, "taken back", at)]
            }
            Fact::RollbackBegun { .. } => vec![self.fails(Event::Rollback, "rolling back", at)],
            Fact::Halted { .. } => {
                let next = "look at `ctx status`; then `ctx resume`, or `ctx rollback`";
                vec![self.needs_a_person("halted, a person is needed", next, at)]
            }
            Fact::MilestoneReached { .. } => {
                vec![note(Event::Milestone, Severity::Info, "milestone reached", at)]
            }
            Fact::ApprovalAsked { .. } => {
                vec![note(Event::Halt, Severity::Warning, "waits for approval", at)]
            }
            Fact::RunEnded { outcome, .. } => self.ended(*outcome, at),
            // A process that comes or goes; the run stands where it stood.
            Fact::LeaseTaken { .. } | Fact::Detach { .. } | Fact::Interrupted { .. } => Vec::new(),
            _ => self.goes_on(Event::Halt, "the run goes on").into_iter().collect(),
        }
    }

    fn ended(&mut self, outcome: Outcome, at: WallMs) -> Vec<News> {
        let (title, severity) = match outcome {
            Outcome::Done => ("done", Severity::Info),
            Outcome::RolledBack => ("rolled back, the service is as before", Severity::Error),
            Outcome::Abandoned => ("abandoned, nothing was undone", Severity::Warning),
            Outcome::Held => {
                let next = "`ctx status` says where it stands; `ctx rollback` undoes it";
                return vec![self.needs_a_person("failed, held where it is", next, at)];
            }
            Outcome::RollbackIncomplete => {
                let next = "`ctx status` says what is not undone";
                return vec![self.needs_a_person("rollback INCOMPLETE", next, at)];
            }
        };
        let waiting = self.goes_on(Event::End, title);
        let failing = self.failing.take().map(|began_ms| News {
            slot: Slot::Failing,
            event: Event::End,
            status: Status::Resolved,
            severity: Severity::Error,
            title,
            next: None,
            began_ms,
        });
        let over: Vec<News> = failing.into_iter().chain(waiting).collect();
        if over.is_empty() { vec![note(Event::End, severity, title, at)] } else { over }
    }

    fn fails(&mut self, event: Event, title: &'static str, at: WallMs) -> News {
        News {
            slot: Slot::Failing,
            event,
            status: Status::Firing,
            severity: Severity::Error,
            title,
            next: None,
            began_ms: *self.failing.get_or_insert(at),
        }
    }

    fn needs_a_person(&mut self, title: &'static str, next: &'static str, at: WallMs) -> News {
        News {
            slot: Slot::Person,
            event: Event::Halt,
            status: Status::Firing,
            severity: Severity::Critical,
            title,
            next: Some(next),
            began_ms: *self.waiting.get_or_insert(at),
        }
    }

    /// Ends the need for a person, where there was one.
    fn goes_on(&mut self, event: Event, title: &'static str) -> Option<News> {
        let began_ms = self.waiting.take()?;
        Some(News {
            slot: Slot::Person,
            event,
            status: Status::Resolved,
            severity: Severity::Critical,
            title,
            next: None,
            began_ms,
        })
    }
}

fn note(event: Event, severity: Severity, title: &'static str, at: WallMs) -> News {
    let (slot, status) = (Slot::Note, Status::Note);
    News { slot, event, status, severity, title, next: None, began_ms: at }
}

fn about(recorded: &Recorded, begun: &RunBegun) -> Option<(RunId, About)> {
    let run = recorded.run.clone()?;
    let subject = Subject::Run {
        run: run.clone(),
        plan: begun.plan.clone(),
        phase: begun.phase.id.clone(),
        number: begun.phase.number,
    };
    Some((run, About { subject, orchestrator: begun.base.orchestrator.clone() }))
}

fn alert(run: &RunId, about: &About, recorded: &Recorded, news: &News) -> Alert {
    let (run, seq) = (run.as_str(), recorded.seq);
    let slot = match news.slot {
        Slot::Failing => "failing",
        Slot::Person => "person",
        Slot::Note => "note",
    };
    let key = match news.slot {
        Slot::Note => format!("ctx/{run}/{seq}"),
        Slot::Failing | Slot::Person => format!("ctx/{run}/{slot}"),
    };
    Alert {
        id: format!("{run}/{seq}/{slot}"),
        key,
        event: news.event,
        status: news.status,
        severity: news.severity,
        title: news.title.to_owned(),
        detail: sentence(&recorded.fact),
        next: news.next.map(str::to_owned),
        about: about.clone(),
        began_ms: news.began_ms,
        at_ms: recorded.at_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::fact::HaltReason;
    use crate::report::fixture::{NOON, breached, run};

    /// The events, statuses and slots of everything that is told, one a line.
    fn told(facts: &[Recorded]) -> Vec<String> {
        let mut incidents = Incidents::default();
        let alerts = facts.iter().flat_map(|recorded| incidents.heard(recorded));
        let word = |alert: Alert| {
            let slot = alert.id.rsplit('/').next().unwrap().to_owned();
            format!("{} {} {slot}: {}", alert.event.name(), alert.status.name(), alert.title)
        };
        alerts.map(word).collect()
    }

    /// The fixture's run, up to its breach, and then these facts.
    fn then(more: Vec<Fact>) -> Vec<Recorded> {
        let mut facts = breached();
        facts.retain(|recorded| matches!(recorded.fact, Fact::RunBegun(_)));
        let (first, run_of_it) = (facts[0].seq, facts[0].run.clone());
        let more = (1..).zip(more);
        facts.extend(more.map(|(n, fact)| Recorded {
            seq: first + n,
            at_ms: NOON + i64::try_from(n).unwrap(),
            run: run_of_it.clone(),
            fact,
        }));
        facts
    }

    fn ended(outcome: Outcome) -> Fact {
        Fact::RunEnded { outcome, summary: String::new() }
    }

    #[test]
    fn a_breach_and_its_rollback_are_one_incident_that_ends_with_the_run() {
        let mut incidents = Incidents::default();
        let alerts: Vec<Alert> =
            breached().iter().flat_map(|recorded| incidents.heard(recorded)).collect();
        let events: Vec<_> = alerts.iter().map(|a| (a.event, a.status)).collect();
        assert_eq!(
            events,
            [
                (Event::Breach, Status::Firing),
                (Event::Rollback, Status::Firing),
                (Event::End, Status::Resolved)
            ]
        );
        assert!(alerts.iter().all(|a| a.key == alerts[0].key && a.began_ms == alerts[0].at_ms));
        let ids: std::collections::BTreeSet<_> = alerts.iter().map(|a| &a.id).collect();
        assert_eq!(ids.len(), alerts.len(), "each is news of its own");
    }

    #[test]
    fn a_halt_lasts_until_the_run_goes_on() {
        let halted = Fact::Halted { reason: HaltReason::Drift, detail: "somebody else".to_owned() };
        let facts = then(vec![
            halted.clone(),
            Fact::Interrupted { by: "SIGINT".to_owned() },
            halted,
            Fact::GuardsDisarmed,
            ended(Outcome::Done),
        ]);
        assert_eq!(
            told(&facts),
            [
                "halt firing person: halted, a person is needed",
                "halt firing person: halted, a person is needed",
                "halt resolved person: the run goes on",
                "end note note: done",
            ]
        );
    }

    #[test]
    fn a_rollback_that_is_not_complete_needs_a_person_and_is_not_over() {
        let facts = then(vec![
            Fact::RollbackBegun { cause: "a step failed".to_owned() },
            ended(Outcome::RollbackIncomplete),
        ]);
        assert_eq!(
            told(&facts),
            ["rollback firing failing: rolling back", "halt firing person: rollback INCOMPLETE"]
        );
    }

    #[test]
    fn the_next_run_that_ends_well_ends_what_an_earlier_one_left_open() {
        let held = then(vec![
            Fact::RollbackBegun { cause: "a step failed".to_owned() },
            ended(Outcome::Held),
        ]);
        let mut next = Incidents::after(vec![Incidents::of(&held)]);
        let mut facts = then(vec![ended(Outcome::Done)]);
        for recorded in &mut facts {
            recorded.run = Some(run('c'));
            recorded.seq += 100;
        }
        let alerts: Vec<Alert> = facts.iter().flat_map(|fact| next.heard(fact)).collect();
        let told: Vec<_> = alerts.iter().map(|a| (a.status, a.key.clone())).collect();
        let (own, old) = (run('c'), held[0].run.clone().unwrap());
        let (own, old) = (own.as_str(), old.as_str());
        assert_eq!(
            told,
            [
                (Status::Note, format!("ctx/{own}/{}", facts[1].seq)),
                (Status::Resolved, format!("ctx/{old}/failing")),
                (Status::Resolved, format!("ctx/{old}/person")),
            ]
        );
        assert_eq!(next.heard(&facts[1]).len(), 1, "once");
    }

    #[test]
    fn the_same_facts_make_the_same_alerts_and_facts_of_no_run_make_none() {
        let ids = |facts: &[Recorded]| {
            let mut incidents = Incidents::default();
            facts.iter().flat_map(|f| incidents.heard(f)).map(|a| a.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&breached()), ids(&breached()));
        assert_eq!(told(&breached()[1..]), Vec::<String>::new());
    }
}
