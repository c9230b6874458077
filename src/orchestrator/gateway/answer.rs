//! Answers on their way to the client.
//!
//! An answer streams from the upstream, frame by frame. At its end, and only then, the upstream's
//! connection goes back to the pool, a copy that was taken on the way is put to its use, and the
//! trip is recorded. An answer that is cut short leaves neither copy nor connection behind.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{AGE, CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, VARY};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};
use tokio::time::{Instant, Sleep, sleep_until};

use super::body::BoxError;
use super::shadow::Copy;
use super::trip::Trip;
use super::worker::Worker;
use crate::orchestrator::breaker::Asked;
use crate::orchestrator::cache::{Keep, Lead, MAX_BODY, Stored};
use crate::orchestrator::pool::Lease;

/// The body of an answer.
pub(super) struct Answer {
    kind: Kind,
    /// A copy of the answer, while it is complete so far.
    capture: Option<Capture>,
    /// Until the answer has ended.
    trip: Option<Trip>,
}

#[expect(clippy::large_enum_variant, reason = "nearly every answer is a stream")]
enum Kind {
    Whole(Option<Bytes>),
    Stream(Stream),
}

/// An answer that an upstream is still giving.
pub(super) struct Stream {
    body: Incoming,
    /// The connection it comes over, if that one is pooled.
    lease: Option<Lease>,
    /// The upstream's breaker, which is told how the answer ends.
    asked: Option<Asked>,
    /// When the last byte must have come.
    deadline: Instant,
    /// The timer for the deadline; most answers are there before one is needed.
    timer: Option<Pin<Box<Sleep>>>,
}

/// A copy of an answer, taken as it passes, and what is to be done with it when it is complete.
pub(super) struct Capture {
    head: Parts,
    body: BytesMut,
    then: Box<dyn FnOnce(Parts, Bytes)>,
}

/// The upstream took too long to end its answer.
#[derive(Debug, thiserror::Error)]
#[error("the upstream did not end its answer in time")]
struct Late;

impl Answer {
    /// An answer that is known as a whole.
    pub(super) fn whole(head: Parts, body: Bytes, trip: Trip) -> Response<Self> {
        Self::given(head, body, trip, None)
    }

    /// An answer that is known as a whole, and of which a copy is taken.
    pub(super) fn given(
        mut head: Parts,
        body: Bytes,
        mut trip: Trip,
        capture: Option<Capture>,
    ) -> Response<Self> {
        trip.answer(head.status);
        trip.ids.answer(&mut head.headers);
        let kind = Kind::Whole(Some(body).filter(|body| !body.is_empty()));
        Response::from_parts(head, Self { kind, capture, trip: Some(trip) })
    }

    /// An answer out of the cache.
    pub(super) fn stored(stored: &Stored, trip: Trip) -> Response<Self> {
        Self::whole(stored_head(stored), stored.body.clone(), trip)
    }

    /// An answer out of the cache that says how old it is, in whole seconds.
    pub(super) fn aged(stored: &Stored, age: Duration, trip: Trip) -> Response<Self> {
        let mut head = stored_head(stored);
        head.headers.insert(AGE, age.as_secs().into());
        Self::whole(head, stored.body.clone(), trip)
    }

    /// Says that the reader has that answer of the cache already (RFC 9110, 15.4.5).
    pub(super) fn not_modified(stored: &Stored, age: Duration, trip: Trip) -> Response<Self> {
        let (mut head, ()) = Response::new(()).into_parts();
        head.status = StatusCode::NOT_MODIFIED;
        for name in [CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, VARY] {
            for value in stored.headers.get_all(&name) {
                head.headers.append(&name, value.clone());
            }
        }
        head.headers.insert(AGE, age.as_secs().into());
        Self::whole(head, Bytes::new(), trip)
    }

    /// An answer as the upstream gives it.
    pub(super) fn stream(
        mut head: Parts,
        stream: Stream,
        mut trip: Trip,
        capture: Option<Capture>,
    ) -> Response<Self> {
        trip.answer(head.status);
        trip.ids.answer(&mut head.headers);
        let kind = Kind::Stream(stream);
        Response::from_parts(head, Self { kind, capture, trip: Some(trip) })
    }

    /// What happens when the last byte has been handed on. Idempotent.
    fn end(&mut self) {
        if let Kind::Stream(stream) = &mut self.kind {
            if let Some(lease) = stream.lease.take() {
                lease.give_back();
            }
            if let Some(asked) = stream.asked.take() {
                asked.tell(false);
            }
        }
        if let Some(Capture { head, body, then }) = self.capture.take() {
            then(head, body.freeze());
        }
        self.trip = None;
    }

    /// What happens when the upstream breaks off.
    fn cut(&mut self) {
        self.capture = None;
        if let Kind::Stream(stream) = &mut self.kind
            && let Some(asked) = stream.asked.take()
        {
            asked.tell(true);
        }
        if let Some(mut trip) = self.trip.take() {
            trip.cut();
        }
    }
}

/// The head of an answer that is kept.
fn stored_head(stored: &Stored) -> Parts {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = stored.status;
    head.headers = stored.headers.clone();
    head.extensions = stored.extensions.clone();
    head
}

impl Capture {
    /// Keeps the answer in the cache, under `name`, and then lets go whoever waits for `lead`.
    pub(super) fn to_cache(
        worker: &Rc<Worker>,
        head: &Parts,
        name: String,
        keep: Keep,
        lead: Option<Lead>,
    ) -> Self {
        let worker = Rc::clone(worker);
        Self::new(head, move |head, body| {
            worker.plane.cache.put(&name, &head, body, keep);
            drop(lead);
        })
    }

    /// Compares the answer with the one that the legacy app gives to `copy`.
    pub(super) fn to_compare(head: &Parts, copy: Copy, route: Arc<str>) -> Self {
        Self::new(head, move |head, body| copy.compare(route, head.status, body))
    }

    fn new(head: &Parts, then: impl FnOnce(Parts, Bytes) + 'static) -> Self {
        Self { head: head.clone(), body: BytesMut::new(), then: Box::new(then) }
    }

    /// Adds what has just passed; `None` once the answer is too large to keep.
    fn note(mut self, data: &[u8]) -> Option<Self> {
        self.body.extend_from_slice(data);
        (self.body.len() <= MAX_BODY).then_some(self)
    }
}

impl Stream {
    pub(super) fn new(
        body: Incoming,
        lease: Option<Lease>,
        deadline: Instant,
        asked: Option<Asked>,
    ) -> Self {
        Self { body, lease, asked, deadline, timer: None }
    }

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
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.capture = this.capture.take().and_then(|capture| capture.note(data));
        }
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
