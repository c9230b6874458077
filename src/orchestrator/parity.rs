//! Whether two paths say the same: what differs between their answers, and what would differ
//! anyway.
//!
//! The law: a difference counts only if the legacy app agrees with itself about it. Where a first
//! copy's answer differs, the legacy app is asked once more, and what differs between its own two
//! answers (a time, an id, a count) is noise and left out. The idea is that of Twitter's Diffy.
//!
//! Answers in JSON are compared value by value, others as a whole. [`judge`] is pure; [`Board`]
//! keeps the counts of each route and the last differences, for people to read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::control::observe::{Difference, Noise, ShadowRoute};

/// How many differences are kept for each route.
const KEPT: usize = 20;
/// How many differing places of one answer are looked at.
const PLACES: usize = 50;
/// How much of a value is shown.
const SHOWN: usize = 80;
/// The most routes; names come from the configuration, which may change often.
const ROUTES: usize = 64;
/// A value behind such a name is not shown.
const SECRETS: [&str; 7] =
    ["token", "secret", "password", "authorization", "cookie", "signature", "key"];

/// An answer as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// What a comparison showed. Places are JSON pointers, `status`, or `body`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parity {
    /// Where the two paths differ, with what the enhanced one said there and the legacy app.
    pub differences: Vec<(String, [String; 2])>,
    /// Where two answers of the legacy app differ, and so nothing can be said about the paths.
    pub noise: Vec<String>,
}

impl Parity {
    /// Whether both paths say the same, as far as the legacy app agrees with itself.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Compares the enhanced path's answer with two of the legacy app; the second one need only be
/// there when the first differs.
pub fn judge(enhanced: &Said<'_>, legacy: [&Said<'_>; 2]) -> Parity {
    let found = differences(enhanced, legacy[0]);
    if found.is_empty() {
        return Parity::default();
    }
    let noise: Vec<String> =
        differences(legacy[0], legacy[1]).into_iter().map(|(place, _)| place).collect();
    // What lies within a noisy place is noise.
    let noisy = |place: &str| {
        noise.iter().any(|noise| {
            place == noise || place.strip_prefix(noise.as_str()).is_some_and(|r| r.starts_with('/'))
        })
    };
    let differences = found.into_iter().filter(|(place, _)| !noisy(place)).collect();
    Parity { differences, noise }
}

/// The places where two answers differ, with what each says there.
fn differences(one: &Said<'_>, other: &Said<'_>) -> Vec<(String, [String; 2])> {
    if one == other {
        return Vec::new();
    }
    let mut found = Vec::new();
    if one.status != other.status {
        let said = [one.status.to_string(), other.status.to_string()];
        found.push(("status".to_owned(), said));
    }
    let json = |said: &Said<'_>| serde_json::from_slice::<Value>(said.body).ok();
    match (json(one), json(other)) {
        (Some(one), Some(other)) => walk(String::new(), &one, &other, &mut found),
        _ if one.body != other.body => {
            let text = |said: &Said<'_>| shown(&String::from_utf8_lossy(said.body));
            found.push(("body".to_owned(), [text(one), text(other)]));
        }
        _ => {}
    }
    found
}

fn walk(place: String, one: &Value, other: &Value, found: &mut Vec<(String, [String; 2])>) {
    if one == other || found.len() >= PLACES {
        return;
    }
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                let (a, b) = (a.get(name), b.get(name));
                walk(
                    format!("{place}/{escaped}"),
                    a.unwrap_or(&Value::Null),
                    b.unwrap_or(&Value::Null),
                    found,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                walk(format!("{place}/{index}"), a, b, found);
            }
        }
        _ => {
            let secret = SECRETS.iter().any(|name| place.to_ascii_lowercase().contains(name));
            let text = |value: &Value| {
                if secret { "[not shown]".to_owned() } else { shown(&value.to_string()) }
            };
            let said = [text(one), text(other)];
            found.push((if place.is_empty() { "body".to_owned() } else { place }, said));
        }
    }
}

fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(SHOWN).map(clean).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

/// What was compared, by route.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<String, Tally>>);

#[derive(Debug, Default)]
struct Tally {
    equal: u64,
    noisy: u64,
    different: u64,
    last: VecDeque<Difference>,
    /// The places of noise, with how often each was seen.
    noise: BTreeMap<String, u64>,
}

