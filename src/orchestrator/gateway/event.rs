//! The own processor: what happens to an event that the orchestrator takes itself.
//!
//! The law: an event that is not proven to come from its platform reaches no handler; a delivery
//! that comes again gets the first answer and runs nothing; and a handler that could not be
//! reached costs nothing, because the event, of which then not a byte was sent, goes to the legacy
//! app. An event that a handler may have begun is never given to a second one, unless the inbox
//! has it: what is stored is handled at least once.
//!
//! In order: take the body, check the signature, store it where the inbox takes it first, look for
//! the first answer, wait for a place among those in flight, ask the handler, keep its answer.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response};

use super::admit::with_path;
use super::answer::{Answer, Capture};
use super::body::{Outgoing, Owed};
use super::forward::{Exchange, Failure};
use super::proxy::{self, Course};
use super::refusal::Refusal;
use super::table::{Handler, Signing};
use super::trip::Trip;
use super::verify::verify;
use super::worker::Worker;
use super::{delivery, dispatch};
use crate::control::config::{CacheMode, InboxMode};
use crate::failpoint::{self, Point};
use crate::orchestrator::inbox::outcome::is_failure;
use crate::orchestrator::inbox::{Event, Put, Refused};

/// Processes one event.
pub(super) async fn process(
    worker: &Rc<Worker>,
    course: &Course<'_>,
    parts: Parts,
    body: Incoming,
    mut trip: Trip,
) -> Response<Answer> {
    trip.counts.enhanced += 1;
    let body = match worker.intake.take(body, course.route.max_body).await {
        Ok((body, held)) => {
            trip.held = Some(held);
            body
        }
        Err(refusal) => return refusal.answer(trip),
    };
    if let Err(refusal) = check(worker, &course.route.signing, &parts, &body) {
        return refusal.answer(trip);
    }
    failpoint::hit(Point::EventChecked);
    let mode = inbox_mode(worker, course, &body);
    if mode == InboxMode::Store {
        return store(worker, course, &parts, body, trip).await;
    }
    let delivery = delivery_name(course, &parts, &body);
    let cache = &worker.plane.cache;
    if let Some(first) = delivery.as_deref().and_then(|delivery| cache.get(delivery)) {
        trip.counts.duplicates += 1;
        trip.ask(&course.table.cache_arm);
        return Answer::stored(&first, trip);
    }
    let workers = worker.plane.workers.load(std::sync::atomic::Ordering::Relaxed);
    let Some(pass) = worker.gate.enter(workers, worker.gates).await else {
        trip.counts.shed += 1;
        return Refusal::Overloaded.answer(trip);
    };
    trip.pass = Some(pass);
    let again = (mode == InboxMode::Rescue).then(|| (parts.clone(), body.clone()));
    let failed = match handle(worker, course, parts, body, &mut trip).await {
        Ok(exchange) if again.is_some() && is_failure(exchange.head.status.as_u16()) => None,
        Ok(exchange) => {
            failpoint::hit(Point::EventHandled);
            let keep = delivery.filter(|_| !exchange.head.status.is_server_error());
            let capture = keep.map(|name| Capture::to_cache(worker, &exchange.head, name));
            return exchange.answer(trip, capture);
        }
        Err(refusal) => Some(refusal),
    };
    match (again, failed) {
        (Some((parts, body)), _) => store(worker, course, &parts, body, trip).await,
        (None, failed) => failed.unwrap_or(Refusal::Upstream).answer(trip),
    }
}

/// Whether this event is to be stored, and when.
fn inbox_mode(worker: &Worker, course: &Course<'_>, body: &[u8]) -> InboxMode {
    let Course { table, route, key } = *course;
    let stored = table.inbox.mode != InboxMode::Off
        && !route.synchronous
        && worker.plane.inbox.get().is_some()
        && table.storing.includes(key)
        && !delivery::is_challenge(route.platform, body);
    if stored { table.inbox.mode } else { InboxMode::Off }
}

