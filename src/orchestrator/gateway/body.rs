//! Request bodies on their way to an upstream.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

/// How long a sender may pause within a body.
pub(super) const IDLE: Duration = Duration::from_secs(10);

/// Boxed, as hyper's bodies ask for.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request to an upstream: streamed from the client, or held in memory.
#[derive(Debug)]
pub struct Outgoing(Kind);

#[derive(Debug)]
enum Kind {
    Whole(Option<Bytes>),
    Stream { body: Incoming, idle: Option<Pin<Box<Sleep>>>, owed: Owed },
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

/// The client stopped sending in the middle of a body.
#[derive(Debug, thiserror::Error)]
#[error("the client sent nothing for {} seconds in the middle of a body", IDLE.as_secs())]
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
        (Self(Kind::Stream { body, idle: None, owed: owed.clone() }), owed)
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
            Kind::Stream { body, idle, owed } => {
                let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else {
                    let idle = idle.get_or_insert_with(|| Box::pin(sleep(IDLE)));
                    ready!(idle.as_mut().poll(cx));
                    return Poll::Ready(Some(Err(Stalled.into())));
                };
                *idle = None;
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
