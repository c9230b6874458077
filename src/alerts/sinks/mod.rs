//! What an alert looks like at each kind of sink: pure functions to JSON.

pub mod alertmanager;
pub mod command;
pub mod pagerduty;
pub mod webhook;

#[cfg(test)]
pub(super) mod fixture {
    use crate::alerts::alert::{About, Alert, Event, Status, Subject};
    use crate::plan::alerts::Severity;
    use crate::report::fixture::{NOON, run};

    /// A breach, in one of its states.
    pub(crate) fn alert(status: Status) -> Alert {
        Alert {
            id: format!("{}/7/failing", run('b').as_str()),
            key: format!("ctx/{}/failing", run('b').as_str()),
            event: if status == Status::Resolved { Event::End } else { Event::Breach },
            status,
            severity: Severity::Error,
            title: "guard breached".to_owned(),
            detail: "guard `error-rate` breached at step pool: 7% > 5% & rising".to_owned(),
            next: None,
            about: About {
                subject: Subject::Run {
                    run: run('b'),
                    plan: "contexten".parse().unwrap(),
                    phase: "performance".parse().unwrap(),
                    number: 2,
                },
                orchestrator: "http://127.0.0.1:7700".to_owned(),
            },
            began_ms: NOON,
            at_ms: NOON + 2_000,
        }
    }
}
