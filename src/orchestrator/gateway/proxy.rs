//! What happens to a request: the decision which way it goes.

use std::rc::Rc;
use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};

use super::access::Asked;
use super::admit::{admit, is_bodiless};
use super::answer::{Answer, Capture};
use super::body::{Outgoing, Owed};
use super::forward::{Exchange, Failure, forward};
use super::patience::Patience;
use super::refusal::Refusal;
use super::table::{Route, Table, Upstream};
use super::trip::Trip;
use super::worker::Worker;
use super::{event, reads, shadow};
use crate::control::config::{CacheMode, Mode, RouteKind};
use crate::failpoint::{self, Point};
use crate::orchestrator::breaker::Verdict;
use crate::orchestrator::flags::Key;
use crate::orchestrator::split::Split;

/// What was decided on before a request is sent anywhere: the revision it is answered under, its
/// route, and what its sender is recognised by.
pub(super) struct Course<'a> {
    pub(super) table: &'a Arc<Table>,
    pub(super) route: &'a Route,
    pub(super) key: Key<'a>,
}

/// Answers one request of the client at `peer`.
pub(super) async fn serve(
    worker: Rc<Worker>,
    peer: HeaderValue,
    patience: Patience,
    request: Request<Incoming>,
) -> Response<Answer> {
    let table = &worker.plane.table();
    worker.pool.configure(&table.pool, worker.plane.pool_generation());
    let mut trip = Trip::begin(&worker, table, patience);
    trip.asked = Asked::note(&request, &peer, &worker.sampler);
    let (mut parts, body) = match admit(request, peer) {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.answer(trip),
    };
    trip.ids.mark(&table.tracing, &mut parts.headers, &worker.namer);
    failpoint::hit(Point::GatewayAdmitted);
    let route = Arc::clone(table.route(parts.uri.path()));
    trip.on(&route);
    let sticky = route.sticky_value(&parts.headers);
    let key = Key::from_value(sticky.as_ref().map(HeaderValue::as_bytes));
    let course = Course { table, route: &route, key };
    match route.kind {
        Some(RouteKind::Event) if parts.method == Method::POST => {
            if table.mode == Mode::Enhanced || table.enhanced.includes(key) {
                return event::process(&worker, &course, parts, body, trip).await;
            }
            trip.counts.legacy += 1;
            pass(&worker, &course, parts, body, trip).await
        }
        Some(RouteKind::Read) if is_bodiless(&parts, body.is_end_stream()) => {
            read(&worker, &course, parts, body, trip).await
        }
        _ => pass(&worker, &course, parts, body, trip).await,
    }
}

/// Passes a request to the legacy app, or to the canary if its sender belongs there.
async fn pass(
    worker: &Worker,
    course: &Course<'_>,
    parts: Parts,
    body: Incoming,
    mut trip: Trip,
) -> Response<Answer> {
    let upstream = stable_or_canary(course);
    let (body, owed) = Outgoing::stream(body);
    let request = Request::from_parts(parts, body);
    let sent = send(worker, course, &upstream.name, upstream, request, &owed, &mut trip);
    let mut answer = match sent.await {
        Ok(exchange) => exchange.answer(trip, None),
        Err(failure) => failure.refusal().answer(trip),
    };
    if owed.get() {
        // What is left of the body is not read, so that the connection ends with this answer. A
        // client that is not told would lose its next request.
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// Answers a read: from the cache, or as [`pass`] would, keeping the answer.
async fn read(
    worker: &Rc<Worker>,
    course: &Course<'_>,
    parts: Parts,
    body: Incoming,
    mut trip: Trip,
) -> Response<Answer> {
    let Course { table, route, key } = *course;
    let cached = route.cache && table.cache_mode != CacheMode::Off && table.caching.includes(key);
    let name = if cached { reads::name(&parts) } else { None };
    let sample = |other| {
        let shadowed = route.shadow && parts.method == Method::GET;
        if shadowed { shadow::Copy::sample(worker, table, other, &parts) } else { None }
    };
    if let Some(name) = &name {
        if let Some(stored) = worker.plane.cache.get(name) {
            trip.counts.cache_hits += 1;
            trip.ask(&table.cache_arm);
            if let Some(copy) = sample(&table.legacy) {
                copy.compare(Arc::clone(&route.name), stored.status, stored.body.clone());
            }
            return Answer::stored(&stored, trip);
        }
        trip.counts.cache_misses += 1;
    }
    let upstream = stable_or_canary(course);
    let stable = Arc::ptr_eq(upstream, &table.legacy);
    let beside = table.canary.as_ref().map(Split::to);
    let copy = if stable { beside.and_then(sample) } else { sample(&table.legacy) };
    let (body, owed) = Outgoing::stream(body);
    let request = Request::from_parts(parts, body);
    let sent = send(worker, course, &upstream.name, upstream, request, &owed, &mut trip);
    let exchange = match sent.await {
        Ok(exchange) => exchange,
        Err(failure) => return failure.refusal().answer(trip),
    };
    // What a canary says is on trial, and not for everybody.
    let keep = name.filter(|_| stable && reads::may_keep(&exchange.head, table.cache_ttl));
    let capture = match (keep, copy) {
        (Some(name), _) => Some(Capture::to_cache(worker, &exchange.head, name)),
        (None, Some(copy)) => {
            Some(Capture::to_compare(&exchange.head, copy, Arc::clone(&route.name)))
        }
        (None, None) => None,
    };
    exchange.answer(trip, capture)
}

/// Who is asked of the two that serve what goes to the legacy app.
pub(super) fn stable_or_canary<'a>(course: &Course<'a>) -> &'a Arc<Upstream> {
    let canary = course.table.canary.as_ref().and_then(|canary| canary.side(course.key));
    canary.unwrap_or(&course.table.legacy)
}

/// Sends a request as the flag for pooled connections says, counted under `arm`; unless the
/// upstream's breaker is open and the flag for breakers includes the sender.
pub(super) async fn send(
    worker: &Worker,
    course: &Course<'_>,
    arm: &Arc<str>,
    upstream: &Upstream,
    request: Request<Outgoing>,
    owed: &Owed,
    trip: &mut Trip,
) -> Result<Exchange, Failure> {
    trip.ask(arm);
    let table = course.table;
    let guarded = table.breaking.includes(course.key);
    let Worker { plane, .. } = worker;
    let verdict = if guarded {
        plane.breakers.ask(&upstream.name, &table.breaker, plane.clock.boot())
    } else {
        Verdict::Go
    };
    if verdict == Verdict::Stop {
        trip.counts.broken += 1;
        return Err(Failure::Broken(Box::new(request)));
    }
    let pooled = table.pooling.includes(course.key);
    let counter = if pooled { &mut trip.counts.pooled } else { &mut trip.counts.unpooled };
    *counter += 1;
    let sent = forward(worker, upstream, pooled, request, owed, &trip.ids).await;
    // While the flag is on for some, everybody's requests tell how the upstream is.
    if !table.breaking.is_nobody() {
        // A client that stops sending says nothing about the upstream.
        let failed = match &sent {
            Ok(exchange) => Some(exchange.head.status.is_server_error()),
            Err(Failure::Lost(Refusal::Stalled)) => None,
            Err(_) => Some(true),
        };
        if let Some(failed) = failed {
            let (now, probe) = (plane.clock.boot(), verdict == Verdict::Probe);
            plane.breakers.tell(&upstream.name, &table.breaker, now, probe, failed);
        }
    }
    sent
}
