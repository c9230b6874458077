//! The own processor: what happens to an event that the orchestrator takes itself.
//!
//! The law: an event that is not proven to come from its platform reaches no handler; a delivery
//! that comes again gets the first answer and runs nothing; and a handler that could not be
//! reached costs nothing, because the event, of which then not a byte was sent, goes to the legacy
//! app. An event that a handler may have begun is never given to a second one.
//!
//! In order: take the body, check the signature, look for the first answer, wait for a place among
//! those in flight, ask the handler, keep its answer.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::http::request::Parts;
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
use super::{delivery, intake};
use crate::control::config::CacheMode;
use crate::failpoint::{self, Point};

/// Processes one event.
pub(super) async fn process(
    worker: &Rc<Worker>,
    course: &Course<'_>,
    parts: Parts,
    body: Incoming,
    mut trip: Trip,
) -> Response<Answer> {
    trip.counts.enhanced += 1;
    let cap = intake::cap(course.route.platform);
    let body = match worker.intake.take(body, cap).await {
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
    let delivery = delivery_name(course, &parts, &body);
    let cache = &worker.plane.cache;
    if let Some(first) = delivery.as_deref().and_then(|delivery| cache.get(delivery)) {
        trip.counts.duplicates += 1;
        trip.ask(&course.table.cache_arm);
        return Answer::stored(&first, trip);
    }
    let workers = worker.plane.workers.load(std::sync::atomic::Ordering::Relaxed);
    let Some(pass) = worker.gate.enter(workers, worker.gates).await else {
        return Refusal::Overloaded.answer(trip);
    };
    trip.pass = Some(pass);
    match handle(worker, course, parts, body, &mut trip).await {
        Ok(exchange) => {
            failpoint::hit(Point::EventHandled);
            let keep = delivery.filter(|_| !exchange.head.status.is_server_error());
            let capture = keep.map(|name| Capture::to_cache(worker, &exchange.head, name));
            exchange.answer(trip, capture)
        }
        Err(refusal) => refusal.answer(trip),
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
async fn handle(
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
        Err(Failure::Unsent(_, mut request))
            if table.legacy_fallback && !Arc::ptr_eq(upstream, &table.legacy) =>
        {
            tracing::debug!(%upstream, "an event goes to the legacy app instead");
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
