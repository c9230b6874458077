//! What is said between the orchestrator and a program: JSON, one object a line.
//!
//! The law: whatever a program prints, it is an answer, a sign of life, or a fault of the
//! protocol; never a panic, and never more memory than a line may have. `docs/extensions.md`
//! tells it to those who write programs.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::orchestrator::gateway::headers;

/// The longest line that a program may print.
pub(super) const MAX_LINE: usize = 8 << 20;
/// The protocol that the first line names.
const PROTOCOL: u32 = 1;

/// An event as a program is given it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) platform: &'a str,
    pub(crate) delivery: Option<&'a str>,
    /// Path and query that it was sent to.
    pub(crate) target: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// A program's answer to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a line of a program says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Ready,
    /// It cannot start, and why.
    Failed(String),
    Pong(u64),
    Answer(u64, Reply),
}

/// The first line: what the program is, and its configuration.
pub(super) fn start(
    id: &str,
    version: &str,
    replica: u64,
    config: &BTreeMap<String, Value>,
) -> Bytes {
    line(&json!({ "type": "start", "protocol": PROTOCOL, "extension": id, "version": version,
        "replica": replica, "config": config }))
}

/// Asks for a sign of life.
pub(super) fn ping(id: u64) -> Bytes {
    line(&json!({ "type": "ping", "id": id }))
}

/// The last line.
pub(super) fn stop() -> Bytes {
    line(&json!({ "type": "stop" }))
}

#[derive(Serialize)]
struct EventLine<'a> {
    r#type: &'static str,
    id: u64,
    platform: &'a str,
    delivery: Option<&'a str>,
    path: &'a str,
    headers: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// Hands an event over.
pub(super) fn event(id: u64, event: &Event<'_>) -> Bytes {
    let mut headers = BTreeMap::<&str, String>::new();
    for (name, value) in event.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let all = headers.entry(name.as_str()).or_default();
        if !all.is_empty() {
            all.push_str(", ");
        }
        all.push_str(&value);
    }
    let text = std::str::from_utf8(event.body).ok();
    line(&EventLine {
        r#type: "event",
        id,
        platform: event.platform,
        delivery: event.delivery,
        path: event.target,
        headers,
        body: text,
        body_base64: text.is_none().then(|| STANDARD.encode(event.body)),
    })
}

fn line(value: &impl Serialize) -> Bytes {
    let mut bytes = serde_json::to_vec(value).expect("texts, numbers and maps of texts print");
    bytes.push(b'\n');
    bytes.into()
}

