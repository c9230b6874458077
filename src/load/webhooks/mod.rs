//! Realistic webhook traffic: signed events of all three platforms, and reads in between.
//!
//! Each request is drawn from a [`Mix`] by a seeded [`Dice`], so a seed and a clock decide every
//! byte. Sizes and headers follow what the platforms send: a GitHub push has about 7 KB, Slack
//! and Linear about one or two. A few hooks and channels send everything, so that what is sticky
//! by sender has something to stick to.

mod github;
mod linear;
mod slack;

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde_json::Value;

use super::dice::Dice;
use super::sign::{self, Secrets};
use super::source::{Outgoing, Source};
use crate::clock::Clock;
use crate::control::config::Platform;
use crate::units::Percent;

/// What the traffic consists of. Each share is taken of what the one before leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Who sends; at least one.
    pub platforms: Vec<Platform>,
    /// `GET /`.
    pub reads: Percent,
    /// Payloads that the app's models refuse, which it answers with 500.
    pub refused: Percent,
    /// Events of a type that the app has no handler for, which it answers with 200.
    pub unknown: Percent,
}

impl Default for Mix {
    /// All platforms; no refused payloads, so that every answer should be a good one.
    fn default() -> Self {
        Self {
            platforms: Platform::ALL.to_vec(),
            reads: Percent::whole(10),
            refused: Percent::ZERO,
            unknown: Percent::whole(3),
        }
    }
}

/// What kind of event to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavor {
    Known,
    /// Of a type without a handler.
    Unknown,
    /// Not what the app's models accept.
    Refused,
}

/// An event before it is signed.
struct Event {
    body: Vec<u8>,
    /// Besides the delivery id and the signature.
    headers: Vec<(&'static str, String)>,
    /// The delivery id; absent where the request is not an event, as for Slack's challenge.
    delivery: Option<String>,
}

/// The webhooks of [`Mix`], one after the other.
#[derive(Debug)]
pub struct Webhooks {
    mix: Mix,
    secrets: Secrets,
    clock: Arc<dyn Clock>,
    dice: Dice,
}

impl Webhooks {
    /// Makes a source. Two sources with the same seed send the same delivery ids: where a
    /// service remembers deliveries, take [`Dice::fresh`].
    pub fn new(mix: Mix, secrets: Secrets, clock: Arc<dyn Clock>, dice: Dice) -> Self {
        Self { mix, secrets, clock, dice }
    }
}

impl Source for Webhooks {
    fn next(&mut self) -> Outgoing {
        if self.mix.platforms.is_empty() || self.dice.chance(self.mix.reads) {
            return read();
        }
        let n = u64::try_from(self.mix.platforms.len()).expect("at most three platforms");
        let index = usize::try_from(self.dice.below(n)).expect("at most three platforms");
        let platform = self.mix.platforms[index];
        let flavor = if self.dice.chance(self.mix.refused) {
            Flavor::Refused
        } else if self.dice.chance(self.mix.unknown) {
            Flavor::Unknown
        } else {
            Flavor::Known
        };
        let now = self.clock.wall();
        let event = match platform {
            Platform::Linear => linear::event(&mut self.dice, flavor, now),
            Platform::Github => github::event(&mut self.dice, flavor, now),
            Platform::Slack => slack::event(&mut self.dice, flavor, now),
        };
        post(platform, flavor, event, &self.secrets, now)
    }
}

fn read() -> Outgoing {
    Outgoing {
        method: Method::GET,
        path: "/".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        expect: 200,
        delivery: None,
    }
}

fn post(
    platform: Platform,
    flavor: Flavor,
    event: Event,
    secrets: &Secrets,
    now: DateTime<Utc>,
) -> Outgoing {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(user_agent(platform)));
    let id = sign::delivery_header(platform).zip(event.delivery.clone());
    let proof = sign::headers(platform, secrets.of(platform), &event.body, now);
    for (name, value) in event.headers.into_iter().chain(id).chain(proof) {
        let value = HeaderValue::from_str(&value).expect("generated values are plain ASCII");
        headers.insert(HeaderName::from_static(name), value);
    }
    Outgoing {
        method: Method::POST,
        path: format!("/{}/events", platform.name()),
        headers,
        body: event.body.into(),
        expect: if flavor == Flavor::Refused { 500 } else { 200 },
        delivery: event.delivery,
    }
}

fn user_agent(platform: Platform) -> &'static str {
    match platform {
        Platform::Linear => "Linear-Webhook",
        Platform::Github => "GitHub-Hookshot/044aadd",
        Platform::Slack => "Slackbot 1.0 (+https://api.slack.com/robots)",
    }
}

/// JSON without white space, as all three platforms send it.
fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a JSON value prints")
}

