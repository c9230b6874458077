//! What a platform sends, or somebody who says to be one.

use ctx::control::config::Platform;
use ctx::orchestrator::gateway::{delivery, headers, verify};
use ctx::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use sha2::Sha256;

/// The secret that all events here are signed with.
pub const SECRET: &str = "a-webhook-secret-of-the-fuzzer";
/// The time that it is here, in milliseconds since the Unix epoch.
pub const NOW_MS: i64 = 1_700_000_000_000;

/// The bytes are header lines, an empty line and the body.
///
/// Laws: nothing panics; an event is accepted exactly if a second, plain reading of the platforms'
/// rules accepts it; what the gateway takes out of headers is out, and the rest keeps its order.
pub fn check(bytes: &[u8]) {
    let (lines, body) = split(bytes);
    let headers = header_map(lines);
    let secret = Secret::new(SECRET);
    for platform in Platform::ALL {
        let accepted = verify::verify(platform, &secret, &headers, body, NOW_MS).is_ok();
        let expected = plainly(platform, &headers, body);
        assert_eq!(accepted, expected, "{platform:?} {headers:?} {body:?}");
        if let Some(name) = delivery::name(platform, &headers, body) {
            assert!(name.bytes().all(|b| b.is_ascii_graphic() || b == b' '), "{name}");
            assert!(name.len() <= 256, "{name}");
        }
    }
    sanitised(&headers);
}

/// Whether the platform's rules accept an event: read from the documentation, without haste.
fn plainly(platform: Platform, headers: &HeaderMap, body: &[u8]) -> bool {
    let one = |name: &str| -> Option<String> {
        let values: Vec<_> = headers.get_all(name).iter().collect();
        match values[..] {
            [value] => value.to_str().ok().map(str::to_owned),
            _ => None,
        }
    };
    match platform {
        Platform::Github => one("x-hub-signature-256") == Some(format!("sha256={}", hmac(&[body]))),
        Platform::Slack => {
            let Some(time) = one("x-slack-request-timestamp") else { return false };
            let base = [format!("v0:{time}:").as_bytes(), body].concat();
            one("x-slack-signature") == Some(format!("v0={}", hmac(&[&base])))
                && seconds(&time).is_some_and(|t| (i128::from(NOW_MS) - t * 1000).abs() <= 300_000)
        }
        Platform::Linear => {
            let value = serde_json::from_slice::<serde_json::Value>(body).ok();
            let in_body = value.and_then(|value| value.get("webhookTimestamp")?.as_i64());
            let at = match (in_body, headers.contains_key("linear-timestamp")) {
                (Some(at), _) => Some(i128::from(at)),
                (None, false) => None,
                (None, true) => match one("linear-timestamp").as_deref().and_then(seconds) {
                    Some(at) => Some(at),
                    None => return false,
                },
            };
            let age = at.map(|at| i128::from(NOW_MS) - at);
            one("linear-signature") == Some(hmac(&[body]))
                && age.is_none_or(|age| (-60_000..=8 * 3_600_000).contains(&age))
        }
    }
}

fn seconds(text: &str) -> Option<i128> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    // More digits than that is no time of this age of the world.
    plain.then(|| text.parse::<i64>().ok().map(i128::from)).flatten()
}

/// HMAC-SHA-256 with [`SECRET`], as lower-case hex.
pub fn hmac(parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn sanitised(given: &HeaderMap) {
    let mut kept = given.clone();
    headers::strip_request(&mut kept);
    for gone in ["connection", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive"] {
        assert!(!kept.contains_key(gone), "{gone}");
    }
    for name in kept.keys() {
        for prefix in ["proxy-", "x-forwarded-", "x-ctx-"] {
            assert!(!name.as_str().starts_with(prefix), "{name}");
        }
        let was: Vec<_> = given.get_all(name).iter().collect();
        assert_eq!(kept.get_all(name).iter().collect::<Vec<_>>(), was, "{name}");
    }
    let order = |map: &HeaderMap| map.keys().cloned().collect::<Vec<_>>();
    let left: Vec<_> = order(given).into_iter().filter(|name| kept.contains_key(name)).collect();
    assert_eq!(order(&kept), left);
    for framing in ["host", "content-length"] {
        assert_eq!(kept.contains_key(framing), given.contains_key(framing), "{framing}");
    }
    let again = {
        let mut again = kept.clone();
        headers::strip_request(&mut again);
        again
    };
    assert_eq!(again, kept, "once stripped, nothing is left to strip");
    let mut answer = given.clone();
    headers::strip_response(&mut answer);
    assert!(!answer.contains_key("connection") && !answer.contains_key("transfer-encoding"));
}

/// Lines up to the first empty one, and the rest.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (b"", bytes),
    }
}

/// The lines that are headers.
fn header_map(lines: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}
