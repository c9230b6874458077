//! What happens to a request: the decision which way it goes.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};

use super::access::Entry;
use super::admit::{admit, is_bodiless};
use super::answer::{Answer, Capture};
use super::body::{Outgoing, Owed};
use super::forward::{Exchange, Failure, forward};
use super::patience::Patience;
use super::reads::Ask;
use super::refusal::Refusal;
use super::table::{Route, Table, Upstream};
use super::trip::Trip;
use super::worker::Worker;
use super::{event, moments, reads, shadow};
use crate::control::config::{CacheMode, Mode, RouteKind};
use crate::orchestrator::breaker::{Asked, Verdict};
use crate::orchestrator::cache::{Flight, Keep, Lead, Stored, Use};
use crate::orchestrator::flags::Key;
use crate::orchestrator::split::Split;

/// How long a read waits for the answer that another one fetches.
const FETCHED: Duration = Duration::from_secs(1);

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
    worker.rebuild();
    let mut trip = Trip::begin(&worker, table, patience);
    trip.asked = {
        let (method, path) = (request.method().as_str(), request.uri().path());
        Entry::note(method, path, peer.as_bytes(), &worker.sampler)
    };
    let (mut parts, body) = match admit(request, peer) {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.answer(trip),
    };
    trip.ids.read(table.tracing, &parts.headers, &worker.namer);
    trip.ids.mark(&mut parts.headers);
    moments::admitted();
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
    let writes = course.route.cache && !parts.method.is_safe();
    let request = Request::from_parts(parts, body);
    let sent = send(worker, course, &upstream.name, upstream, request, &owed, &mut trip);
    let mut answer = match sent.await {
        Ok(exchange) => {
            if writes
                && (exchange.head.status.is_success() || exchange.head.status.is_redirection())
            {
                worker.plane.cache.written(&course.route.name);
            }
            exchange.answer(trip, None)
        }
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
    let ask = if cached { reads::ask(&parts, &route.policy) } else { None };
    let sample = |other| {
        let shadowed = route.shadow && parts.method == Method::GET;
        if shadowed { shadow::Copy::sample(worker, table, other, &parts) } else { None }
    };
    let upstream = stable_or_canary(course);
    let stable = Arc::ptr_eq(upstream, &table.legacy);
    let mut lead = None;
    if let Some(ask) = &ask {
        let found = match look_up(worker, route, ask) {
            // What a canary says is on trial, and not for everybody: it fetches for itself.
            None if stable => {
                let fetched = fetched_by_another(worker, route, ask).await;
                fetched.unwrap_or_else(|first| {
                    lead = first;
                    None
                })
            }
            found => found,
        };
        if let Some(stored) = found {
            trip.counts.cache_hits += 1;
            trip.ask(&table.cache_arm);
            if let Some(copy) = sample(&table.legacy) {
                copy.compare(Arc::clone(&route.name), stored.status, stored.body.clone());
            }
            let age = stored.age(worker.plane.clock.boot());
            return if reads::is_known(&parts.headers, stored.status, &stored.headers) {
                Answer::not_modified(&stored, age, trip)
            } else {
                Answer::aged(&stored, age, trip)
            };
        }
        trip.counts.cache_misses += 1;
    }
    let beside = table.canary.as_ref().map(Split::to);
    let copy = if stable { beside.and_then(sample) } else { sample(&table.legacy) };
    let (body, owed) = Outgoing::stream(body);
    let asked = worker.plane.clock.boot();
    let request = Request::from_parts(parts, body);
    let sent = send(worker, course, &upstream.name, upstream, request, &owed, &mut trip);
    let exchange = match sent.await {
        Ok(exchange) => exchange,
        Err(failure) => return failure.refusal().answer(trip),
    };
    let now = worker.plane.clock.wall().into();
    let keep = ask.filter(|_| stable).and_then(|ask| {
        let (ttl, age) = reads::may_keep(&exchange.head, &route.policy, now)?;
        Some((ask.name, Keep { asked, ttl, age, max_body: route.policy.max_body }))
    });
    let capture = match (keep, copy) {
        (Some((name, keep)), _) => {
            Some(Capture::to_cache(worker, &exchange.head, name, keep, lead))
        }
        (None, Some(copy)) => {
            Some(Capture::to_compare(&exchange.head, copy, Arc::clone(&route.name)))
        }
        (None, None) => None,
    };
    exchange.answer(trip, capture)
}

