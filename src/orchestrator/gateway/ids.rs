//! What a request is called: its id, and the trace that it belongs to.
//!
//! The law: a request has one name from the first byte to the last attempt. It goes upstream in
//! `X-Request-Id`, is stored with the event, and stands in every log line and refusal about it. A
//! name is what [`Tracing`] allows: a sender's own is kept only where senders are trusted, and only
//! if it is harmless in a header, a log and a shell.
//!
//! An id is 128 bits as 32 hex digits: 48 of time in milliseconds, so that ids sort as requests
//! came, and 80 at random, drawn from a generator of the worker's own that was seeded by the
//! operating system once (`SplitMix64`: Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators", 2014). Making one takes a few nanoseconds; it becomes text where it is needed. An
//! id names and does not prove: it is no secret.
//!
//! A trace that begins here has the request's number, so that either finds the other. Trace
//! context is W3C's, <https://www.w3.org/TR/trace-context/>.

use std::cell::Cell;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::headers::strip;
use super::verify::Lines;
use crate::control::config::Tracing;
use crate::ids::random_hex;

/// Carries a request's id.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest id that is taken from a sender.
const MAX_GIVEN: usize = 64;
/// Where the trace's id is within a `traceparent`.
const TRACE_ID: std::ops::Range<usize> = 3..35;
/// Where the sender's span is.
const SPAN_ID: std::ops::Range<usize> = 36..52;
/// The length of an id that is made here.
pub(super) const ID_LEN: usize = 32;
/// The length of a `traceparent` of version 00.
pub(super) const TRACEPARENT_LEN: usize = 55;

/// The names of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    request: Name,
    trace: Name,
    /// The span of a trace that begins here.
    span: u64,
    /// Whether the answer says the request's.
    answer: bool,
}

#[derive(Clone, Debug, Default)]
enum Name {
    #[default]
    None,
    /// Made here, and for the request's head to say.
    New(u128),
    /// For a trace, its whole `traceparent`. The request's head says it already.
    Given(HeaderValue),
}

/// What a request's head is to say that it does not say yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) request_id: Option<[u8; ID_LEN]>,
    /// A trace that begins here: no `tracestate` belongs to it.
    pub(super) traceparent: Option<[u8; TRACEPARENT_LEN]>,
}

/// Makes the names of one worker's requests.
#[derive(Debug)]
pub(super) struct Namer(Cell<u64>);

impl Namer {
    pub(super) fn new() -> Self {
        let seed = u64::from_str_radix(&random_hex::<8>(), 16).expect("sixteen hex digits");
        Self(Cell::new(seed))
    }

    /// A new number, at a time in milliseconds since 1970; never zero.
    fn next(&self, wall_ms: i64) -> u128 {
        let ms = u64::try_from(wall_ms).unwrap_or(0);
        let high = (ms << 16) | (self.random() >> 48);
        (u128::from(high) << 64) | u128::from(self.random())
    }

    /// 64 bits at random; never zero, which a trace's span must not be.
    fn random(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).max(1)
    }
}

impl Ids {
    /// The names of a request that has just come, before its headers were looked at.
    pub(super) fn new(settings: Tracing, namer: &Namer, wall_ms: i64) -> Self {
        let request = if settings.request_id { Name::New(namer.next(wall_ms)) } else { Name::None };
        Self { request, answer: settings.answer_request_id, ..Self::default() }
    }

    /// The names that a stored event was kept with.
    pub(super) fn kept(headers: &HeaderMap) -> Self {
        let kept = |name: &HeaderName, sound: fn(&[u8]) -> bool| {
            let value = headers.get(name).filter(|value| sound(value.as_bytes()));
            value.map_or(Name::None, |value| Name::Given(value.clone()))
        };
        let (request, trace) = (kept(&X_REQUEST_ID, is_sound), kept(&TRACEPARENT, is_traceparent));
        Self { request, trace, ..Self::default() }
    }

    /// Takes over what the request's head says, as far as the settings allow it.
    pub(super) fn read(&mut self, settings: Tracing, lines: &impl Lines, namer: &Namer) {
        if settings.request_id && settings.trust_request_id {
            let given = lines.only(X_REQUEST_ID.as_str()).filter(|id| is_sound(id));
            if let Some(given) = given.and_then(|id| HeaderValue::from_bytes(id).ok()) {
                self.request = Name::Given(given);
            }
        }
        let given = lines.only(TRACEPARENT.as_str()).filter(|line| is_traceparent(line));
        match given.and_then(|line| HeaderValue::from_bytes(line).ok()) {
            Some(given) => self.trace = Name::Given(given),
            None if settings.start_trace => {
                let number = match self.request {
                    Name::New(number) => number,
                    Name::None | Name::Given(_) => {
                        (u128::from(namer.random()) << 64) | u128::from(namer.random())
                    }
                };
                (self.trace, self.span) = (Name::New(number), namer.random());
            }
            None => {}
        }
    }

