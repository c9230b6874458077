//! Sends a request to an upstream, within its time limits, and says exactly what went wrong.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::http::response::Parts;
use hyper::{Request, Response, Version};
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, Capture, Stream};
use super::body::{Outgoing, Owed};
use super::headers;
use super::ids::Ids;
use super::refusal::Refusal;
use super::table::Upstream;
use super::trip::Trip;
use super::worker::Worker;
use crate::failpoint::{self, Point};
use crate::orchestrator::pool::{Lease, Pool, SendError};

/// An upstream's answer, of which the head has arrived.
pub(super) struct Exchange {
    pub(super) head: Parts,
    body: Incoming,
    lease: Option<Lease>,
    deadline: Instant,
}

/// Why an upstream gave no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was sent; the request is still whole.
    Unsent(io::ErrorKind, Box<Request<Outgoing>>),
    /// Nothing was sent, because the upstream's breaker is open; the request is still whole.
    Broken(Box<Request<Outgoing>>),
    /// The request, or part of it, was sent: nobody knows what became of it.
    Lost(Refusal),
}

impl Failure {
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Unsent(io::ErrorKind::TimedOut, _) => Refusal::TimedOut,
            Self::Unsent(..) => Refusal::Upstream,
            Self::Broken(_) => Refusal::Broken,
            Self::Lost(refusal) => *refusal,
        }
    }
}

/// Sends `request` to `upstream`: over the pool, or over a connection of its own.
///
/// `owed` tells a client that is slow to send from an upstream that is slow to answer.
///
/// # Errors
/// See [`Failure`].
pub(super) async fn forward(
    worker: &Worker,
    upstream: &Upstream,
    pooled: bool,
    request: Request<Outgoing>,
    owed: &Owed,
    ids: &Ids,
) -> Result<Exchange, Failure> {
    let Some(address) = &upstream.address else {
        return Err(Failure::Unsent(io::ErrorKind::NotFound, Box::new(request)));
    };
    failpoint::hit(Point::GatewaySends);
    let deadline = Instant::now() + upstream.timeout;
    let limit = upstream.connect_timeout.min(upstream.timeout);
    let sent = timeout_at(deadline, async {
        if pooled {
            let (response, lease) = worker.pool.send(address, limit, request).await?;
            Ok((response, Some(lease)))
        } else {
            Ok((Pool::send_alone(address, limit, request).await?, None))
        }
    });
    match sent.await {
        Ok(Ok((response, lease))) => {
            failpoint::hit(Point::GatewayAnswered);
            let (mut head, body) = response.into_parts();
            headers::strip_response(&mut head.headers);
            head.version = Version::HTTP_11;
            Ok(Exchange { head, body, lease, deadline })
        }
        Ok(Err(SendError::Unreached(error, request))) => {
            let (request_id, trace_id) = (ids.request(), ids.trace());
            tracing::debug!(%upstream, %error, request_id, trace_id, "failed to reach it");
            Err(Failure::Unsent(error.kind(), request))
        }
        Ok(Err(SendError::Lost(error))) => {
            let (request_id, trace_id) = (ids.request(), ids.trace());
            tracing::debug!(%upstream, %error, request_id, trace_id, "the exchange broke off");
            // An error of the body is the client's, who stopped sending it.
            let stalled = error.is_user() && owed.get();
            Err(Failure::Lost(if stalled { Refusal::Stalled } else { Refusal::Upstream }))
        }
        Err(_) if owed.get() => Err(Failure::Lost(Refusal::Stalled)),
        Err(_) => Err(Failure::Lost(Refusal::TimedOut)),
    }
}

impl Exchange {
    /// Passes the answer on as it comes, noting it for `capture` on the way.
    pub(super) fn answer(self, trip: Trip, capture: Option<Capture>) -> Response<Answer> {
        let Self { head, body, lease, deadline } = self;
        Answer::stream(head, Stream::new(body, lease, deadline), trip, capture)
    }

    /// Reads the answer's body; `None` if it is larger than `limit`, breaks off, or is late.
    pub(super) async fn collect(self, limit: usize) -> Option<Bytes> {
        let body = Limited::new(self.body, limit);
        let body = timeout_at(self.deadline, body.collect()).await.ok()?.ok()?;
        if let Some(lease) = self.lease {
            lease.give_back();
        }
        Some(body.to_bytes())
    }
}
