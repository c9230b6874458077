//! Alertmanager's API v2: `POST /api/v2/alerts` with a list of alerts.
//!
//! Labels are an alert's identity there, so they hold what stays the same while an incident lasts,
//! and the severity of one incident never changes. Alertmanager ends an alert that is not sent
//! again within its `resolve_timeout`; ctx does not stay to send it again, so every alert says when
//! it ends: an incident after a day unless it is ended before, a note after five minutes.

use serde_json::{Value, json};

use crate::alerts::alert::{Alert, Status, Subject};
use crate::clock::{WallMs, from_wall_ms, rfc3339};

/// The path of the call.
pub const PATH: &str = "/api/v2/alerts";

/// How long an incident lasts that nobody ends.
const DAY_MS: WallMs = 24 * 3_600_000;
/// How long a note is shown.
const NOTE_MS: WallMs = 5 * 60_000;

/// The list of this one alert.
pub fn body(alert: &Alert) -> Value {
    let ends_ms = match alert.status {
        Status::Firing => alert.at_ms + DAY_MS,
        Status::Note => alert.at_ms + NOTE_MS,
        Status::Resolved => alert.at_ms,
    };
    let mut annotations = json!({
        "summary": format!("{}: {}", alert.place(), alert.title),
        "description": alert.detail,
    });
    if let Some(next) = &alert.next {
        annotations["next"] = json!(next);
    }
    let mut labels = json!({
        "alertname": name(alert),
        "severity": alert.severity.name(),
        "key": alert.key,
    });
    // A label is a text, or it is not there.
    let about = &alert.about;
    let (plan, phase, run) = (about.plan(), about.phase(), about.run());
    let phase = phase.map(|(phase, _)| json!(phase));
    for (label, value) in
        [("plan", plan.map(|p| json!(p))), ("phase", phase), ("run", run.map(|r| json!(r)))]
    {
        if let Some(value) = value {
            labels[label] = value;
        }
    }
    json!([{
        "labels": labels,
        "annotations": annotations,
        "startsAt": rfc3339(from_wall_ms(alert.began_ms)),
        "endsAt": rfc3339(from_wall_ms(ends_ms)),
        "generatorURL": alert.about.orchestrator,
    }])
}

/// The kind of incident, or the event of a note.
fn name(alert: &Alert) -> String {
    let incident = alert.status != Status::Note;
    match (&alert.about.subject, alert.key.rsplit('/').next()) {
        (Subject::Run { .. }, Some("failing")) => "CtxPhaseFailing".to_owned(),
        (Subject::Run { .. }, Some("person")) => "CtxPersonNeeded".to_owned(),
        (Subject::Plan(_), _) if incident => "CtxGuardBreached".to_owned(),
        (Subject::Service, _) if incident => "CtxNotHealed".to_owned(),
        _ => {
            let word = alert.event.name();
            format!("Ctx{}{}", word[..1].to_uppercase(), &word[1..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::alert::Event;
    use crate::alerts::sinks::fixture::alert;

    #[test]
    fn an_incident_keeps_its_labels_and_its_beginning_until_it_ends() {
        let (firing, over) = (body(&alert(Status::Firing)), body(&alert(Status::Resolved)));
        assert_eq!(firing[0]["labels"], over[0]["labels"]);
        assert_eq!(firing[0]["labels"]["alertname"], "CtxPhaseFailing");
        assert_eq!(firing[0]["startsAt"], "2030-01-01T12:00:00.000Z");
        assert_eq!(firing[0]["startsAt"], over[0]["startsAt"]);
        assert_eq!(firing[0]["endsAt"], "2030-01-02T12:00:02.000Z");
        assert_eq!(over[0]["endsAt"], "2030-01-01T12:00:02.000Z");
    }

    #[test]
    fn a_note_ends_by_itself() {
        let alert = Alert {
            event: Event::Milestone,
            key: "ctx/b/9".to_owned(),
            next: Some("rest".to_owned()),
            ..alert(Status::Note)
        };
        let body = body(&alert);
        assert_eq!(body[0]["labels"]["alertname"], "CtxMilestone");
        assert_eq!(body[0]["endsAt"], "2030-01-01T12:05:02.000Z");
        assert_eq!(body[0]["annotations"]["next"], "rest");
    }
}
