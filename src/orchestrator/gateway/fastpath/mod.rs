//! The short way for the requests that most traffic is made of.
//!
//! The law: a request takes it only where the general path would do nothing with it but send it
//! to one upstream over a kept connection and pass the answer on; and then the upstream and the
//! client see the same bytes as if it had taken the general one. Whatever is unusual about the
//! request (`head`), the configuration (`way`), the sender's pace, or the moment, such as a stop,
//! leads to the general path before anything has been sent: the connection is handed over with
//! what was read from it, and stays there.
//!
//! How it works. A connection is one task. It reads into room that all connections of its worker
//! share, finds the request in there ([`head::read`]), decides ([`way::decide`]), and writes the
//! new head and the body to the upstream from where they lie; the answer goes the same way back
//! ([`reply::read`]). Nothing is kept for a connection that rests but its socket, so that a
//! thousand of them fit the processor's cache. What arrives in pieces is put together in a buffer
//! of its own.
//!
//! The idea is that of the header prediction in TCP (Van Jacobson, 1988): test for what is common
//! in a few comparisons, and leave everything else to the code that knows it all.

mod answer;
mod deadline;
mod framing;
mod head;
mod links;
mod reply;
mod way;

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use self::answer::After;
use self::deadline::Deadline;
pub(super) use self::head::push;
use self::head::{MAX_LINES, Plain, Read};
pub(super) use self::links::Links;
use self::way::Way;
use super::access::Entry;
use super::moments;
use super::patience::Patience;
use super::proxy;
use super::refusal::Refusal;
use super::table::Upstream;
use super::trip::Trip;
use super::worker::Worker;
use crate::orchestrator::berths::Berths;
use crate::orchestrator::breaker::{Asked, Verdict};
use crate::orchestrator::pool::{self, Link, OpenError};

/// Room for what is read at once: a head and a body of the largest size.
const INPUT: usize = 96 * 1024;
/// How long a request that has begun may take to arrive before the general path waits for it.
const GRACE: Duration = Duration::from_secs(1);

/// What the connections of a worker read into and write from, one after the other.
#[derive(Debug)]
pub(super) struct Scratch {
    input: Box<[u8]>,
    head: Vec<u8>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { input: vec![0; INPUT].into(), head: Vec::with_capacity(4096) }
    }
}

/// How a connection leaves the short way.
#[derive(Debug)]
pub(super) enum Left {
    /// It has ended.
    Ended,
    /// It goes on in the general path, which has these bytes to begin with.
    HandedOver(TcpStream, Bytes),
}

/// Serves a connection for as long as its requests are plain.
///
/// # Errors
/// When the client went away.
pub(super) async fn serve(
    worker: &Rc<Worker>,
    stream: TcpStream,
    peer: &[u8],
    patience: &Patience,
    stop: &mut watch::Receiver<Option<Duration>>,
) -> io::Result<Left> {
    let (resting, stopped) = (Cell::new(true), Cell::new(false));
    let mut lane = Lane {
        worker,
        peer,
        patience,
        stream,
        held: Vec::new(),
        deadline: Deadline::default(),
        resting: &resting,
        stopped: &stopped,
    };
    let ended = {
        let mut running = pin!(lane.run());
        let mut run_out = pin!(patience.run_out());
        let mut stopping = pin!(stop.wait_for(Option::is_some));
        poll_fn(|cx| {
            // A request that has already arrived is read before a stop is looked at.
            if let Poll::Ready(ended) = running.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            if run_out.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(true));
            }
            if !stopped.get() && stopping.as_mut().poll(cx).is_ready() {
                stopped.set(true);
                if resting.get() {
                    return Poll::Ready(Ok(false));
                }
            }
            Poll::Pending
        })
        .await?
    };
    Ok(if ended { Left::Ended } else { Left::HandedOver(lane.stream, lane.held.into()) })
}

/// A client's connection on the short way.
struct Lane<'a> {
    worker: &'a Rc<Worker>,
    peer: &'a [u8],
    patience: &'a Patience,
    stream: TcpStream,
    /// What has been read and not been dealt with.
    held: Vec<u8>,
    deadline: Deadline,
    /// Whether nothing has been sent of a request that was not answered.
    resting: &'a Cell<bool>,
    stopped: &'a Cell<bool>,
}

/// What is to be done next.
enum Next {
    /// More must be read.
    Read,
    HandOver,
    End,
    Refuse(Refusal, Trip),
    /// The request was sent as a whole.
    Sent(Sent),
    /// It is still to be sent, over this connection after so many bytes, or over a new one.
    Send(Box<Unsent>),
}

/// A request that an upstream has.
struct Sent {
    link: Link,
    upstream: Arc<Upstream>,
    /// Until the answer has ended.
    trip: Option<Trip>,
    /// Until the upstream's breaker has heard of it.
    asked: Option<Asked>,
    to_head: bool,
}

