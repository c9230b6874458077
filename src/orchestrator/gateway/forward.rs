//! Sends a request to an upstream, within its time limits, and says exactly what went wrong.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::http::response::Parts;
use hyper::{Request, Response, Version};
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, Capture, Stream};
use super::body::{Outgoing, Owed};
use super::headers;
use super::ids::Ids;
use super::moments;
use super::refusal::Refusal;
use super::table::Upstream;
use super::trip::Trip;
use super::worker::Worker;
use crate::orchestrator::breaker::Asked;
use crate::orchestrator::extensions::Reply;
use crate::orchestrator::pool::{Lease, SendError};

/// An answer, of which the head has arrived.
pub(super) struct Exchange {
    pub(super) head: Parts,
    rest: Rest,
}

/// What there is of an answer besides its head.
#[expect(clippy::large_enum_variant, reason = "nearly every answer is a stream")]
enum Rest {
    /// An upstream is still giving it.
    Stream {
        body: Incoming,
        lease: Option<Lease>,
        deadline: Instant,
        /// Who is told how the answer ends.
        asked: Option<Asked>,
    },
    /// A program has given it as a whole.
    Whole(Bytes),
}

/// Why an upstream gave no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was sent; the request is still whole.
    Unsent(io::ErrorKind, Box<Request<Outgoing>>),
    /// Nothing was sent, because there are as many connections as there may be; the request is
    /// still whole.
    Full(Box<Request<Outgoing>>),
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
            Self::Full(_) => Refusal::Crowded,
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
    let Some(target) = upstream.target() else {
        return Err(Failure::Unsent(io::ErrorKind::NotFound, Box::new(request)));
    };
    moments::sends();
    let deadline = Instant::now() + upstream.timeout;
    let sent = timeout_at(deadline, async {
        if pooled {
            let spare = || worker.links.borrow_mut().take(target.address, &target.limits);
            let (response, lease) = worker.pool.send(&target, spare, request).await?;
            Ok((response, Some(lease)))
        } else {
            Ok((worker.pool.send_alone(&target, request).await?, None))
        }
    });
    match sent.await {
        Ok(Ok((response, lease))) => {
            moments::answered();
            let (mut head, body) = response.into_parts();
            headers::strip_response(&mut head.headers);
            head.version = Version::HTTP_11;
            Ok(Exchange { head, rest: Rest::Stream { body, lease, deadline, asked: None } })
        }
        Ok(Err(SendError::Unreached(error, request))) => {
            let (request_id, trace_id) = (ids.request(), ids.trace());
            tracing::debug!(%upstream, %error, request_id, trace_id, "failed to reach it");
            Err(Failure::Unsent(error.kind(), request))
        }
        Ok(Err(SendError::Full(request))) => {
            tracing::debug!(%upstream, "all of its connections are in use");
            Err(Failure::Full(request))
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
    /// The answer of a program.
    pub(super) fn of_program(reply: Reply) -> Self {
        let Reply { status, headers, body } = reply;
        let (mut head, ()) = Response::new(()).into_parts();
        (head.status, head.headers) = (status, headers);
        Self { head, rest: Rest::Whole(body) }
    }

    /// Has the upstream's breaker told how the answer ends: at once where its head says it.
    pub(super) fn told_to(mut self, told: Option<Asked>) -> Self {
        match (told, &mut self.rest) {
            (Some(told), _) if self.head.status.is_server_error() => told.tell(true),
            (told, Rest::Stream { asked, .. }) => *asked = told,
            (_, Rest::Whole(_)) => {}
        }
        self
    }

    /// Passes the answer on as it comes, noting it for `capture` on the way.
    pub(super) fn answer(self, trip: Trip, capture: Option<Capture>) -> Response<Answer> {
        match self.rest {
            Rest::Stream { body, lease, deadline, asked } => {
                let stream = Stream::new(body, lease, deadline, asked);
                Answer::stream(self.head, stream, trip, capture)
            }
            Rest::Whole(body) => Answer::given(self.head, body, trip, capture),
        }
    }

    /// Reads the answer's body; `None` if it is larger than `limit`, breaks off, or is late.
    pub(super) async fn collect(self, limit: usize) -> Option<Bytes> {
        let (body, lease, deadline, asked) = match self.rest {
            Rest::Stream { body, lease, deadline, asked } => (body, lease, deadline, asked),
            Rest::Whole(body) => return Some(body).filter(|body| body.len() <= limit),
        };
        let body = Limited::new(body, limit);
        let (whole, failed) = match timeout_at(deadline, body.collect()).await {
            Ok(Ok(body)) => (Some(body.to_bytes()), false),
            // An answer that is too large is not the upstream's failure.
            Ok(Err(error)) => (None, !error.is::<LengthLimitError>()),
            Err(_) => (None, true),
        };
        if let Some(asked) = asked {
            asked.tell(failed);
        }
        if let Some(lease) = lease.filter(|_| whole.is_some()) {
            lease.give_back();
        }
        whole
    }
}