    /// What the head must say besides.
    pub(super) fn marks(&self) -> Marks {
        let mut marks = Marks::default();
        if let Name::New(number) = self.request {
            marks.request_id = Some(digits(number));
        }
        if let Name::New(number) = self.trace {
            // Not sampled: whoever records traces decides that, and the gateway does not.
            let mut line = *b"00-tttttttttttttttttttttttttttttttt-ssssssssssssssss-00";
            line[TRACE_ID].copy_from_slice(&digits(number));
            line[SPAN_ID].copy_from_slice(&digits(self.span.into())[16..]);
            marks.traceparent = Some(line);
        }
        marks
    }

    /// Makes a head say it, in the place of what it said instead.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        let value = |line: &[u8]| HeaderValue::from_bytes(line).expect("hex and dashes");
        let Marks { request_id, traceparent } = self.marks();
        if let Some(id) = request_id {
            headers.insert(X_REQUEST_ID, value(&id));
        }
        if let Some(line) = traceparent {
            headers.insert(TRACEPARENT, value(&line));
            strip(headers, |name| *name == TRACESTATE);
        }
    }

    /// The id that the head of an answer which passes is to say, if that is asked for.
    pub(super) fn answered<'a>(&'a self, room: &'a mut [u8; ID_LEN]) -> Option<&'a [u8]> {
        if self.answer { self.told(room) } else { None }
    }

    /// The id that the head of the gateway's own answer says.
    pub(super) fn told<'a>(&'a self, room: &'a mut [u8; ID_LEN]) -> Option<&'a [u8]> {
        match &self.request {
            Name::None => None,
            Name::New(number) => {
                *room = digits(*number);
                Some(room)
            }
            Name::Given(given) => Some(given.as_bytes()),
        }
    }

    /// Says the id in the head of an answer that passes, where that is asked for.
    pub(super) fn answer(&self, headers: &mut HeaderMap) {
        if self.answer {
            self.refuse(headers);
        }
    }

    /// Says the id in the head of the gateway's own answer, if there is one.
    pub(super) fn refuse(&self, headers: &mut HeaderMap) {
        let mut room = [0; ID_LEN];
        if let Some(id) = self.told(&mut room) {
            let id = HeaderValue::from_bytes(id).expect("digits, or a header's value");
            headers.insert(X_REQUEST_ID, id);
        }
    }

    /// The request's id, for the log.
    pub(super) fn request(&self) -> Option<String> {
        match &self.request {
            Name::None => None,
            Name::New(number) => Some(format!("{number:032x}")),
            Name::Given(given) => given.to_str().ok().map(str::to_owned),
        }
    }

    /// The trace's id, for the log.
    pub(super) fn trace(&self) -> Option<String> {
        match &self.trace {
            Name::None => None,
            Name::New(number) => Some(format!("{number:032x}")),
            Name::Given(given) => given.to_str().ok()?.get(TRACE_ID).map(str::to_owned),
        }
    }
}

/// The digits of a number, from its first.
fn digits(number: u128) -> [u8; ID_LEN] {
    let mut text = [0; ID_LEN];
    hex::encode_to_slice(number.to_be_bytes(), &mut text).expect("16 bytes are 32 digits");
    text
}

/// Whether a sender's id may be written anywhere as it is.
fn is_sound(id: &[u8]) -> bool {
    let harmless = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:".contains(b);
    (1..=MAX_GIVEN).contains(&id.len()) && id.iter().all(harmless)
}

/// Whether this is a `traceparent`: of version 00, or of a later one that begins the same way.
fn is_traceparent(line: &[u8]) -> bool {
    let Some((first, rest)) = line.split_at_checked(TRACEPARENT_LEN) else { return false };
    let hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |part: &[u8]| part.iter().all(|b| *b == b'0');
    let (version, trace, span, flags) =
        (&first[..2], &first[TRACE_ID], &first[SPAN_ID], &first[53..]);
    let dashes = [first[2], first[35], first[52]] == [b'-'; 3];
    let parts = [version, trace, span, flags].into_iter().all(hex);
    let longer = rest.is_empty() || (version != b"00" && rest[0] == b'-');
    dashes && parts && longer && version != b"ff" && !zero(trace) && !zero(span)
}