impl Board {
    /// Notes a comparison of answers to `target` at a time for display.
    pub fn note(&self, route: &str, target: &str, at: &str, parity: &Parity) {
        let mut routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if routes.len() >= ROUTES && !routes.contains_key(route) {
            return;
        }
        let tally = routes.entry(route.to_owned()).or_default();
        let Parity { differences, noise } = parity;
        match (differences.is_empty(), noise.is_empty()) {
            (true, true) => tally.equal += 1,
            (true, false) => tally.noisy += 1,
            (false, _) => tally.different += 1,
        }
        for place in noise {
            let place = shown(place);
            if tally.noise.len() < PLACES || tally.noise.contains_key(&place) {
                *tally.noise.entry(place).or_default() += 1;
            }
        }
        for (place, [enhanced, legacy]) in differences {
            let (enhanced, legacy) = (enhanced.clone(), legacy.clone());
            let (at, target) = (at.to_owned(), shown(target));
            let place = shown(place);
            tally.last.push_back(Difference { at, target, place, enhanced, legacy });
        }
        while tally.last.len() > KEPT {
            tally.last.pop_front();
        }
    }

    /// Every route that something was compared on, the newest differences first.
    pub fn view(&self) -> BTreeMap<String, ShadowRoute> {
        let routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let view = |(route, tally): (&String, &Tally)| {
            let compared = tally.equal + tally.noisy + tally.different;
            let same = tally.equal + tally.noisy;
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            let parity = (compared > 0).then(|| same as f64 / compared as f64);
            let differences = tally.last.iter().rev().cloned().collect();
            let noisy = tally.noisy;
            let noise = tally.noise.iter();
            let noise = noise.map(|(place, &seen)| Noise { place: place.clone(), seen }).collect();
            let view = ShadowRoute { compared, equal: same, noisy, parity, noise, differences };
            (route.clone(), view)
        };
        routes.iter().map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> Said<'_> {
        Said { status, body: body.as_bytes() }
    }

    fn noise(place: &str) -> Parity {
        Parity { noise: vec![place.to_owned()], ..Parity::default() }
    }

    fn places(parity: Parity) -> Vec<String> {
        parity.differences.into_iter().map(|(place, _)| place).collect()
    }

    #[test]
    fn what_the_legacy_app_does_not_agree_with_itself_about_is_noise() {
        let legacy = [said(200, r#"{"n":1,"at":"10:00"}"#), said(200, r#"{"n":1,"at":"10:01"}"#)];
        let both = [&legacy[0], &legacy[1]];
        assert_eq!(judge(&said(200, r#"{"at":"09:59","n":1}"#), both), noise("/at"));
        assert_eq!(judge(&legacy[0], both), Parity::default());
        let found = judge(&said(200, r#"{"n":2,"at":"09:59"}"#), both);
        assert_eq!(places(found), ["/n"]);
    }

    #[test]
    fn what_is_in_a_noisy_place_is_noise_and_what_is_beside_it_is_not() {
        let legacy = [said(200, r#"{"a":[1],"ab":1}"#), said(200, r#"{"a":[1,2],"ab":1}"#)];
        let given = said(200, r#"{"a":[3],"ab":2}"#);
        assert_eq!(places(judge(&given, [&legacy[0], &legacy[1]])), ["/ab"]);
    }

    #[test]
    fn text_and_status_are_compared_as_a_whole() {
        let legacy = said(200, "hello");
        assert_eq!(places(judge(&said(500, "hello"), [&legacy, &legacy])), ["status"]);
        assert_eq!(places(judge(&said(200, "hullo"), [&legacy, &legacy])), ["body"]);
        assert_eq!(judge(&said(200, "hullo"), [&legacy, &said(200, "hallo")]), noise("body"));
    }

    #[test]
    fn a_place_is_a_json_pointer_and_shows_no_secret() {
        let legacy = said(200, r#"{"a/b":{"~":[1,2]},"api_token":"x","gone":1}"#);
        let given = said(200, r#"{"a/b":{"~":[1,3]},"api_token":"y","new":1}"#);
        let found = judge(&given, [&legacy, &legacy]).differences;
        let said: Vec<_> = found.iter().map(|(place, [a, b])| (&**place, &**a, &**b)).collect();
        assert_eq!(
            said,
            [
                ("/a~1b/~0/1", "3", "2"),
                ("/api_token", "[not shown]", "[not shown]"),
                ("/gone", "null", "1"),
                ("/new", "1", "null"),
            ]
        );
    }

    #[test]
    fn the_board_keeps_the_last_differences_of_each_route() {
        let board = Board::default();
        let different = |n: usize| Parity {
            differences: vec![(format!("/{n}"), ["a".to_owned(), "b".to_owned()])],
            ..noise("/at")
        };
        board.note("home", "/", "now", &Parity::default());
        board.note("home", "/", "now", &noise("/at"));
        for n in 0..30 {
            board.note("home", "/", "now", &different(n));
        }
        let view = &board.view()["home"];
        assert_eq!((view.compared, view.equal, view.noisy), (32, 2, 1));
        assert_eq!(view.parity, Some(2.0 / 32.0));
        assert_eq!(view.noise, [Noise { place: "/at".to_owned(), seen: 31 }]);
        assert_eq!((view.differences.len(), view.differences[0].place.as_str()), (KEPT, "/29"));
    }
}
