//! How long a client's connection may keep the gateway waiting.
//!
//! The law: a head that was begun is there within 5 seconds, or the connection ends; a connection
//! between two requests may rest for longer, because ending it can cross the client's next
//! request. hyper's own header timeout cannot tell the two apart, and sets a timer for each
//! request; this sets one for each connection, which looks every two seconds. A client that does
//! not take its answer has 30 seconds for each next bit of it: who reads nothing holds nothing.
//!
//! When the gateway drains, a connection that rests is still read for a while: a client that sends
//! its next request at that moment gets an answer, with `Connection: close`, and not a reset.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// How long a request's head may take from its first byte, or from the connection's beginning.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may rest between two requests; as nginx's `keepalive_timeout`.
const REST: Duration = Duration::from_secs(75);
/// How long a client may take nothing of an answer; as nginx's `send_timeout`, halved.
const STALL: Duration = Duration::from_secs(30);
/// How long a connection must have begun a head before its place may be somebody else's.
const FRESH: Duration = Duration::from_secs(1);
/// How often it is looked at, and at the most.
const TICK: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// What a connection is waited for. Clones are the same connection's.
#[derive(Clone, Debug)]
pub(crate) struct Patience(Rc<State>);

#[derive(Debug)]
struct State {
    phase: Cell<Phase>,
    /// Since when the client has taken nothing of what is to be written.
    blocked: Cell<Option<Instant>>,
    /// How long it may rest.
    rest: Cell<Duration>,
    /// Told when it may rest for less than before.
    hurried: Notify,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// For the rest of a head.
    Head(Instant),
    /// For nothing: a request is being answered.
    Answering,
    /// For the next request.
    Resting(Instant),
    /// Not at all: its place is needed.
    Dismissed,
}

impl Patience {
    /// A connection that has just begun owes a head.
    pub(crate) fn new() -> Self {
        Self(Rc::new(State {
            phase: Cell::new(Phase::Head(Instant::now())),
            blocked: Cell::new(None),
            rest: Cell::new(REST),
            hurried: Notify::new(),
        }))
    }

    /// A head has been read.
    pub(crate) fn answering(&self) {
        self.0.phase.set(Phase::Answering);
    }

    /// An answer has been given.
    pub(crate) fn rest(&self) {
        self.0.phase.set(Phase::Resting(Instant::now()));
    }

    /// Since when the client was not heard from; `None` while it is answered or sends a head.
    pub(super) fn resting_since(&self) -> Option<Instant> {
        match self.0.phase.get() {
            Phase::Resting(since) => Some(since),
            // A connection that brings no head is the same burden.
            Phase::Head(since) => (since.elapsed() >= FRESH).then_some(since),
            Phase::Answering | Phase::Dismissed => None,
        }
    }

    /// Ends the connection, unless a request arrives this moment.
    pub(super) fn dismiss(&self) {
        self.0.phase.set(Phase::Dismissed);
        self.0.hurried.notify_one();
    }

    /// From now on it rests no longer than `linger`.
    pub(super) fn hurry(&self, linger: Duration) {
        if let Phase::Resting(_) = self.0.phase.get() {
            self.rest();
        }
        self.0.rest.set(linger.min(REST));
        self.0.hurried.notify_one();
    }

    /// Bytes have come.
    pub(super) fn heard(&self) {
        if matches!(self.0.phase.get(), Phase::Resting(_)) {
            self.0.phase.set(Phase::Head(Instant::now()));
        }
    }

    /// Bytes were taken, or there is no room for them.
    pub(super) fn wrote(&self, taken: bool) {
        if taken {
            self.0.blocked.set(None);
        } else if self.0.blocked.get().is_none() {
            self.0.blocked.set(Some(Instant::now()));
        }
    }

    /// Ends when the connection has been waited for long enough. Cancel safe.
    pub(crate) async fn run_out(&self) {
        let over = |phase| match phase {
            Phase::Head(since) => since.elapsed() >= HEAD,
            Phase::Resting(since) => since.elapsed() >= self.0.rest.get(),
            Phase::Answering => false,
            Phase::Dismissed => true,
        };
        let stalled = || self.0.blocked.get().is_some_and(|since| since.elapsed() >= STALL);
        while !over(self.0.phase.get()) && !stalled() {
            let look = TICK.min(self.0.rest.get().max(LOOK));
            let _ = timeout(look, self.0.hurried.notified()).await;
        }
    }
}

/// A client's socket, which tells when it is heard from.
pub(crate) struct Wire {
    io: TokioIo<TcpStream>,
    /// What has been read from it already.
    before: Bytes,
    patience: Patience,
}

impl Wire {
    /// A socket of which `before` has been read already.
    pub(crate) fn new(stream: TcpStream, before: Bytes, patience: Patience) -> Self {
        Self { io: TokioIo::new(stream), before, patience }
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let most = self.before.len().min(buf.remaining());
            buf.put_slice(&self.before.split_to(most));
            return Poll::Ready(Ok(()));
        }
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        self.patience.heard();
        Poll::Ready(read)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.patience.wrote(written.is_ready());
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.patience.wrote(written.is_ready());
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether patience runs out within that many seconds.
    async fn runs_out(patience: &Patience, seconds: u64) -> bool {
        tokio::time::timeout(Duration::from_secs(seconds), patience.run_out()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_waited_for_shortly_and_the_next_request_for_long() {
        let patience = Patience::new();
        assert!(!runs_out(&patience, 4).await);
        assert!(runs_out(&patience, 3).await, "a head that does not come");
        patience.answering();
        assert!(!runs_out(&patience, 1000).await, "the answer has limits of its own");
        patience.wrote(false);
        assert!(!runs_out(&patience, 20).await);
        patience.wrote(true);
        patience.wrote(false);
        assert!(!runs_out(&patience, 20).await, "it took some");
        assert!(runs_out(&patience, 12).await, "a client that takes nothing");
        patience.wrote(true);
        patience.rest();
        assert!(!runs_out(&patience, 70).await);
        patience.heard();
        assert!(!runs_out(&patience, 4).await);
        assert!(runs_out(&patience, 3).await, "a head that does not end");
        patience.rest();
        assert!(runs_out(&patience, 80).await, "a next request that does not come");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_rests_at_a_drain_has_a_while_to_speak_up() {
        let patience = Patience::new();
        patience.answering();
        patience.rest();
        assert!(!runs_out(&patience, 70).await);
        patience.hurry(Duration::from_secs(5));
        assert!(!runs_out(&patience, 4).await, "its rest begins anew");
        patience.heard();
        patience.answering();
        assert!(!runs_out(&patience, 60).await, "what is asked is answered");
        patience.rest();
        assert!(runs_out(&patience, 8).await);
    }
}
