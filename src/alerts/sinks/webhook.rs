//! A message as Slack's incoming webhooks take it, and Mattermost and others with them: a text,
//! and one attachment with a colour and fields.
//!
//! `&`, `<` and `>` are control characters of Slack's own markup and are escaped in every text.

use serde_json::{Value, json};

use crate::alerts::alert::{Alert, Status};
use crate::plan::alerts::Severity;

/// The most characters of a detail that a message shows; Slack folds long ones away anyway.
const SHOWN: usize = 2_000;

/// The message.
pub fn body(alert: &Alert) -> Value {
    let about = &alert.about;
    let plan = about.plan().map(|plan| field("Plan", plan.as_str(), true));
    let phase = about.phase().map(|(id, number)| field("Phase", &format!("{number} {id}"), true));
    let run = about.run().map(|run| field("Run", run.short(), true));
    let mut fields: Vec<Value> = [plan, phase, run].into_iter().flatten().collect();
    fields.push(field("Severity", alert.severity.name(), true));
    fields.extend(alert.next.as_deref().map(|next| field("Next", next, false)));
    json!({
        "text": escaped(&headline(alert)),
        "attachments": [{
            "color": color(alert),
            "fallback": escaped(&alert.detail),
            "text": escaped(&shortened(&alert.detail)),
            "fields": fields,
            "footer": "ctx",
            "ts": alert.at_ms / 1000,
        }],
    })
}

/// The one line that a notification shows.
fn headline(alert: &Alert) -> String {
    let word = match (alert.status, alert.severity) {
        (Status::Resolved, _) => "RESOLVED",
        (_, Severity::Info) => "ok",
        (_, Severity::Warning) => "WARNING",
        (_, Severity::Error) => "ERROR",
        (_, Severity::Critical) => "CRITICAL",
    };
    format!("{word}: {}: {}", alert.place(), alert.title)
}

const fn color(alert: &Alert) -> &'static str {
    match (alert.status, alert.severity) {
        (Status::Resolved, _) | (_, Severity::Info) => "good",
        (_, Severity::Warning) => "warning",
        (_, Severity::Error | Severity::Critical) => "danger",
    }
}

fn field(title: &str, value: &str, short: bool) -> Value {
    json!({"title": title, "value": escaped(value), "short": short})
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{} ...", &text[..at]),
        None => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::sinks::fixture::alert;

    #[test]
    fn a_message_has_a_headline_and_an_attachment_in_slacks_markup() {
        let body = body(&alert(Status::Firing));
        assert_eq!(body["text"], "ERROR: contexten, phase 2 `performance`: guard breached");
        let attachment = &body["attachments"][0];
        assert_eq!(attachment["color"], "danger");
        let text = "guard `error-rate` breached at step pool: 7% &gt; 5% &amp; rising";
        assert_eq!(attachment["text"], text);
        assert_eq!(attachment["fields"][1], field("Phase", "2 performance", true));
        assert_eq!(attachment["ts"], 1_893_499_202_i64);
    }

    #[test]
    fn the_end_of_an_incident_is_green_and_a_long_detail_is_cut() {
        let long = Alert { detail: "é".repeat(5_000), ..alert(Status::Resolved) };
        let body = body(&long);
        assert!(body["text"].as_str().unwrap().starts_with("RESOLVED: "));
        assert_eq!(body["attachments"][0]["color"], "good");
        assert_eq!(body["attachments"][0]["text"].as_str().unwrap().chars().count(), SHOWN + 4);
    }
}
