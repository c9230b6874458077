//! Hands stored events to their handlers, under the revision in force at that moment.
//!
//! The law: an event is taken once at a time, and forgotten only when what became of it is on the
//! disk. Whoever handles it decides on the event's own words, not on when they arrive: a Slack
//! event is signed anew, because a signature that is minutes old would be refused, and every event
//! carries the gateway's own word for it in `Ctx-Event-Mac`.
//!
//! It has a thread, a runtime and a pool of connections of its own, so that ten thousand events
//! that waited for an app do not keep new ones from being taken.

use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use tokio::runtime::{self, LocalOptions};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::event;
use super::ids::Ids;
use super::patience::Patience;
use super::proxy::Course;
use super::table::Signing;
use super::trip::Trip;
use super::verify;
use super::worker::Worker;
use crate::clock::WallMs;
use crate::control::config::Platform;
use crate::failpoint::{self, Point};
use crate::ids::random_hex;
use crate::orchestrator::cache::MAX_BODY;
use crate::orchestrator::flags::Key;
use crate::orchestrator::inbox::outcome::{self, Attempt};
use crate::orchestrator::inbox::{Inbox, Kept, Mark};
use crate::orchestrator::plane::Plane;
use crate::orchestrator::store::inbox::Inbox as Reader;

/// The longest it waits without looking; what is due is told of by itself.
const LOOK: Duration = Duration::from_secs(1);
/// Time between two clean-ups of deliveries that need not be remembered any more.
const TIDY: Duration = Duration::from_secs(600);

/// When the event was received, in milliseconds since 1970.
const RECEIVED: HeaderName = HeaderName::from_static("ctx-event-received");
/// Which attempt this is, from 1.
const ATTEMPT: HeaderName = HeaderName::from_static("ctx-event-attempt");
/// `v1=` and an HMAC-SHA-256 with the key in `event.key`; see [`word`].
const MAC: HeaderName = HeaderName::from_static("ctx-event-mac");

/// Starts the thread that hands stored events on, until `stopping` says how long it may finish.
///
/// # Errors
/// When the thread or its runtime cannot be made.
pub(crate) fn start(
    plane: Arc<Plane>,
    inbox: Arc<Inbox>,
    stopping: watch::Receiver<Option<Duration>>,
) -> io::Result<JoinHandle<()>> {
    let reader = inbox.reader().map_err(io::Error::other)?;
    let mut runtime = runtime::Builder::new_current_thread();
    let thread = thread::Builder::new().name("ctx-inbox".to_owned());
    thread.spawn(move || match runtime.enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => {
            runtime.block_on(async {
                let worker = Worker::new(plane, 1);
                Dispatcher { worker, inbox, reader }.run(stopping).await;
            });
        }
        Err(error) => tracing::error!(%error, "stored events are not handled"),
    })
}

struct Dispatcher {
    worker: Rc<Worker>,
    inbox: Arc<Inbox>,
    reader: Reader,
}

impl Dispatcher {
    async fn run(self, mut stopping: watch::Receiver<Option<Duration>>) {
        let mut taken = BTreeSet::new();
        let mut attempts = JoinSet::new();
        let mut tidied = None;
        let mut wanted = self.worker.plane.berths.wanted();
        loop {
            let now = self.worker.plane.clock.boot();
            if tidied.is_none_or(|at| now >= at + TIDY) {
                tidied = Some(now);
                self.tidy();
            }
            let next = self.take(&mut taken, &mut attempts).unwrap_or_else(|error| {
                tracing::error!(%error, "the inbox cannot be read");
                LOOK
            });
            tokio::select! {
                biased;
                _ = stopping.wait_for(Option::is_some) => break,
                Some(ended) = attempts.join_next() => {
                    if let Ok(id) = ended {
                        taken.remove(&id);
                    }
                }
                () = self.inbox.wake() => {}
                Ok(()) = wanted.changed() => self.worker.give_way(),
                () = sleep(next) => {}
            }
            self.worker.pool.sweep();
        }
        let deadline = Instant::now() + stopping.borrow().unwrap_or(Duration::ZERO);
        while let Ok(Some(_)) = timeout_at(deadline, attempts.join_next()).await {}
    }