/// Stores an event, and acknowledges it when that is done.
async fn store(
    worker: &Worker,
    course: &Course<'_>,
    parts: &Parts,
    body: Bytes,
    mut trip: Trip,
) -> Response<Answer> {
    let Some(inbox) = worker.plane.inbox.get() else {
        return Refusal::NotStored.answer(trip);
    };
    let platform = course.route.platform;
    let delivery = platform.and_then(|of| delivery::id(of, &parts.headers, &body));
    let event = Event {
        source: platform.map_or_else(|| course.route.name.to_string(), |of| of.name().to_owned()),
        delivery: delivery.map(Cow::into_owned),
        body_hash: delivery::body_hash(&body),
        target: parts.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned(),
        headers: dispatch::lines(&parts.headers),
        body: body.to_vec(),
        received_ms: worker.plane.clock.wall().timestamp_millis(),
    };
    let named = (event.source.clone(), event.delivery.clone());
    match inbox.put(event, course.table.inbox.capacity).await {
        Ok(put) => {
            match put {
                Put::Stored => trip.counts.stored += 1,
                Put::Known => trip.counts.duplicates += 1,
                Put::StoredBesides => {
                    trip.counts.stored += 1;
                    let (source, delivery) = named;
                    tracing::warn!(
                        source,
                        delivery,
                        request_id = trip.ids.request(),
                        trace_id = trip.ids.trace(),
                        "a delivery came again with another body"
                    );
                }
            }
            failpoint::hit(Point::InboxAcknowledges);
            trip.ask(&course.table.inbox_arm);
            let (mut head, ()) = Response::new(()).into_parts();
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            head.headers.insert(CONTENT_TYPE, plain);
            Answer::whole(head, Bytes::from_static(b"stored\n"), trip)
        }
        Err(Refused::Full) => {
            trip.counts.shed += 1;
            Refusal::Overloaded.answer(trip)
        }
        Err(Refused::Failed) => Refusal::NotStored.answer(trip),
    }
}

/// Checks the signature, if the route asks for one.
fn check(worker: &Worker, signing: &Signing, parts: &Parts, body: &[u8]) -> Result<(), Refusal> {
    match signing {
        Signing::Unchecked => Ok(()),
        Signing::Impossible => Err(Refusal::Unverifiable),
        Signing::Checked(platform, secret) => {
            let now_ms = worker.plane.clock.wall().timestamp_millis();
            let signed = |secret| verify(*platform, secret, &parts.headers, body, now_ms).is_ok();
            if secret.accepted().any(signed) { Ok(()) } else { Err(Refusal::Unverified) }
        }
    }
}

/// The name of this delivery, if answers to deliveries are to be kept.
fn delivery_name(course: &Course<'_>, parts: &Parts, body: &[u8]) -> Option<String> {
    let platform = course.route.platform?;
    let kept =
        course.table.cache_mode == CacheMode::Write && course.table.caching.includes(course.key);
    kept.then(|| delivery::name(platform, &parts.headers, body))?
}

/// Asks the extension, or else whoever serves what goes to the legacy app; falls back to the
/// latter if nothing was sent.
pub(super) async fn handle(
    worker: &Worker,
    course: &Course<'_>,
    parts: Parts,
    body: Bytes,
    trip: &mut Trip,
) -> Result<Exchange, Refusal> {
    let table = course.table;
    let uri = parts.uri.clone();
    let mut request = Request::from_parts(parts, Outgoing::whole(body));
    let extension = extension(course);
    let (arm, upstream) = if let Some(extension) = extension {
        *request.uri_mut() = with_path(&uri, &extension.path)?;
        (&extension.arm, &extension.upstream)
    } else {
        let upstream = proxy::stable_or_canary(course);
        (&upstream.name, upstream)
    };
    let owed = Owed::default();
    match proxy::send(worker, course, arm, upstream, request, &owed, trip).await {
        Ok(exchange) => {
            trip.counts.extension += u64::from(extension.is_some());
            Ok(exchange)
        }
        Err(Failure::Unsent(_, mut request) | Failure::Broken(mut request))
            if table.legacy_fallback && !Arc::ptr_eq(upstream, &table.legacy) =>
        {
            let (request_id, trace_id) = (trip.ids.request(), trip.ids.trace());
            tracing::debug!(
                %upstream, request_id, trace_id, "an event goes to the legacy app instead"
            );
            trip.counts.fallback += 1;
            *request.uri_mut() = uri;
            let legacy = &table.legacy;
            let sent = proxy::send(worker, course, &legacy.name, legacy, *request, &owed, trip);
            sent.await.map_err(|failure| failure.refusal())
        }
        Err(failure) => Err(failure.refusal()),
    }
}

/// The extension that takes this event, if the flag for extensions includes its sender.
fn extension<'a>(course: &Course<'a>) -> Option<&'a Handler> {
    let handler = course.table.extensions.get(&course.route.platform?)?;
    course.table.extending.includes(course.key).then_some(handler)
}