/// The request's id and the trace's id that a stored event has in its headers.
pub(crate) fn of_lines(lines: &[(String, String)]) -> (Option<String>, Option<String>) {
    let find = |wanted: &HeaderName| {
        let line = lines.iter().find(|(name, _)| wanted == name.as_str());
        line.and_then(|(_, value)| HeaderValue::from_str(value).ok())
    };
    let mut headers = HeaderMap::new();
    for name in [X_REQUEST_ID, TRACEPARENT] {
        if let Some(value) = find(&name) {
            headers.insert(name, value);
        }
    }
    let ids = Ids::kept(&headers);
    (ids.request(), ids.trace())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn marked(settings: Tracing, lines: &[(&'static str, &'static str)]) -> (Ids, HeaderMap) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let namer = Namer::new();
        let mut ids = Ids::new(settings, &namer, 1_893_452_400_000);
        ids.read(settings, &headers, &namer);
        ids.mark(&mut headers);
        (ids, headers)
    }

    #[test]
    fn ids_are_many_and_sort_by_their_time() {
        let namer = Namer::new();
        let ids: BTreeSet<u128> = (0..10_000).map(|_| namer.next(1000)).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(namer.next(999) < *ids.first().unwrap());
        assert!(namer.next(1001) > *ids.last().unwrap());
    }

    #[test]
    fn a_senders_id_is_kept_only_where_senders_are_trusted_and_it_is_sound() {
        let trusting = Tracing::default();
        let (ids, headers) = marked(trusting, &[("x-request-id", "a-B_3.4:5")]);
        assert_eq!(
            (ids.request().as_deref(), headers["x-request-id"].as_bytes()),
            (Some("a-B_3.4:5"), &b"a-B_3.4:5"[..])
        );
        let long = "1234567890123456789012345678901234567890123456789012345678901234x";
        for bad in [
            &[("x-request-id", "a b")][..],
            &[("x-request-id", "")],
            &[("x-request-id", long)],
            &[("x-request-id", "a"), ("x-request-id", "b")],
            &[],
        ] {
            let (ids, headers) = marked(trusting, bad);
            let id = ids.request().unwrap();
            assert_eq!((id.len(), headers.get_all("x-request-id").iter().count()), (32, 1));
            assert_eq!(headers["x-request-id"], id, "{bad:?}");
        }
        let wary = Tracing { trust_request_id: false, ..Tracing::default() };
        let (ids, headers) = marked(wary, &[("x-request-id", "mine")]);
        assert_eq!(headers["x-request-id"], ids.request().unwrap());
        assert_ne!(headers["x-request-id"], "mine");
        let off = Tracing { request_id: false, ..Tracing::default() };
        let (ids, headers) = marked(off, &[("x-request-id", "mine")]);
        assert_eq!((ids.request(), headers["x-request-id"].as_bytes()), (None, &b"mine"[..]));
    }

    #[test]
    fn a_trace_passes_unchanged_and_begins_only_where_that_is_asked_for() {
        let starting = Tracing { start_trace: true, ..Tracing::default() };
        for settings in [Tracing::default(), starting] {
            let (ids, headers) =
                marked(settings, &[("traceparent", PARENT), ("tracestate", "a=1")]);
            assert_eq!(
                (&headers["traceparent"], &headers["tracestate"]),
                (&HeaderValue::from_static(PARENT), &HeaderValue::from_static("a=1"))
            );
            assert_eq!(ids.trace().as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        }
        let broken = [("traceparent", "00-xyz"), ("tracestate", "a=1")];
        let (ids, headers) = marked(Tracing::default(), &broken);
        assert_eq!((ids.trace(), headers["traceparent"].as_bytes()), (None, &b"00-xyz"[..]));
        let (ids, headers) = marked(starting, &broken);
        assert!(is_traceparent(headers["traceparent"].as_bytes()), "{headers:?}");
        assert_eq!((ids.trace(), headers.get("tracestate")), (ids.request(), None));
    }

    #[test]
    fn only_what_the_standard_calls_a_traceparent_is_one() {
        assert!(is_traceparent(PARENT.as_bytes()));
        let later = format!("01{}-more", &PARENT[2..]);
        assert!(is_traceparent(later.as_bytes()));
        for bad in [
            String::new(),
            PARENT.to_uppercase(),
            format!("{PARENT}-more"),
            format!("{PARENT}x"),
            format!("ff{}", &PARENT[2..]),
            format!("01{}x", &PARENT[2..]),
            PARENT.replace('-', "_"),
            PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            PARENT[..54].to_owned(),
        ] {
            assert!(!is_traceparent(bad.as_bytes()), "{bad}");
        }
    }
}
