//! Webhook signatures, checked over the raw bytes before anything is parsed.
//!
//! The law: what is not signed by the platform's secret goes no further, and why is told to nobody.
//! Exactly one header of each kind, of exactly the right form, compared in constant time.
//!
//! GitHub signs the body. Slack signs `v0:TIMESTAMP:BODY`, fresh within 300 seconds either way.
//! Linear signs the body, and the time is a field of it. Sources: the platforms' documentation and
//! SDKs; the vectors below are the published ones.

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::Sha256;

use crate::clock::WallMs;
use crate::control::config::Platform;
use crate::secret::Secret;

/// How far Slack's timestamp may be off, either way.
const SLACK_WINDOW_MS: i64 = 300_000;
/// How old a Linear event may be. Its SDK says 60 seconds, but Linear retries after a minute, an
/// hour and six hours, and is not known to sign anew; what comes twice is a repeated delivery.
const LINEAR_PAST_MS: i64 = 8 * 3_600_000;
/// How far ahead Linear's clock may be, as in its SDK.
const LINEAR_FUTURE_MS: i64 = 60_000;

/// The lines of a request's head, however they are held.
pub trait Lines {
    /// The one value of a header; `None` where there is none, or more than one.
    fn only(&self, name: &str) -> Option<&[u8]>;

    /// Whether there is such a header at all.
    fn contains(&self, name: &str) -> bool;
}

impl Lines for HeaderMap {
    fn only(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
    }

    fn contains(&self, name: &str) -> bool {
        self.contains_key(name)
    }
}

/// The event is not proven to come from the platform. Deliberately without detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unverified;

/// Checks that `platform` signed this event with `secret`, and, where the platform signs the
/// time, that it did so recently as of `now_ms`.
///
/// # Errors
/// [`Unverified`], whatever the fault is.
pub fn verify(
    platform: Platform,
    secret: &Secret,
    headers: &impl Lines,
    body: &[u8],
    now_ms: WallMs,
) -> Result<(), Unverified> {
    match platform {
        Platform::Github => {
            let signature = only(headers, "x-hub-signature-256")?;
            let signature = signature.strip_prefix("sha256=").ok_or(Unverified)?;
            check(secret, &[body], signature)
        }
        Platform::Slack => {
            let time = only(headers, "x-slack-request-timestamp")?;
            let signature = only(headers, "x-slack-signature")?;
            let signature = signature.strip_prefix("v0=").ok_or(Unverified)?;
            check(secret, &[b"v0:", time.as_bytes(), b":", body], signature)?;
            let seconds: i64 = digits(time)?;
            let age = now_ms.saturating_sub(seconds.saturating_mul(1000));
            within(age, SLACK_WINDOW_MS, SLACK_WINDOW_MS)
        }
        Platform::Linear => {
            check(secret, &[body], only(headers, "linear-signature")?)?;
            match linear_time(headers, body)? {
                Some(time) => within(now_ms.saturating_sub(time), LINEAR_PAST_MS, LINEAR_FUTURE_MS),
                None => Ok(()),
            }
        }
    }
}

/// Signs a body as Slack does, at `seconds` since 1970, instead of what was signed before.
pub(super) fn sign_slack(secret: &Secret, headers: &mut HeaderMap, body: &[u8], seconds: i64) {
    let time = seconds.to_string();
    let signature = format!("v0={}", mac(secret, &[b"v0:", time.as_bytes(), b":", body]));
    for (name, value) in [("x-slack-request-timestamp", time), ("x-slack-signature", signature)] {
        let value = HeaderValue::try_from(value).expect("digits and hex are a header's value");
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// HMAC-SHA-256 over `parts`, as 64 lower-case hex digits.
pub(super) fn mac(secret: &Secret, parts: &[&[u8]]) -> String {
    hex::encode(keyed(secret, parts).finalize().into_bytes())
}

fn keyed(secret: &Secret, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// When Linear signed, in milliseconds: in the body, else in a header, else not at all.
fn linear_time(headers: &impl Lines, body: &[u8]) -> Result<Option<i64>, Unverified> {
    #[derive(Deserialize)]
    struct Signed {
        #[serde(rename = "webhookTimestamp")]
        time: Option<i64>,
    }
    let signed = serde_json::from_slice(body).map_or(None, |signed: Signed| signed.time);
    match signed {
        None if headers.contains("linear-timestamp") => {
            digits(only(headers, "linear-timestamp")?).map(Some)
        }
        time => Ok(time),
    }
}

fn within(age_ms: i64, past_ms: i64, future_ms: i64) -> Result<(), Unverified> {
    if (-future_ms..=past_ms).contains(&age_ms) { Ok(()) } else { Err(Unverified) }
}

/// The one value of a header, which is visible ASCII.
fn only<'a>(headers: &'a impl Lines, name: &str) -> Result<&'a str, Unverified> {
    let value = headers.only(name).ok_or(Unverified)?;
    let plain = value.iter().all(|b| matches!(b, b'\t' | 0x20..=0x7e));
    if plain { std::str::from_utf8(value).map_err(|_| Unverified) } else { Err(Unverified) }
}

/// A number in digits alone: `parse` would take a sign.
fn digits(text: &str) -> Result<i64, Unverified> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Unverified);
    }
    text.parse().map_err(|_| Unverified)
}

