//! PagerDuty's Events API v2: `POST /v2/enqueue`, one event of an incident.
//!
//! `dedup_key` is the incident's key: a second trigger adds to the incident that is there, and a
//! resolve ends it.

use serde_json::{Value, json};

use crate::alerts::alert::{Alert, Status};
use crate::clock::{from_wall_ms, rfc3339};
use crate::secret::Secret;

/// The path of the call.
pub const PATH: &str = "/v2/enqueue";

/// The most characters of a summary.
const SUMMARY: usize = 1_024;

/// The event. It holds the routing key, which is a secret.
pub fn body(alert: &Alert, key: &Secret) -> Value {
    let action = match alert.status {
        Status::Firing | Status::Note => "trigger",
        Status::Resolved => "resolve",
    };
    let summary = format!("{}: {}: {}", alert.place(), alert.title, alert.detail);
    json!({
        "routing_key": key.expose(),
        "event_action": action,
        "dedup_key": alert.key,
        "client": "ctx",
        "payload": {
            "summary": summary.chars().take(SUMMARY).collect::<String>(),
            "source": alert.about.orchestrator,
            "severity": alert.severity.name(),
            "timestamp": rfc3339(from_wall_ms(alert.at_ms)),
            "component": alert.about.phase().map(|(phase, _)| phase),
            "group": alert.about.plan(),
            "class": alert.event.name(),
            "custom_details": {
                "run": alert.about.run(),
                "detail": alert.detail,
                "next": alert.next,
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::sinks::fixture::alert;

    #[test]
    fn an_incident_is_triggered_and_resolved_under_one_key() {
        let key = Secret::new("routing-key-of-this-test");
        let (firing, over) =
            (body(&alert(Status::Firing), &key), body(&alert(Status::Resolved), &key));
        assert_eq!(firing["routing_key"], "routing-key-of-this-test");
        assert_eq!(firing["event_action"], "trigger");
        assert_eq!(over["event_action"], "resolve");
        assert_eq!(firing["dedup_key"], over["dedup_key"]);
        assert!(firing["dedup_key"].as_str().unwrap().len() <= 255);
        let payload = &firing["payload"];
        assert_eq!(payload["severity"], "error");
        assert_eq!(payload["source"], "http://127.0.0.1:7700");
        assert_eq!(payload["timestamp"], "2030-01-01T12:00:02.000Z");
    }

    #[test]
    fn a_summary_is_no_longer_than_it_may_be() {
        let long = Alert { detail: "é".repeat(5_000), ..alert(Status::Firing) };
        let body = body(&long, &Secret::new("routing-key-of-this-test"));
        assert_eq!(body["payload"]["summary"].as_str().unwrap().chars().count(), SUMMARY);
    }
}