    /// Begins to handle what is due, as far as there is room. Returns how long to wait for more.
    fn take(
        &self,
        taken: &mut BTreeSet<u64>,
        attempts: &mut JoinSet<u64>,
    ) -> Result<Duration, crate::orchestrator::store::StoreError> {
        let concurrency = self.worker.plane.active().config.inbox.concurrency.max(1) as usize;
        let room = concurrency.saturating_sub(taken.len());
        if room == 0 {
            return Ok(LOOK);
        }
        let now_ms = self.worker.plane.clock.wall().timestamp_millis();
        for id in self.reader.due(now_ms, concurrency + taken.len())? {
            if taken.len() >= concurrency || taken.contains(&id) {
                continue;
            }
            let Some(kept) = self.reader.pending(id)? else { continue };
            taken.insert(id);
            let (worker, inbox) = (Rc::clone(&self.worker), Arc::clone(&self.inbox));
            attempts.spawn_local(async move {
                attempt(worker, &inbox, kept).await;
                id
            });
        }
        let next = self.reader.next_due(now_ms)?;
        let wait = next.map(|next| Duration::from_millis(next.abs_diff(now_ms)));
        Ok(wait.map_or(LOOK, |wait| wait.min(LOOK)))
    }

    fn tidy(&self) {
        let settings = &self.worker.plane.active().config.inbox;
        let tempo = self.worker.plane.tempo;
        let millis = |plan| i64::try_from(tempo.to_real(plan).as_millis()).unwrap_or(i64::MAX);
        let now_ms = self.worker.plane.clock.wall().timestamp_millis();
        let before_ms = now_ms.saturating_sub(millis(settings.remember));
        self.inbox.tidy(before_ms, now_ms.saturating_add(millis(settings.max_retry)));
    }
}

/// Asks a handler once, and notes what became of it.
async fn attempt(worker: Rc<Worker>, inbox: &Inbox, mut kept: Kept) {
    failpoint::hit(Point::InboxTaken);
    let plane = Arc::clone(&worker.plane);
    let table = &plane.table();
    worker.rebuild();
    let mut trip = Trip::begin(&worker, table, Patience::new());
    let body = Bytes::from(std::mem::take(&mut kept.event.body));
    let attempt = match prepare(&kept, &body, table, inbox, &plane) {
        Err(why) => Attempt::Unanswered(why),
        Ok(parts) => {
            // The names that it came with: every attempt belongs to the same request and trace.
            trip.ids = Ids::kept(&parts.headers);
            let route = Arc::clone(table.route(parts.uri.path()));
            trip.on(&route);
            let sticky = route.sticky_value(&parts.headers);
            let key = Key::from_value(sticky.as_ref().map(HeaderValue::as_bytes));
            let course = Course { table, route: &route, key };
            match event::handle(&worker, &course, parts, body, &mut trip).await {
                Err(refusal) => {
                    trip.answer(refusal.status());
                    Attempt::Unanswered(refusal.text().to_owned())
                }
                Ok(exchange) => {
                    let status = exchange.head.status;
                    trip.answer(status);
                    // The answer is nobody's any more; its end says that the handler is done.
                    if exchange.collect(MAX_BODY).await.is_none() {
                        tracing::debug!(id = kept.id, "an answer to a stored event broke off");
                    }
                    Attempt::Status(status.as_u16())
                }
            }
        }
    };
    failpoint::hit(Point::InboxHandled);
    let now_ms = plane.clock.wall().timestamp_millis();
    let settings = &plane.active().config.inbox;
    let real = |duration| plane.tempo.to_real(duration);
    let mark = outcome::after(&attempt, &kept, settings, now_ms, chance(), real);
    match &mark {
        Mark::Handled => trip.counts.delivered += 1,
        Mark::Retry { why, .. } => {
            trip.counts.retried += 1;
            tracing::debug!(
                id = kept.id,
                attempt = kept.attempts + 1,
                why,
                request_id = trip.ids.request(),
                trace_id = trip.ids.trace(),
                "tried again later"
            );
        }
        Mark::Dead { why, .. } => {
            trip.counts.dead += 1;
            let Kept { id, event, attempts, .. } = &kept;
            let (source, delivery, attempts) = (&event.source, &event.delivery, attempts + 1);
            let (request_id, trace_id) = (trip.ids.request(), trip.ids.trace());
            tracing::warn!(
                id,
                source,
                delivery,
                attempts,
                why,
                request_id,
                trace_id,
                "an event is in the dead letters"
            );
        }
    }
    drop(trip);
    inbox.mark(kept.id, mark).await;
}

