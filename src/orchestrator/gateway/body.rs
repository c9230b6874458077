//! Request bodies on their way to an upstream.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// How long a sender may pause within a body.
pub(super) const IDLE: Duration = Duration::from_secs(10);

/// How long a body may begin slowly, and how many bytes a second it must have brought since.
const GRACE: Duration = Duration::from_secs(5);
const LEAST: u64 = 1024;

/// How fast a body comes. One that trickles holds a connection for as long as its sender likes.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    bytes: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), bytes: 0 }
    }

    /// Whether it is still fast enough, with that many bytes more.
    pub(super) fn keeps(&mut self, bytes: usize) -> bool {
        self.bytes += bytes as u64;
        let owed = self.began.elapsed().saturating_sub(GRACE).as_secs() * LEAST;
        self.bytes >= owed
    }
}

/// Boxed, as hyper's bodies ask for.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request to an upstream: streamed from the client, or held in memory.
#[derive(Debug)]
pub struct Outgoing(Kind);

#[derive(Debug)]
enum Kind {
    Whole(Option<Bytes>),
    Stream { body: Incoming, idle: Option<Pin<Box<Sleep>>>, owed: Owed, pace: Pace },
}

/// Whether the client still owes a part of the request's body: then a timeout is its fault, and
/// not the upstream's.
#[derive(Clone, Debug, Default)]
pub(super) struct Owed(Rc<Cell<bool>>);

impl Owed {
    pub(super) fn get(&self) -> bool {
        self.0.get()
    }
}

/// The client stopped sending in the middle of a body, or nearly so.
#[derive(Debug, thiserror::Error)]
#[error("the client sent nothing for {} seconds, or next to nothing, in the middle of a body", IDLE.as_secs())]
struct Stalled;

impl Outgoing {
    /// A body that is known; it can be sent again.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// The client's body as it comes, and whether it is still owed.
    pub(super) fn stream(body: Incoming) -> (Self, Owed) {
        if body.is_end_stream() {
            return (Self(Kind::Whole(None)), Owed::default());
        }
        let owed = Owed(Rc::new(Cell::new(true)));
        (Self(Kind::Stream { body, idle: None, owed: owed.clone(), pace: Pace::new() }), owed)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream { body, idle, owed, pace } => {
                let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else {
                    let idle = idle.get_or_insert_with(|| Box::pin(sleep(IDLE)));
                    ready!(idle.as_mut().poll(cx));
                    return Poll::Ready(Some(Err(Stalled.into())));
                };
                *idle = None;
                if let Some(Ok(frame)) = &frame
                    && !pace.keeps(frame.data_ref().map_or(0, Bytes::len))
                {
                    return Poll::Ready(Some(Err(Stalled.into())));
                }
                owed.0.set(!(frame.is_none() || body.is_end_stream()));
                Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Stream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Stream { body, .. } => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_too_slow_and_one_that_flows_is_not() {
        let (mut trickle, mut flow) = (Pace::new(), Pace::new());
        for _ in 0..5 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(trickle.keeps(1) && flow.keeps(2000));
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!trickle.keeps(1), "six bytes in six seconds");
        for _ in 0..100 {
            assert!(flow.keeps(1024));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
}
