//! What went over the wire in a case, as it may be shown: short, and without secrets.
//!
//! A failing case is read by many: on a terminal, in a pipeline's log, in a file that a dashboard
//! keeps. What proves who sends (tokens, cookies, signatures) is named and not shown, in headers
//! and in members of a JSON body alike.

use hyper::HeaderMap;
use serde::Serialize;
use serde_json::Value;

use super::compare::{Answer, excerpt};
use super::request::Prepared;

/// What stands for a value that is not shown.
const COVER: &str = "[secret]";

/// Parts of names whose values are not shown.
const SECRET: [&str; 7] = ["auth", "cookie", "token", "secret", "signature", "password", "api-key"];

/// A request as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// At most 200 characters, on one line.
    pub body: String,
}

/// An answer as it came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Got {
    pub status: u16,
    /// At most 200 characters, on one line.
    pub body: String,
}

impl Sent {
    pub(super) fn of(prepared: &Prepared) -> Self {
        Self {
            method: prepared.method.to_string(),
            url: prepared.url.clone(),
            headers: headers(&prepared.headers),
            body: body(&prepared.body),
        }
    }
}

impl Got {
    pub(super) fn of(answer: &Answer) -> Self {
        Self { status: answer.status, body: body(&answer.body) }
    }
}

fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = headers.iter().map(|(name, value)| {
        let covered = value.is_sensitive() || is_secret(name.as_str());
        let value = if covered {
            COVER.to_owned()
        } else {
            excerpt(&String::from_utf8_lossy(value.as_bytes()))
        };
        (name.to_string(), value)
    });
    shown.collect()
}

fn body(bytes: &[u8]) -> String {
    match serde_json::from_slice::<Value>(bytes) {
        // Text that is no document keeps its own spelling.
        Ok(mut json @ (Value::Object(_) | Value::Array(_))) => {
            if cover(&mut json) {
                return excerpt(&json.to_string());
            }
            excerpt(&String::from_utf8_lossy(bytes))
        }
        _ => excerpt(&String::from_utf8_lossy(bytes)),
    }
}

/// Covers every member with the name of a secret; gives whether there was one.
fn cover(json: &mut Value) -> bool {
    match json {
        Value::Object(members) => {
            let mut any = false;
            for (name, value) in members.iter_mut() {
                if is_secret(name) && !value.is_null() {
                    *value = COVER.into();
                    any = true;
                } else {
                    any |= cover(value);
                }
            }
            any
        }
        Value::Array(items) => {
            let mut any = false;
            for item in items {
                any |= cover(item);
            }
            any
        }
        _ => false,
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proves_who_sends_is_named_and_not_shown() {
        let mut map = HeaderMap::new();
        map.insert("authorization", "Bearer hush".parse().unwrap());
        map.insert("x-hub-signature-256", "sha256=12ab".parse().unwrap());
        map.insert("set-cookie", "session=1".parse().unwrap());
        map.insert("x-github-event", "push".parse().unwrap());
        let shown: Vec<String> =
            headers(&map).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            shown,
            [
                "authorization: [secret]",
                "x-hub-signature-256: [secret]",
                "set-cookie: [secret]",
                "x-github-event: push",
            ]
        );
    }

    #[test]
    fn a_secret_in_a_body_is_covered_wherever_it_stands() {
        let check = |given: &str, expect: &str| assert_eq!(body(given.as_bytes()), expect);
        check(r#"{ "b": 1, "a": 2 }"#, r#"{ "b": 1, "a": 2 }"#);
        check(
            r#"{"token":"t","a":[{"password":"p"}]}"#,
            concat!(r#"{"a":[{"password":"[secret]"}],"#, r#""token":"[secret]"}"#),
        );
        check("no\nJSON", "no JSON");
        check("", "");
    }
}
