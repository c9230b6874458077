//! Answers on their way to the client.
//!
//! An answer streams from the upstream, frame by frame. At its end, and only then, the upstream's
//! connection goes back to the pool and the trip is recorded.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::http::response::Parts;
use tokio::time::{Instant, Sleep, sleep_until};

use super::body::BoxError;
use super::trip::Trip;
use crate::orchestrator::pool::Lease;

/// The body of an answer.
pub(super) struct Answer {
    kind: Kind,
    /// Until the answer has ended.
    trip: Option<Trip>,
}

enum Kind {
    Whole(Option<Bytes>),
    Stream(Stream),
}

/// An answer that an upstream is still giving.
pub(super) struct Stream {
    pub(super) body: Incoming,
    /// The connection it comes over, if that one is pooled.
    pub(super) lease: Option<Lease>,
    /// When the last byte must have come.
    pub(super) deadline: Instant,
    /// The timer for the deadline; most answers are there before one is needed.
    pub(super) timer: Option<Pin<Box<Sleep>>>,
}

/// The upstream took too long to end its answer.
#[derive(Debug, thiserror::Error)]
#[error("the upstream did not end its answer in time")]
struct Late;

impl Answer {
    /// An answer that is known as a whole.
    pub(super) fn whole(head: Parts, body: Bytes, mut trip: Trip) -> Response<Self> {
        trip.answer(head.status);
        let body = Some(body).filter(|body| !body.is_empty());
        Response::from_parts(head, Self { kind: Kind::Whole(body), trip: Some(trip) })
    }

    /// An answer as the upstream gives it.
    pub(super) fn stream(head: Parts, stream: Stream, mut trip: Trip) -> Response<Self> {
        trip.answer(head.status);
        Response::from_parts(head, Self { kind: Kind::Stream(stream), trip: Some(trip) })
    }

    /// What happens when the last byte has been handed on. Idempotent.
    fn end(&mut self) {
        if let Kind::Stream(stream) = &mut self.kind
            && let Some(lease) = stream.lease.take()
        {
            lease.give_back();
        }
        self.trip = None;
    }

    /// What happens when the upstream breaks off.
    fn cut(&mut self) {
        if let Some(mut trip) = self.trip.take() {
            trip.cut();
        }
    }
}

impl Stream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        let deadline = self.deadline;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(Late.into())))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = match &mut this.kind {
            Kind::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Kind::Stream(stream) => ready!(stream.poll_frame(cx)),
        };
        match &frame {
            Some(Err(_)) => this.cut(),
            // The body is not polled again after its last frame.
            _ if this.is_end_stream() => this.end(),
            Some(Ok(_)) => {}
            None => this.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Stream(stream) => stream.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Stream(stream) => stream.body.size_hint(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // A body that is empty from the start is never polled.
        if self.is_end_stream() {
            self.end();
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