/// Compares an HMAC-SHA-256 over `parts` with 64 lower-case hex digits, in constant time.
fn check(secret: &Secret, parts: &[&[u8]], signature: &str) -> Result<(), Unverified> {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if signature.len() != 64 || !signature.bytes().all(lower) {
        return Err(Unverified);
    }
    let signature = hex::decode(signature).map_err(|_| Unverified)?;
    keyed(secret, parts).verify_slice(&signature).map_err(|_| Unverified)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_str(value).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    }

    #[test]
    fn github_s_published_vector() {
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let secret = Secret::new("It's a Secret to Everybody");
        let check = |lines: &[(&'static str, &str)], body: &str| {
            verify(Platform::Github, &secret, &headers(lines), body.as_bytes(), 0)
        };
        let name = "x-hub-signature-256";
        assert_eq!(check(&[(name, good)], "Hello, World!"), Ok(()));
        assert_eq!(check(&[(name, good)], "Hello, World?"), Err(Unverified));
        assert_eq!(check(&[], "Hello, World!"), Err(Unverified));
        assert_eq!(check(&[(name, good), (name, good)], "Hello, World!"), Err(Unverified));
        assert_eq!(check(&[(name, &good.to_uppercase())], "Hello, World!"), Err(Unverified));
        assert_eq!(check(&[(name, &good[7..])], "Hello, World!"), Err(Unverified));
        assert_eq!(check(&[(name, &good[..70])], "Hello, World!"), Err(Unverified));
        assert_eq!(check(&[("x-hub-signature", good)], "Hello, World!"), Err(Unverified));
    }

    const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=\
        testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=\
        roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F\
        commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=\
        398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

    #[test]
    fn slack_s_published_vector_within_five_minutes() {
        let good = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let secret = Secret::new("8f742231b10e8888abcd99yyyzzz85a5");
        let time = 1_531_420_618;
        let check = |time: &str, now_s: i64| {
            let lines = [("x-slack-request-timestamp", time), ("x-slack-signature", good)];
            let now_ms = now_s * 1000;
            verify(Platform::Slack, &secret, &headers(&lines), SLACK_BODY.as_bytes(), now_ms)
        };
        for (now_s, expect) in [
            (time, Ok(())),
            (time + 300, Ok(())),
            (time - 300, Ok(())),
            (time + 301, Err(Unverified)),
            (time - 301, Err(Unverified)),
        ] {
            assert_eq!(check("1531420618", now_s), expect, "{}", now_s - time);
        }
        assert_eq!(check("1531420619", time), Err(Unverified));
    }

    #[test]
    fn what_is_signed_anew_is_good_and_the_old_signature_is_gone() {
        let secret = Secret::new("hush");
        let mut headers =
            headers(&[("x-slack-request-timestamp", "1"), ("x-slack-signature", "v0=0")]);
        sign_slack(&secret, &mut headers, b"{}", 5000);
        assert_eq!(verify(Platform::Slack, &secret, &headers, b"{}", 5_000_000), Ok(()));
        assert_eq!(verify(Platform::Slack, &secret, &headers, b"[]", 5_000_000), Err(Unverified));
    }

    fn linear(body: &str, now_ms: i64, more: &[(&'static str, &str)]) -> Result<(), Unverified> {
        let secret = Secret::new("hush");
        let mut mac = Hmac::<Sha256>::new_from_slice(b"hush").unwrap();
        mac.update(body.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let mut lines = vec![("linear-signature", signature.as_str())];
        lines.extend(more);
        verify(Platform::Linear, &secret, &headers(&lines), body.as_bytes(), now_ms)
    }

    #[test]
    fn linear_s_time_is_in_the_signed_body() {
        let now = 1_700_000_000_000;
        let body = format!(r#"{{"type":"Issue","webhookTimestamp":{now}}}"#);
        assert_eq!(linear(&body, now, &[]), Ok(()));
        assert_eq!(linear(&body, now + 7 * 3_600_000, &[]), Ok(()), "the last retry");
        assert_eq!(linear(&body, now + 9 * 3_600_000, &[]), Err(Unverified));
        assert_eq!(linear(&body, now - 61_000, &[]), Err(Unverified));
        let old = [("linear-timestamp", "1")];
        assert_eq!(linear(&body, now, &old), Ok(()), "the body's time counts");
        assert_eq!(linear("{}", now, &old), Err(Unverified));
        assert_eq!(linear("{}", now, &[]), Ok(()));
        let twice = [("linear-signature", "0")];
        assert_eq!(linear("{}", now, &twice), Err(Unverified));
    }
}
