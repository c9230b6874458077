//! Which alert goes to which sink.

use super::alert::{Alert, Status};
use crate::plan::alerts::{AlertSink, Destination};

/// Whether a sink gets an alert: it is severe enough, and something can be made of it there.
///
/// The end of an incident has the severity of the incident, so whoever was told of it is told of
/// its end. PagerDuty knows incidents only: a note there would be one that nobody ends.
pub fn goes_to(alert: &Alert, sink: &AlertSink) -> bool {
    let note = alert.status == Status::Note;
    let incidents_only = matches!(sink.to, Destination::Pagerduty { .. });
    alert.severity >= sink.from && !(note && incidents_only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::sinks::fixture::alert;
    use crate::plan::alerts::{PAGERDUTY, Severity, TIMEOUT};

    fn sink(to: Destination, from: Severity) -> AlertSink {
        AlertSink { id: "a".parse().unwrap(), to, from, timeout: TIMEOUT }
    }

    #[test]
    fn a_sink_gets_what_is_severe_enough() {
        let chat = Destination::Webhook { address: "env:CHAT".to_owned() };
        for (severity, from, goes) in [
            (Severity::Info, Severity::Info, true),
            (Severity::Info, Severity::Warning, false),
            (Severity::Critical, Severity::Error, true),
        ] {
            let alert = Alert { severity, ..alert(Status::Firing) };
            assert_eq!(goes_to(&alert, &sink(chat.clone(), from)), goes, "{severity:?} {from:?}");
        }
    }

    #[test]
    fn a_pager_is_not_rung_by_notes() {
        let key = "env:KEY".to_owned();
        let to = Destination::Pagerduty { key, url: PAGERDUTY.to_owned() };
        let pager = sink(to, Severity::Info);
        assert!(!goes_to(&alert(Status::Note), &pager));
        assert!(goes_to(&alert(Status::Firing), &pager));
        assert!(goes_to(&alert(Status::Resolved), &pager));
    }
}