/// The request that an event is handed on with.
fn prepare(
    kept: &Kept,
    body: &[u8],
    table: &super::table::Table,
    inbox: &Inbox,
    plane: &Plane,
) -> Result<Parts, String> {
    let Kept { event, .. } = kept;
    let request = Request::builder().method(Method::POST).uri(event.target.as_str()).body(());
    let (mut parts, ()) = request.map_err(|error| format!("its path: {error}"))?.into_parts();
    parts.headers = headers(&event.headers)?;
    let route = table.route(parts.uri.path());
    if let Signing::Checked(Platform::Slack, secret) = &route.signing
        && let Some(secret) = secret.accepted().next()
    {
        let seconds = plane.clock.wall().timestamp();
        verify::sign_slack(secret, &mut parts.headers, body, seconds);
    }
    let delivery = event.delivery.as_deref().unwrap_or("-");
    let rev = plane.active().rev;
    let word = word(&event.source, delivery, event.received_ms, &event.body_hash, rev);
    let mac = verify::mac(inbox.key(), &[word.as_bytes()]);
    let mut set = |name, value: String| {
        let value = HeaderValue::try_from(value).expect("digits and hex are a header's value");
        parts.headers.insert(name, value);
    };
    set(RECEIVED, event.received_ms.to_string());
    set(ATTEMPT, (kept.attempts + 1).to_string());
    set(MAC, format!("v1={rev}:{mac}"));
    Ok(parts)
}

/// What the gateway vouches for: that it took this event from its platform at that time, with its
/// signature right where the route checks one.
fn word(source: &str, delivery: &str, received_ms: WallMs, body_hash: &str, rev: u64) -> String {
    format!("v1:{source}:{delivery}:{received_ms}:{body_hash}:{rev}")
}

fn headers(lines: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(lines.len());
    for (name, value) in lines {
        let bytes: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
        let value = bytes.ok().and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
        let line = HeaderName::from_bytes(name.as_bytes()).ok().zip(value);
        let (name, value) = line.ok_or_else(|| format!("its header `{name}` is none"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The lines of a head, each byte of a value as one character.
pub(super) fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|b| char::from(*b)).collect();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// A number in 0..1, at random.
fn chance() -> f64 {
    let dice = u32::from_str_radix(&random_hex::<4>(), 16).expect("eight hex digits");
    f64::from(dice) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_kept_byte_for_byte() {
        let mut map = HeaderMap::new();
        map.append("x-a", HeaderValue::from_static("1"));
        map.append("x-b", HeaderValue::from_bytes(b"caf\xe9 \xff").unwrap());
        map.append("x-a", HeaderValue::from_static("2"));
        assert_eq!(headers(&lines(&map)).unwrap(), map);
        assert!(headers(&[("a b".to_owned(), String::new())]).is_err());
        assert!(headers(&[("a".to_owned(), "\u{2014}".to_owned())]).is_err());
    }
}
