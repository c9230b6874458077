//! What happens to a request: the decision which way it goes.

use std::rc::Rc;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};

use super::admit::admit;
use super::answer::Answer;
use super::body::{Outgoing, Owed};
use super::forward::forward;
use super::table::{Table, Upstream};
use super::trip::Trip;
use super::worker::Worker;
use crate::control::config::RouteKind;
use crate::orchestrator::flags::Key;

/// Answers one request of the client at `peer`.
pub(super) async fn serve(
    worker: Rc<Worker>,
    peer: HeaderValue,
    request: Request<Incoming>,
) -> Response<Answer> {
    let table = worker.plane.table();
    worker.pool.configure(&table.pool, worker.plane.pool_generation());
    let mut trip = Trip::begin(&worker, &table);
    let (parts, body) = match admit(request, peer) {
        Ok(admitted) => admitted,
        Err(refusal) => return refusal.answer(trip),
    };
    let route = Arc::clone(table.route(parts.uri.path()));
    trip.on(&route);
    let sticky = route.sticky_value(&parts.headers);
    let key = Key::from_value(sticky.as_ref().map(HeaderValue::as_bytes));
    if route.kind == Some(RouteKind::Event) && parts.method == Method::POST {
        trip.counts.legacy += 1;
    }
    pass(&worker, &table, key, parts, body, trip).await
}

/// Passes a request to the legacy app, or to the canary if its sender belongs there.
async fn pass(
    worker: &Worker,
    table: &Table,
    key: Key<'_>,
    parts: Parts,
    body: Incoming,
    mut trip: Trip,
) -> Response<Answer> {
    let upstream = stable_or_canary(table, key);
    let (body, owed) = Outgoing::stream(body);
    let request = Request::from_parts(parts, body);
    match send(worker, table, key, upstream, request, &owed, &mut trip).await {
        Ok(exchange) => exchange.answer(trip),
        Err(failure) => failure.refusal().answer(trip),
    }
}

/// Who is asked of the two that serve what goes to the legacy app.
pub(super) fn stable_or_canary<'a>(table: &'a Table, key: Key<'_>) -> &'a Arc<Upstream> {
    let canary = table.canary.as_ref().and_then(|canary| canary.side(key));
    canary.unwrap_or(&table.legacy)
}

/// Sends a request as the flag for pooled connections says, under the upstream's own arm.
pub(super) async fn send(
    worker: &Worker,
    table: &Table,
    key: Key<'_>,
    upstream: &Arc<Upstream>,
    request: Request<Outgoing>,
    owed: &Owed,
    trip: &mut Trip,
) -> Result<super::forward::Exchange, super::forward::Failure> {
    trip.ask(&upstream.name);
    let pooled = table.pooling.includes(key);
    let counter = if pooled { &mut trip.counts.pooled } else { &mut trip.counts.unpooled };
    *counter += 1;
    forward(worker, upstream, pooled, request, owed).await
}
