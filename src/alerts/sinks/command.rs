//! The alert as a program reads it from its stdin, one JSON document.

use serde_json::{Value, json};

use crate::alerts::alert::Alert;
use crate::clock::{from_wall_ms, rfc3339};

/// The version of the document. Fields may be added within it.
const SCHEMA: &str = "ctx.alert/1";

/// The document.
pub fn body(alert: &Alert) -> Value {
    json!({
        "schema": SCHEMA,
        "id": alert.id,
        "key": alert.key,
        "event": alert.event.name(),
        "status": alert.status.name(),
        "severity": alert.severity.name(),
        "title": alert.title,
        "detail": alert.detail,
        "next": alert.next,
        "plan": alert.about.plan(),
        "phase": alert.about.phase().map(|(phase, _)| phase),
        "phase_number": alert.about.phase().map(|(_, number)| number),
        "run": alert.about.run(),
        "orchestrator": alert.about.orchestrator,
        "began": rfc3339(from_wall_ms(alert.began_ms)),
        "at": rfc3339(from_wall_ms(alert.at_ms)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::alert::Status;
    use crate::alerts::sinks::fixture::alert;

    #[test]
    fn everything_is_there_by_its_name() {
        let body = body(&alert(Status::Firing));
        assert_eq!(body["schema"], SCHEMA);
        assert_eq!((&body["event"], &body["severity"]), (&json!("breach"), &json!("error")));
        assert_eq!(body["began"], "2030-01-01T12:00:00.000Z");
        assert_eq!(body["next"], Value::Null);
    }
}