/// RFC 3339 to the second.
fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use crate::clock::ManualClock;
    use crate::secret::Secret;

    fn traffic(mix: Mix, seed: u64, n: usize) -> Vec<Outgoing> {
        let secret = || Some(Secret::new("hush"));
        let secrets = Secrets { linear: secret(), github: secret(), slack: secret() };
        let mut source =
            Webhooks::new(mix, secrets, Arc::new(ManualClock::default()), Dice::new(seed));
        (0..n).map(|_| source.next()).collect()
    }

    fn only(platform: Platform) -> Mix {
        let mix = Mix { platforms: vec![platform], ..Mix::default() };
        Mix { reads: Percent::ZERO, unknown: Percent::ZERO, ..mix }
    }

    #[test]
    fn a_seed_decides_every_byte() {
        let bytes = |seed| -> Vec<_> {
            let requests = traffic(Mix::default(), seed, 200);
            requests.into_iter().map(|r| (r.path, r.headers, r.body)).collect()
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn every_part_of_the_mix_is_there_and_every_delivery_is_its_own() {
        let mut paths = BTreeMap::new();
        let mut deliveries = HashSet::new();
        for request in traffic(Mix::default(), 5, 2000) {
            *paths.entry(request.path.clone()).or_insert(0) += 1;
            assert_eq!(request.expect, 200);
            if let Some(id) = request.delivery {
                assert!(deliveries.insert(id.clone()), "{id} twice");
            }
        }
        assert!((140..260).contains(&paths["/"]), "{paths:?}");
        for path in ["/linear/events", "/github/events", "/slack/events"] {
            assert!((500..700).contains(&paths[path]), "{paths:?}");
        }
    }

    #[test]
    fn every_signature_is_over_the_bytes_that_are_sent() {
        let (now, hush) = (ManualClock::default().wall(), Secret::new("hush"));
        for platform in Platform::ALL {
            for request in traffic(only(platform), 4, 50) {
                let proof = sign::headers(platform, Some(&hush), &request.body, now);
                assert!(proof.iter().all(|(name, value)| request.headers[*name] == **value));
                assert!(!proof.is_empty());
            }
        }
    }

    #[test]
    fn refused_payloads_come_only_when_asked_for() {
        let mix = Mix { refused: Percent::whole(5), ..Mix::default() };
        let refused = traffic(mix, 6, 4000).iter().filter(|r| r.expect == 500).count();
        assert!((120..240).contains(&refused), "{refused}");
    }

    #[test]
    fn a_push_has_the_size_and_the_headers_of_a_real_one() {
        let pushes: Vec<_> = traffic(only(Platform::Github), 7, 200)
            .into_iter()
            .filter(|r| r.headers["x-github-event"] == "push")
            .collect();
        let hooks: HashSet<_> =
            pushes.iter().map(|r| r.headers["x-github-hook-id"].clone()).collect();
        assert!((2..=8).contains(&hooks.len()), "{hooks:?}");
        for push in pushes {
            assert!((6_000..9_000).contains(&push.body.len()), "{}", push.body.len());
            assert_eq!(push.headers["x-github-delivery"], push.delivery.unwrap());
            assert!(push.headers.contains_key("x-hub-signature-256"));
        }
    }

    #[test]
    fn slack_sends_its_id_in_the_body_and_sometimes_a_challenge() {
        let requests = traffic(only(Platform::Slack), 8, 400);
        let (challenges, events): (Vec<_>, Vec<_>) = requests.into_iter().partition(|r| {
            serde_json::from_slice::<Value>(&r.body).unwrap()["type"] == "url_verification"
        });
        assert!((1..40).contains(&challenges.len()), "{}", challenges.len());
        assert!(challenges.iter().all(|r| r.delivery.is_none()));
        for event in events {
            let body: Value = serde_json::from_slice(&event.body).unwrap();
            assert_eq!(body["event_id"], event.delivery.unwrap());
            assert!(event.headers.contains_key("x-slack-signature"));
        }
    }

    #[test]
    fn linear_keeps_the_hook_apart_from_the_delivery() {
        let requests = traffic(only(Platform::Linear), 9, 200);
        let bodies = requests.iter().map(|r| serde_json::from_slice::<Value>(&r.body).unwrap());
        let hooks: HashSet<_> = bodies.map(|b| b["webhookId"].to_string()).collect();
        assert!(hooks.len() <= 4, "{hooks:?}");
        for request in &requests {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(body["webhookTimestamp"], 1_893_452_400_000_i64);
            assert_eq!(request.headers["linear-event"], body["type"].as_str().unwrap());
            assert_eq!(request.headers["linear-delivery"], request.delivery.clone().unwrap());
        }
    }
}
