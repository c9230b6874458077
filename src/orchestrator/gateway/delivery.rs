//! Which delivery an event is: the id that stays the same when a platform sends it again.
//!
//! For Linear that is the header `Linear-Delivery`. The body's `webhookId` names the hook, not the
//! delivery: taken for an id, it would make every event but the first a repetition.

use std::borrow::Cow;

use hyper::HeaderMap;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::control::config::Platform;

/// The longest id that is taken for one.
const MAX_ID: usize = 128;

/// The name that the first answer to a delivery is kept under; `None` for an event without an id.
///
/// The body's hash is part of it, so that the same id with another body is another event.
pub fn name(platform: Platform, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let id = id(platform, headers, body)?;
    Some(format!("event {} {id} {}", platform.name(), body_hash(body)))
}

/// SHA-256 of a body, as 64 hex digits.
pub fn body_hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// The platform's id of this delivery; `None` for an event without a sound one.
pub fn id<'a>(platform: Platform, headers: &'a HeaderMap, body: &'a [u8]) -> Option<Cow<'a, str>> {
    said(platform, headers, body).filter(|id| {
        !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(|b| b.is_ascii_graphic())
    })
}

/// Whether this is Slack's question for a challenge, which only the handler's own answer answers.
pub fn is_challenge(platform: Option<Platform>, body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
    }
    platform == Some(Platform::Slack)
        && serde_json::from_slice::<Envelope<'_>>(body)
            .is_ok_and(|envelope| envelope.kind.as_deref() == Some("url_verification"))
}

fn said<'a>(platform: Platform, headers: &'a HeaderMap, body: &'a [u8]) -> Option<Cow<'a, str>> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        event_id: Option<Cow<'a, str>>,
    }
    let header = |name| headers.get(name)?.to_str().ok().map(Cow::Borrowed);
    match platform {
        Platform::Github => header("x-github-delivery"),
        Platform::Linear => header("linear-delivery"),
        Platform::Slack => serde_json::from_slice::<Envelope<'_>>(body).ok()?.event_id,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn each_platform_says_the_id_its_own_way() {
        let mut headers = HeaderMap::new();
        headers.insert("x-github-delivery", HeaderValue::from_static("g-1"));
        headers.insert("linear-delivery", HeaderValue::from_static("l-1"));
        let body = br#"{"event":{"x":[1]},"event_id":"Ev1","webhookId":"hook"}"#;
        for (platform, start) in [
            (Platform::Github, "event github g-1 "),
            (Platform::Linear, "event linear l-1 "),
            (Platform::Slack, "event slack Ev1 "),
        ] {
            let name = name(platform, &headers, body).unwrap();
            assert!(name.starts_with(start) && name.len() == start.len() + 64, "{name}");
        }
    }

    #[test]
    fn without_a_sound_id_every_event_is_new() {
        let mut headers = HeaderMap::new();
        assert_eq!(name(Platform::Github, &headers, b"{}"), None);
        assert_eq!(name(Platform::Slack, &headers, b"not json"), None);
        assert_eq!(name(Platform::Slack, &headers, br#"{"event_id":"a b"}"#), None);
        headers.insert("linear-delivery", HeaderValue::from_str(&"x".repeat(129)).unwrap());
        assert_eq!(name(Platform::Linear, &headers, b"{}"), None);
    }

    #[test]
    fn the_same_id_with_another_body_is_another_event() {
        let mut headers = HeaderMap::new();
        headers.insert("linear-delivery", HeaderValue::from_static("l-1"));
        let name = |body: &[u8]| name(Platform::Linear, &headers, body);
        assert_eq!(name(b"{}"), name(b"{}"));
        assert_ne!(name(b"{}"), name(b"[]"));
    }
}