/// A line of a program, before it is checked.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Ready {},
    Failed {
        #[serde(default)]
        detail: String,
    },
    Pong {
        id: u64,
    },
    Answer {
        id: u64,
        #[serde(default = "ok")]
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, Lines>,
        body: Option<String>,
        body_base64: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Lines {
    One(String),
    Many(Vec<String>),
}

fn ok() -> u16 {
    200
}

/// Reads a line; says what is wrong with one that is none.
pub(super) fn hear(line: &[u8]) -> Result<Said, String> {
    let read = serde_json::from_slice::<Line>(line);
    match read.map_err(|error| format!("a line that is none of the protocol: {error}"))? {
        Line::Ready {} => Ok(Said::Ready),
        Line::Failed { detail } => Ok(Said::Failed(detail)),
        Line::Pong { id } => Ok(Said::Pong(id)),
        Line::Answer { id, status, headers, body, body_base64 } => {
            let reply = reply(status, headers, body, body_base64);
            Ok(Said::Answer(id, reply.map_err(|why| format!("its answer to {id}: {why}"))?))
        }
    }
}

fn reply(
    status: u16,
    lines: BTreeMap<String, Lines>,
    text: Option<String>,
    base64: Option<String>,
) -> Result<Reply, String> {
    let status = StatusCode::from_u16(status).ok().filter(|s| (200..600).contains(&s.as_u16()));
    let status = status.ok_or("its status is not between 200 and 599")?;
    let mut headers = HeaderMap::new();
    for (name, values) in lines {
        let values = match values {
            Lines::One(value) => vec![value],
            Lines::Many(values) => values,
        };
        for value in values {
            let line = HeaderName::try_from(&name).ok().zip(HeaderValue::try_from(value).ok());
            let (name, value) = line.ok_or_else(|| format!("its header `{name}` is none"))?;
            headers.append(name, value);
        }
    }
    headers::strip_response(&mut headers);
    // The body says how long it is.
    headers.remove(CONTENT_LENGTH);
    let body = match (text, base64) {
        (Some(_), Some(_)) => return Err("it has two bodies".to_owned()),
        (Some(text), None) => text.into_bytes(),
        (None, Some(coded)) => {
            STANDARD.decode(coded).map_err(|error| format!("its body is no base64: {error}"))?
        }
        (None, None) => Vec::new(),
    };
    Ok(Reply { status, headers, body: body.into() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_said_is_heard_or_a_fault(bytes in any::<Vec<u8>>(), cut in 0_usize..90) {
            let _ = hear(&bytes);
            let whole = br#"{"type":"answer","id":1,"status":200,"headers":{"a":["1"]},"body":""}"#;
            let mut line = whole[..cut.min(whole.len())].to_vec();
            line.extend(&bytes);
            let _ = hear(&line);
        }

        #[test]
        fn a_body_comes_back_as_it_went(body in any::<Vec<u8>>()) {
            let headers = HeaderMap::new();
            let event = Event { platform: "slack", delivery: None, target: "/", headers: &headers, body: &body };
            let line: Value = serde_json::from_slice(&super::event(1, &event)).unwrap();
            let mut answer = json!({ "type": "answer", "id": 1 });
            for key in ["body", "body_base64"] {
                if !line[key].is_null() {
                    answer[key] = line[key].clone();
                }
            }
            let Ok(Said::Answer(1, reply)) = hear(answer.to_string().as_bytes()) else { panic!("it is one") };
            prop_assert_eq!(&reply.body[..], &body[..]);
        }
    }

    #[test]
    fn an_event_is_one_line() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("2"));
        let event = Event {
            platform: "linear",
            delivery: Some("d-1"),
            target: "/linear/events?x=1",
            headers: &headers,
            body: b"{\n\"a\": \"\xc3\xa9\"}",
        };
        let bytes = super::event(7, &event);
        assert_eq!(bytes.iter().position(|b| *b == b'\n'), Some(bytes.len() - 1));
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            value,
            json!({ "type": "event", "id": 7, "platform": "linear", "delivery": "d-1",
            "path": "/linear/events?x=1", "headers": { "x-a": "1, 2" },
            "body": "{\n\"a\": \"\u{e9}\"}" })
        );
        let value = super::event(8, &Event { body: b"\xff\x00", ..event });
        let value: Value = serde_json::from_slice(&value).unwrap();
        assert_eq!((&value["body"], &value["body_base64"]), (&Value::Null, &json!("/wA=")));
    }

    #[test]
    fn a_line_is_an_answer_a_sign_of_life_or_a_fault() {
        assert_eq!(hear(br#"{"type":"ready","pid":7}"#), Ok(Said::Ready));
        assert_eq!(hear(br#"{"type":"pong","id":3}"#), Ok(Said::Pong(3)));
        let answer = br#"{"type":"answer","id":1,"status":202,"body":"hi",
            "headers":{"content-type":"text/plain","set-cookie":["a=1","b=2"],
            "connection":"x-gone","x-gone":"1","content-length":"99"}}"#;
        let Ok(Said::Answer(1, reply)) = hear(answer) else { panic!("it is an answer") };
        assert_eq!((reply.status.as_u16(), &reply.body[..]), (202, &b"hi"[..]));
        let mut names: Vec<&str> = reply.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "set-cookie"]);
        assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 2);
        for (line, expect) in [
            (&b"hello"[..], "a line that is none of the protocol"),
            (br#"{"type":"song"}"#, "unknown variant `song`"),
            (br#"{"type":"answer"}"#, "missing field `id`"),
            (br#"{"type":"answer","id":1,"status":101}"#, "its answer to 1: its status"),
            (br#"{"type":"answer","id":1,"headers":{"a b":"1"}}"#, "its header `a b` is none"),
            (br#"{"type":"answer","id":1,"body":"","body_base64":""}"#, "two bodies"),
            (br#"{"type":"answer","id":1,"body_base64":"?"}"#, "no base64"),
            (b"\xff\xfe", "a line that is none"),
        ] {
            let said = hear(line).unwrap_err();
            assert!(said.contains(expect), "{said}");
        }
    }
}