/// What the cache has for a read.
fn look_up(worker: &Worker, route: &Route, ask: &Ask) -> Option<Arc<Stored>> {
    let to = Use { ttl: route.policy.ttl, max_age: ask.max_age, route: Some(&route.name) };
    worker.plane.cache.get(&ask.name, to)
}

/// Waits for an answer that somebody else fetches; what there is then. Gives back the lead where
/// nobody does.
///
/// Nobody waits twice: whoever finds nothing after that fetches it without being waited for.
async fn fetched_by_another(
    worker: &Worker,
    route: &Route,
    ask: &Ask,
) -> Result<Option<Arc<Stored>>, Option<Lead>> {
    let found = match worker.plane.cache.join(&ask.name) {
        Flight::Lead(lead) => {
            // It may have been fetched between the look and the lead.
            let found = look_up(worker, route, ask);
            return if found.is_some() { Ok(found) } else { Err(Some(lead)) };
        }
        Flight::Follow(mut follow) => {
            let _ = tokio::time::timeout(FETCHED, follow.changed()).await;
            look_up(worker, route, ask)
        }
    };
    Ok(found)
}

/// Who is asked of the two that serve what goes to the legacy app.
pub(super) fn stable_or_canary<'a>(course: &Course<'a>) -> &'a Arc<Upstream> {
    let canary = course.table.canary.as_ref().and_then(|canary| canary.side(course.key));
    canary.unwrap_or(&course.table.legacy)
}

/// Sends a request as the flag for pooled connections says, counted under `arm`; unless the
/// upstream's breaker is open, for everybody or for whom the flag for breakers includes.
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
    let (table, plane) = (course.table, &worker.plane);
    let included = table.breaking.includes(course.key);
    let verdict = upstream.breaker.ask(&table.breaker, plane.clock.boot(), included);
    match verdict {
        Verdict::Stop => {
            trip.counts.broken += 1;
            return Err(Failure::Broken(Box::new(request)));
        }
        Verdict::Probe => {
            tracing::info!(%upstream, "a request asks whether it has recovered");
        }
        Verdict::Go => {}
    }
    let asked = asked(worker, table, upstream, verdict);
    let pooled = table.pooling.includes(course.key);
    let counter = if pooled { &mut trip.counts.pooled } else { &mut trip.counts.unpooled };
    *counter += 1;
    match forward(worker, upstream, pooled, request, owed, &trip.ids).await {
        Ok(exchange) => Ok(exchange.told_to(asked)),
        Err(failure) => {
            // A client that stops sending says nothing about the upstream, nor does a limit of ours.
            let silent = matches!(failure, Failure::Lost(Refusal::Stalled) | Failure::Full(_));
            if let Some(asked) = asked.filter(|_| !silent) {
                asked.tell(true);
            }
            Err(failure)
        }
    }
}

/// Who hears of what becomes of a request to `upstream`, by leave of `verdict`: while the flag for
/// breakers is on for some, everybody's requests tell how the upstream is.
pub(super) fn asked(
    worker: &Worker,
    table: &Table,
    upstream: &Upstream,
    verdict: Verdict,
) -> Option<Asked> {
    let opens = !table.breaking.is_nobody();
    let (name, clock) = (&upstream.name, &worker.plane.clock);
    let heard = opens || table.healing || verdict == Verdict::Probe;
    heard.then(|| Asked::new(&upstream.breaker, name, &table.breaker, clock, (verdict, opens)))
}
