//! What the app answers, as a function from a request to an answer.
//!
//! The shape is that of a FastAPI app: JSON with `message` for what was taken, with `detail` for
//! what was not; a payload that the app's models refuse raises in the handler and so becomes a
//! 500, as it does in the app it stands for. `tests/fastapi/app.py` is the same surface as a real FastAPI
//! app, and a test holds the two together.

use hyper::{HeaderMap, Method};
use serde_json::{Map, Value, json};

use crate::control::config::Platform;

const HOME: &str = "<!DOCTYPE html>\n<html>\n<head><title>Contexten</title></head>\n\
                    <body><h1>Contexten</h1><p>Linear, GitHub and Slack events.</p></body>\n\
                    </html>\n";

/// An answer, and the delivery id of the event that it acknowledges.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
    pub handled: Option<String>,
}

impl Answer {
    /// A refusal, as FastAPI words it.
    pub(super) fn detail(status: u16, why: &str) -> Self {
        Self::json(status, &json!({ "detail": why }))
    }

    fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json", body: body.to_string(), handled: None }
    }

    fn message(text: &str, delivery: Option<&str>) -> Self {
        Self {
            handled: delivery.map(str::to_owned),
            ..Self::json(200, &json!({ "message": text }))
        }
    }
}

/// Answers one request.
pub(super) fn answer(method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
    let platform =
        Platform::ALL.into_iter().find(|platform| path == format!("/{}/events", platform.name()));
    match (method, path, platform) {
        (&Method::GET, "/", _) => Answer {
            status: 200,
            content_type: "text/html; charset=utf-8",
            body: HOME.to_owned(),
            handled: None,
        },
        (&Method::POST, _, Some(platform)) => {
            event(platform, headers, body).unwrap_or_else(|why| Answer::detail(500, &why))
        }
        (_, "/", _) | (_, _, Some(_)) => Answer::detail(405, "Method Not Allowed"),
        _ => Answer::detail(404, "Not Found"),
    }
}

/// Handles one event; the error is what the model that refused it says.
fn event(platform: Platform, headers: &HeaderMap, body: &[u8]) -> Result<Answer, String> {
    let payload: Value =
        serde_json::from_slice(body).map_err(|_| "the payload is not JSON".to_owned())?;
    let Value::Object(payload) = payload else {
        return Err("the payload is not an object".to_owned());
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match platform {
        Platform::Linear => {
            let kind = required(&payload, "LinearEvent", "type")?;
            let action = required(&payload, "LinearEvent", "action")?;
            let known = matches!(kind, "Issue" | "Comment");
            Ok(taken("Linear", &format!("{kind}.{action}"), known, header("linear-delivery")))
        }
        Platform::Github => {
            let kind = header("x-github-event").unwrap_or("unknown");
            let known = matches!(kind, "push" | "pull_request" | "check_run" | "issues");
            Ok(taken("GitHub", kind, known, header("x-github-delivery")))
        }
        Platform::Slack => match required(&payload, "SlackEvent", "type")? {
            "url_verification" => {
                let challenge = payload.get("challenge").cloned().unwrap_or_default();
                Ok(Answer::json(200, &json!({ "challenge": challenge })))
            }
            "event_callback" => {
                let inner = payload.get("event").and_then(|event| event.get("type"));
                let kind = inner.and_then(Value::as_str).unwrap_or("unknown");
                let known = matches!(kind, "app_mention" | "message");
                let id = payload.get("event_id").and_then(Value::as_str);
                Ok(taken("Slack", kind, known, id))
            }
            kind => Ok(taken("Slack", kind, false, None)),
        },
    }
}

/// The acknowledgement of an event; one without a handler is acknowledged too.
fn taken(from: &str, kind: &str, known: bool, delivery: Option<&str>) -> Answer {
    let text = if known {
        format!("{from} event {kind} handled")
    } else {
        format!("no handler for {from} event {kind}")
    };
    Answer::message(&text, delivery)
}

/// A field of text that the model needs.
fn required<'a>(
    payload: &'a Map<String, Value>,
    model: &str,
    field: &str,
) -> Result<&'a str, String> {
    let value = payload.get(field).ok_or_else(|| format!("{model}: {field} is missing"))?;
    value.as_str().ok_or_else(|| format!("{model}: {field} is not text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(path: &str, headers: &[(&'static str, &'static str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        answer(&Method::POST, path, &map, body.as_bytes())
    }

    #[test]
    fn every_answer_of_the_surface() {
        let check = |path: &str, headers: &[_], body: &str, status: u16, expect: &str| {
            let answer = post(path, headers, body);
            assert_eq!((answer.status, answer.body.as_str()), (status, expect), "{path} {body}");
        };
        let linear = r#"{"type":"Issue","action":"create"}"#;
        check(
            "/linear/events",
            &[],
            linear,
            200,
            r#"{"message":"Linear event Issue.create handled"}"#,
        );
        let linear = r#"{"type":"Cycle","action":"remove"}"#;
        check(
            "/linear/events",
            &[],
            linear,
            200,
            r#"{"message":"no handler for Linear event Cycle.remove"}"#,
        );
        check(
            "/linear/events",
            &[],
            r#"{"type":"Issue"}"#,
            500,
            r#"{"detail":"LinearEvent: action is missing"}"#,
        );
        let push = [("x-github-event", "push")];
        check("/github/events", &push, "{}", 200, r#"{"message":"GitHub event push handled"}"#);
        check("/github/events", &push, "[]", 500, r#"{"detail":"the payload is not an object"}"#);
        check("/github/events", &push, "ref=1", 500, r#"{"detail":"the payload is not JSON"}"#);
        let challenge = r#"{"type":"url_verification","challenge":"abc"}"#;
        check("/slack/events", &[], challenge, 200, r#"{"challenge":"abc"}"#);
        let mention = r#"{"type":"event_callback","event":{"type":"app_mention"}}"#;
        check(
            "/slack/events",
            &[],
            mention,
            200,
            r#"{"message":"Slack event app_mention handled"}"#,
        );
        check("/slack/events", &[], "{}", 500, r#"{"detail":"SlackEvent: type is missing"}"#);
        check(
            "/slack/events",
            &[],
            r#"{"type":1}"#,
            500,
            r#"{"detail":"SlackEvent: type is not text"}"#,
        );
        check("/elsewhere", &[], "", 404, r#"{"detail":"Not Found"}"#);
        check("/", &[], "", 405, r#"{"detail":"Method Not Allowed"}"#);
    }

    #[test]
    fn only_an_acknowledged_event_counts_as_handled() {
        let handled = |path: &str, headers: &[_], body: &str| post(path, headers, body).handled;
        let id = Some("1".to_owned());
        let github = [("x-github-event", "push"), ("x-github-delivery", "1")];
        assert_eq!(handled("/github/events", &github, "{}"), id);
        assert_eq!(handled("/github/events", &github, "[]"), None);
        let linear = [("linear-delivery", "1")];
        assert_eq!(handled("/linear/events", &linear, r#"{"type":"a","action":"b"}"#), id);
        let slack = r#"{"type":"event_callback","event_id":"1","event":{"type":"new_kind"}}"#;
        assert_eq!(handled("/slack/events", &[], slack), id);
        let challenge = r#"{"type":"url_verification","event_id":"1"}"#;
        assert_eq!(handled("/slack/events", &[], challenge), None);
    }
}
