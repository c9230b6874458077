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
use std::time::Duration;

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
use super::table::{Before, Deputy, Handler, Signing};
use super::trip::Trip;
use super::verify::{Lines, verify};
use super::worker::Worker;
use super::{delivery, dispatch, moments};
use crate::control::config::{CacheMode, InboxMode, Platform};
use crate::failpoint::{self, Point};
use crate::orchestrator::cache::{Keep, MAX_BODY, Use};
use crate::orchestrator::extensions::{self, NoReply, Service};
use crate::orchestrator::flags::{Key, Share};
use crate::orchestrator::inbox::outcome::is_failure;
use crate::orchestrator::inbox::{Event, Put, Refused};
use crate::units::Percent;

/// Processes one event.
pub(super) async fn process(
    worker: &Rc<Worker>,
    course: &Course<'_>,
    parts: Parts,
    body: Incoming,
    mut trip: Trip,
) -> Response<Answer> {
    trip.counts.enhanced += 1;
    if is_shed(worker.plane.shed(), course.route.platform) {
        trip.counts.shed += 1;
        return Refusal::Overloaded.answer(trip);
    }
    let body = match worker.intake.take(body, course.route.max_body).await {
        Ok((body, held)) => {
            trip.held = Some(held);
            body
        }
        Err(refusal) => return refusal.answer(trip),
    };
    if let Err(refusal) = check(worker, &course.route.signing, &parts.headers, &body) {
        return refusal.answer(trip);
    }
    moments::checked();
    let mode = inbox_mode(worker, course, &body);
    if mode == InboxMode::Store {
        return store(worker, course, &parts, body, trip).await;
    }
    let delivery = delivery_name(course, &parts, &body);
    let cache = &worker.plane.cache;
    if let Some(first) = delivery.as_deref().and_then(|name| cache.get(name, again(course))) {
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
    let asked = worker.plane.clock.boot();
    let again = (mode == InboxMode::Rescue).then(|| (parts.clone(), body.clone()));
    let failed = match handle(worker, course, parts, body, &mut trip).await {
        Ok(exchange) if again.is_some() && is_failure(exchange.head.status.as_u16()) => None,
        Ok(exchange) => {
            failpoint::hit(Point::EventHandled);
            let keep = delivery.filter(|_| !exchange.head.status.is_server_error());
            let (ttl, age) = (course.table.cache_ttl, Duration::ZERO);
            let as_it_is = Keep { asked, ttl, age, max_body: MAX_BODY };
            let capture =
                keep.map(|name| Capture::to_cache(worker, &exchange.head, name, as_it_is, None));
            return exchange.answer(trip, capture);
        }
        Err(refusal) => Some(refusal),
    };
    match (again, failed) {
        (Some((parts, body)), _) => store(worker, course, &parts, body, trip).await,
        (None, failed) => failed.unwrap_or(Refusal::Upstream).answer(trip),
    }
}

/// Whether a new event is refused, so that those in flight are finished, while `shed` of all are.
///
/// Before its body is read or stored, because work that is refused should cost nothing. Events of
/// platforms that send them again go first: up to a half, none of those that come only once.
fn is_shed(shed: Percent, platform: Option<Platform>) -> bool {
    if shed == Percent::ZERO {
        return false;
    }
    let doubled = shed.thousandths() * 2;
    let again = matches!(platform, Some(Platform::Slack | Platform::Linear));
    let thousandths = if again { doubled } else { doubled.saturating_sub(Percent::DENOMINATOR) };
    let share = Percent::from_thousandths(thousandths).unwrap_or(Percent::ALL);
    Share::new("shed", share).includes(Key::Random)
}

/// A repeated delivery gets the first answer for as long as answers are kept.
fn again(course: &Course<'_>) -> Use<'static> {
    Use { ttl: course.table.cache_ttl, max_age: None, route: None }
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
pub(super) fn check(
    worker: &Worker,
    signing: &Signing,
    headers: &impl Lines,
    body: &[u8],
) -> Result<(), Refusal> {
    match signing {
        Signing::Unchecked => Ok(()),
        Signing::Impossible => Err(Refusal::Unverifiable),
        Signing::Checked(platform, secret) => {
            let now_ms = worker.plane.clock.wall().timestamp_millis();
            let signed = |secret| verify(*platform, secret, headers, body, now_ms).is_ok();
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
    let extension = match extension(course) {
        Some(Handler::Upstream(deputy)) => Some(deputy),
        Some(Handler::Process { service, before: Before::Others(deputy) })
            if !service.has_begun() =>
        {
            deputy.as_ref()
        }
        Some(Handler::Process { service, .. }) => {
            return run(worker, course, service, parts, body, trip).await;
        }
        None => None,
    };
    let uri = parts.uri.clone();
    let mut request = Request::from_parts(parts, Outgoing::whole(body));
    let (arm, upstream) = if let Some(Deputy { arm, upstream, path }) = extension.map(|d| &**d) {
        *request.uri_mut() = with_path(&uri, path)?;
        (arm, upstream)
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
        Err(
            Failure::Unsent(_, mut request)
            | Failure::Full(mut request)
            | Failure::Broken(mut request),
        ) if table.legacy_fallback && !Arc::ptr_eq(upstream, &table.legacy) => {
            let (request_id, trace_id) = (trip.ids.request(), trip.ids.trace());
            tracing::debug!(
                %upstream, request_id, trace_id, "an event goes to the legacy app instead"
            );
            *request.uri_mut() = uri;
            fall_back(worker, course, *request, trip).await
        }
        Err(failure) => Err(failure.refusal()),
    }
}

/// Asks an extension that is a program; falls back to the legacy app if it was given nothing.
async fn run(
    worker: &Worker,
    course: &Course<'_>,
    service: &Service,
    parts: Parts,
    body: Bytes,
    trip: &mut Trip,
) -> Result<Exchange, Refusal> {
    trip.ask(&service.id);
    let platform = course.route.platform;
    let delivery = platform.and_then(|of| delivery::id(of, &parts.headers, &body));
    let event = extensions::Event {
        platform: platform.map_or("", Platform::name),
        delivery: delivery.as_deref(),
        target: parts.uri.path_and_query().map_or("/", PathAndQuery::as_str),
        headers: &parts.headers,
        body: &body,
    };
    let refusal = match service.handle(&event).await {
        Ok(reply) => {
            trip.counts.extension += 1;
            return Ok(Exchange::of_program(reply));
        }
        Err(NoReply::Late) => return Err(Refusal::TimedOut),
        Err(NoReply::Lost) => return Err(Refusal::Upstream),
        Err(NoReply::Nobody) => Refusal::NotRunning,
        Err(NoReply::Busy) => Refusal::Overloaded,
    };
    drop(delivery);
    if course.table.legacy_fallback {
        tracing::debug!(extension = %service.id, "an event goes to the legacy app instead");
        let request = Request::from_parts(parts, Outgoing::whole(body));
        return fall_back(worker, course, request, trip).await;
    }
    trip.counts.shed += u64::from(refusal == Refusal::Overloaded);
    Err(refusal)
}

/// Asks the legacy app, because nobody else was given the event.
async fn fall_back(
    worker: &Worker,
    course: &Course<'_>,
    request: Request<Outgoing>,
    trip: &mut Trip,
) -> Result<Exchange, Refusal> {
    trip.counts.fallback += 1;
    let (legacy, owed) = (&course.table.legacy, Owed::default());
    let sent = proxy::send(worker, course, &legacy.name, legacy, request, &owed, trip);
    sent.await.map_err(|failure| failure.refusal())
}

/// The extension that takes this event, if the flag for extensions includes its sender; its new
/// version, if the sender is on that side and it runs.
fn extension<'a>(course: &Course<'a>) -> Option<&'a Handler> {
    let Course { table, route, key } = *course;
    let platform = route.platform?;
    let handler = table.extensions.get(&platform).filter(|_| table.extending.includes(key))?;
    let next = table.next.as_ref().filter(|(of, _)| *of == platform);
    let next = next.and_then(|(_, split)| split.side(key)).filter(|next| match next {
        Handler::Process { service, .. } => service.has_begun(),
        Handler::Upstream(_) => true,
    });
    Some(next.unwrap_or(handler))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_come_again_are_refused_first() {
        let refused = |shed, platform| {
            let times = (0..2000).filter(|_| is_shed(Percent::whole(shed), platform)).count();
            times.div_ceil(20)
        };
        let (again, once) = (Some(Platform::Slack), Some(Platform::Github));
        assert_eq!((refused(0, again), refused(0, once)), (0, 0));
        let (some, none) = (refused(25, again), refused(25, once));
        assert!((40..60).contains(&some) && none == 0, "{some}% and {none}%");
        assert_eq!((refused(50, again), refused(50, once)), (100, 0));
        let (all, some) = (refused(75, again), refused(75, once));
        assert!(all == 100 && (40..60).contains(&some), "{all}% and {some}%");
    }
}
