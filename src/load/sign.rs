//! Signatures and delivery ids, as each platform makes them.
//!
//! All three sign with HMAC-SHA-256 over the raw bytes. GitHub and Linear sign the body; Slack
//! signs `v0:TIMESTAMP:BODY`, and Linear has its timestamp inside the body. The delivery id is a
//! header for GitHub and Linear and the body's `event_id` for Slack. Linear's `webhookId` is the
//! hook's own id and says nothing about the delivery.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::control::config::Platform;
use crate::secret::Secret;

/// The secrets that webhooks are signed with; a platform without one sends unsigned requests.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    pub linear: Option<Secret>,
    pub github: Option<Secret>,
    pub slack: Option<Secret>,
}

impl Secrets {
    /// The secret of `platform`, where there is one.
    pub fn of(&self, platform: Platform) -> Option<&Secret> {
        match platform {
            Platform::Linear => self.linear.as_ref(),
            Platform::Github => self.github.as_ref(),
            Platform::Slack => self.slack.as_ref(),
        }
    }
}

/// The headers that prove where `body` comes from; Slack's timestamp is there without a secret
/// too.
pub fn headers(
    platform: Platform,
    secret: Option<&Secret>,
    body: &[u8],
    at: DateTime<Utc>,
) -> Vec<(&'static str, String)> {
    let seconds = at.timestamp().to_string();
    let mut headers = Vec::with_capacity(2);
    if platform == Platform::Slack {
        headers.push(("x-slack-request-timestamp", seconds.clone()));
    }
    if let Some(secret) = secret {
        headers.push(match platform {
            Platform::Linear => ("linear-signature", mac(secret, &[body])),
            Platform::Github => ("x-hub-signature-256", format!("sha256={}", mac(secret, &[body]))),
            Platform::Slack => {
                let parts = [b"v0:", seconds.as_bytes(), b":", body];
                ("x-slack-signature", format!("v0={}", mac(secret, &parts)))
            }
        });
    }
    headers
}

/// The header that carries the delivery id; `None` for Slack, which has it in the body.
pub fn delivery_header(platform: Platform) -> Option<&'static str> {
    match platform {
        Platform::Linear => Some("linear-delivery"),
        Platform::Github => Some("x-github-delivery"),
        Platform::Slack => None,
    }
}

/// Makes a recorded body fresh: Slack's `event_id` becomes `id`, and the times that Slack and
/// Linear keep in the body become `at`. A body that is not a JSON object stays as it is.
pub fn refresh(platform: Platform, body: &str, id: &str, at: DateTime<Utc>) -> String {
    let Ok(Value::Object(mut object)) = serde_json::from_str(body) else {
        return body.to_owned();
    };
    match platform {
        Platform::Linear => {
            object.insert("webhookTimestamp".to_owned(), at.timestamp_millis().into());
        }
        Platform::Slack if object.get("type").is_some_and(|t| t == "event_callback") => {
            object.insert("event_id".to_owned(), id.into());
            object.insert("event_time".to_owned(), at.timestamp().into());
        }
        Platform::Github | Platform::Slack => return body.to_owned(),
    }
    Value::Object(object).to_string()
}

/// HMAC-SHA-256 over the parts in a row, as lower-case hex.
fn mac(secret: &Secret, parts: &[&[u8]]) -> String {
    let key = secret.expose().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn signatures_equal_the_ones_the_platforms_publish() {
        let github = Secret::new("It's a Secret to Everybody");
        assert_eq!(
            headers(Platform::Github, Some(&github), b"Hello, World!", at(0)),
            [(
                "x-hub-signature-256",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
                    .to_owned()
            )]
        );
        let slack = Secret::new("8f742231b10e8888abcd99yyyzzz85a5");
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
                    &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA\
                    &user_name=roadrunner&command=%2Fwebhook-collect&text=\
                    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J\
                    %2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
                    &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        assert_eq!(
            headers(Platform::Slack, Some(&slack), body.as_bytes(), at(1_531_420_618)),
            [
                ("x-slack-request-timestamp", "1531420618".to_owned()),
                (
                    "x-slack-signature",
                    "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
                        .to_owned()
                ),
            ]
        );
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        assert_eq!(headers(Platform::Linear, None, b"{}", at(0)), []);
        assert_eq!(headers(Platform::Github, None, b"{}", at(0)), []);
        assert_eq!(headers(Platform::Slack, None, b"{}", at(0)).len(), 1);
    }

    #[test]
    fn a_recorded_body_is_made_fresh_where_the_platform_looks() {
        let check = |platform, body: &str, expect: &str| {
            assert_eq!(refresh(platform, body, "Ev1", at(9)), expect, "{platform:?} {body}");
        };
        check(Platform::Linear, r#"{"a":1}"#, r#"{"a":1,"webhookTimestamp":9000}"#);
        check(
            Platform::Slack,
            r#"{"event_id":"old","type":"event_callback"}"#,
            r#"{"event_id":"Ev1","event_time":9,"type":"event_callback"}"#,
        );
        let challenge = r#"{"type":"url_verification","challenge":"x"}"#;
        check(Platform::Slack, challenge, challenge);
        check(Platform::Slack, "not json", "not json");
        check(Platform::Github, r#"{ "zen": 1 }"#, r#"{ "zen": 1 }"#);
    }
}