/// A request that an upstream does not have as a whole.
struct Unsent {
    message: Vec<u8>,
    link: Option<(Link, usize)>,
    way: Way,
    trip: Trip,
    asked: Option<Asked>,
    to_head: bool,
}

impl Lane<'_> {
    /// Answers requests until one is not plain. Returns whether the connection has ended.
    async fn run(&mut self) -> io::Result<bool> {
        loop {
            self.resting.set(true);
            if self.stopped.get() {
                return Ok(false);
            }
            let mut next = poll_fn(|cx| self.poll_request(cx)).await?;
            if let Next::Read = next {
                let late = Instant::now() + GRACE;
                while let Next::Read = next {
                    match timeout_at(late, poll_fn(|cx| self.poll_request(cx))).await {
                        Ok(read) => next = read?,
                        Err(_) => return Ok(false),
                    }
                }
            }
            let after = match next {
                Next::Read | Next::HandOver => return Ok(false),
                Next::End => return Ok(true),
                Next::Refuse(refusal, trip) => self.refuse(refusal, trip).await?,
                Next::Sent(sent) => self.answer(sent).await?,
                Next::Send(unsent) => match self.send(*unsent).await {
                    Ok(sent) => self.answer(sent).await?,
                    Err((refusal, trip)) => self.refuse(refusal, *trip).await?,
                },
            };
            if after == After::End {
                return Ok(true);
            }
        }
    }

    /// Reads, and does with a request what can be done without waiting.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Next>> {
        let worker = self.worker;
        let mut scratch = worker.scratch.borrow_mut();
        let Scratch { input, head } = &mut *scratch;
        let mut buffer = ReadBuf::new(input);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let read = buffer.filled();
        if read.is_empty() {
            return Poll::Ready(Ok(Next::End));
        }
        self.patience.heard();
        if self.held.is_empty() {
            let next = self.take(cx, read, head);
            if matches!(next, Next::Read | Next::HandOver) {
                self.held.extend_from_slice(read);
            }
            return Poll::Ready(Ok(next));
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(read);
        let next = self.take(cx, &held, head);
        if matches!(next, Next::Read | Next::HandOver) {
            self.held = held;
        }
        Poll::Ready(Ok(next))
    }

    /// Deals with what has been read, as far as possible at once.
    fn take(&mut self, cx: &mut Context<'_>, bytes: &[u8], head: &mut Vec<u8>) -> Next {
        let mut room = [const { MaybeUninit::uninit() }; MAX_LINES];
        let plain = match head::read(bytes, &mut room) {
            Read::Partial => return Next::Read,
            Read::Odd => return Next::HandOver,
            Read::Whole(plain) => plain,
        };
        let worker = self.worker;
        let table = &worker.plane.table();
        let route = table.route(plain.path());
        let Some(decided) = way::decide(worker, table, route, &plain) else {
            return Next::HandOver;
        };
        self.resting.set(false);
        let mut trip = Trip::begin(worker, table, self.patience.clone());
        trip.asked = Entry::note(plain.method, plain.path(), self.peer, &worker.sampler);
        trip.ids.read(table.tracing, &plain, &worker.namer);
        trip.on(route);
        moments::admitted();
        match decided {
            Err(refusal) => {
                trip.counts.enhanced += 1;
                Next::Refuse(refusal, trip)
            }
            Ok(mut way) => {
                trip.counts.legacy += u64::from(way.legacy);
                if let Some(pass) = way.own.take() {
                    trip.counts.enhanced += 1;
                    trip.pass = Some(pass);
                    moments::checked();
                }
                worker.links.borrow_mut().configure(worker.plane.pool_generation());
                head.clear();
                plain.write(self.peer, &trip.ids.marks(), head);
                let asked = proxy::asked(worker, table, &way.upstream, Verdict::Go);
                send_now(worker, cx, (head, &plain), way, trip, asked)
            }
        }
    }

    /// Sends what could not be sent at once.
    async fn send(&mut self, unsent: Unsent) -> Result<Sent, (Refusal, Box<Trip>)> {
        let Unsent { message, link, mut way, mut trip, mut asked, to_head } = unsent;
        let mut at = link;
        loop {
            let deadline = Instant::now() + way.upstream.timeout;
            let begun = at.is_some();
            let berths = &self.worker.plane.berths;
            let delivered = deliver(berths, &way.upstream, &message, at.take());
            match timeout_at(deadline, delivered).await {
                Ok(Ok(link)) => {
                    self.deadline.set(deadline);
                    let (upstream, trip) = (way.upstream, Some(trip));
                    return Ok(Sent { link, upstream, trip, asked, to_head });
                }
                Ok(Err(Undelivered::Unreached(error))) if !begun => {
                    // A limit of ours says nothing about the upstream.
                    if let Some(asked) = asked.take()
                        && !matches!(error, OpenError::Full(_))
                    {
                        asked.tell(true);
                    }
                    let (request_id, trace_id) = (trip.ids.request(), trip.ids.trace());
                    let upstream = &way.upstream;
                    tracing::debug!(%upstream, %error, request_id, trace_id, "failed to reach it");
                    let Some(instead) = way.instead.take() else {
                        let refusal = match error {
                            OpenError::Full(_) => Refusal::Crowded,
                            OpenError::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                                Refusal::TimedOut
                            }
                            OpenError::Io(_) => Refusal::Upstream,
                        };
                        return Err((refusal, Box::new(trip)));
                    };
                    tracing::debug!(
                        %upstream, request_id, trace_id, "an event goes to the legacy app instead"
                    );
                    trip.counts.fallback += 1;
                    trip.counts.pooled += 1;
                    trip.ask(&instead.name);
                    asked = proxy::asked(
                        self.worker,
                        &self.worker.plane.table(),
                        &instead,
                        Verdict::Go,
                    );
                    way.upstream = instead;
                }
                Ok(Err(_)) => {
                    tell(&mut asked, true);
                    return Err((Refusal::Upstream, Box::new(trip)));
                }
                Err(_) => {
                    tell(&mut asked, true);
                    return Err((Refusal::TimedOut, Box::new(trip)));
                }
            }
        }
    }

    /// Gives the gateway's own answer.
    async fn refuse(&mut self, refusal: Refusal, mut trip: Trip) -> io::Result<After> {
        let mut out = Vec::with_capacity(256);
        let ends = refusal.write(&trip.ids, &mut out);
        trip.answer(refusal.status());
        drop(trip);
        self.write_all(&out).await?;
        Ok(if ends { After::End } else { After::Rest })
    }

    /// Writes all of it to the client.
    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = poll_fn(|cx| self.poll_write(cx, &[IoSlice::new(bytes)])).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.patience.wrote(written.is_ready());
        match ready!(written) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(written),
        }
    }
}

/// Sends a request over a connection that is there, if it takes all of it at once.
fn send_now(
    worker: &Worker,
    cx: &mut Context<'_>,
    (head, plain): (&[u8], &Plain<'_, '_>),
    way: Way,
    mut trip: Trip,
    asked: Option<Asked>,
) -> Next {
    moments::sends();
    trip.ask(&way.upstream.name);
    trip.counts.pooled += 1;
    let to_head = plain.method == "HEAD";
    let mut begun = None;
    while let Some(address) = &way.upstream.address {
        let taken = worker.links.borrow_mut().take(address, &way.upstream.limits);
        let Some(mut link) = taken else { break };
        let parts = [IoSlice::new(head), IoSlice::new(plain.body)];
        match Pin::new(&mut link.stream).poll_write_vectored(cx, &parts) {
            Poll::Ready(Ok(all)) if all == head.len() + plain.body.len() => {
                let trip = Some(trip);
                return Next::Sent(Sent { link, upstream: way.upstream, trip, asked, to_head });
            }
            Poll::Ready(Ok(some)) if some > 0 => {
                begun = Some((link, some));
                break;
            }
            Poll::Pending => {
                begun = Some((link, 0));
                break;
            }
            // It had died: nothing was sent.
            Poll::Ready(_) => {}
        }
    }
    let message = [head, plain.body].concat();
    Next::Send(Box::new(Unsent { message, link: begun, way, trip, asked, to_head }))
}

/// Tells the upstream's breaker, once, how its answer was.
fn tell(asked: &mut Option<Asked>, failed: bool) {
    if let Some(asked) = asked.take() {
        asked.tell(failed);
    }
}

/// Why an upstream does not have a request.
enum Undelivered {
    /// There is no connection to it.
    Unreached(OpenError),
    /// The connection broke off: nobody knows.
    Lost,
}

/// Writes a message to an upstream, what is left of it over the connection that has some of it,
/// or all of it over a new one.
async fn deliver(
    berths: &Berths,
    upstream: &Upstream,
    message: &[u8],
    begun: Option<(Link, usize)>,
) -> Result<Link, Undelivered> {
    let (mut link, mut sent) = if let Some(begun) = begun {
        begun
    } else {
        let none = || Undelivered::Unreached(io::Error::from(io::ErrorKind::NotFound).into());
        let target = upstream.target().ok_or_else(none)?;
        (pool::open(berths, &target).await.map_err(Undelivered::Unreached)?, 0)
    };
    while sent < message.len() {
        let written =
            poll_fn(|cx| Pin::new(&mut link.stream).poll_write(cx, &message[sent..])).await;
        match written {
            Ok(some) if some > 0 => sent += some,
            _ => return Err(Undelivered::Lost),
        }
    }
    Ok(link)
}
