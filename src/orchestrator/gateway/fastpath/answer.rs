//! The way back: an upstream's answer to a request that was sent as a whole.
//!
//! The law: the client is told of an answer only once its head is there and can be read in one
//! way only; an upstream that breaks off before that is a refusal, and after that a connection
//! that ends early, never an answer that looks whole. The upstream's connection is kept when the
//! answer has ended and nothing follows it.

use std::future::poll_fn;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::StatusCode;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use super::framing::Framing;
use super::reply::{self, Read, Reply};
use super::{Lane, Scratch, Sent, tell};
use crate::orchestrator::gateway::ids::ID_LEN;
use crate::orchestrator::gateway::moments;
use crate::orchestrator::gateway::refusal::Refusal;

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It waits for the next request.
    Rest,
    End,
}

/// How far an answer has come.
enum Progress {
    /// Its head is not there yet.
    Head,
    /// The upstream gives none.
    Refused(Refusal),
    /// The client has all of it. Whether the upstream's connection is kept.
    Given { keeps: bool },
    /// There is something left to write, or to read.
    Rest(Box<Rest>),
    /// The client is gone.
    Gone(io::Error),
}

/// What is left of an answer.
struct Rest {
    /// To be written to the client.
    out: Vec<u8>,
    framing: Framing,
    chunks: bool,
    keeps: bool,
}

impl Lane<'_> {
    /// Passes the answer on. The request's time limit began when it was sent.
    pub(super) async fn answer(&mut self, mut sent: Sent) -> io::Result<After> {
        self.deadline.set(Instant::now() + sent.upstream.timeout);
        let mut early = Vec::new();
        let (link, keeps) = loop {
            match poll_fn(|cx| self.poll_answer(cx, &mut sent, &mut early)).await {
                Progress::Head => {}
                Progress::Refused(refusal) => {
                    tell(&mut sent.asked, true);
                    let Some(trip) = sent.trip else { return Ok(After::End) };
                    return self.refuse(refusal, trip).await;
                }
                Progress::Gone(error) => return Err(error),
                Progress::Given { keeps } => break (sent.link, keeps),
                Progress::Rest(rest) => match self.rest(&mut sent, *rest).await? {
                    Some(keeps) => break (sent.link, keeps),
                    None => return Ok(After::End),
                },
            }
        };
        if keeps && let Some(address) = &sent.upstream.address {
            self.worker.links.borrow_mut().keep(address, sent.upstream.limits, link);
        }
        Ok(After::Rest)
    }

    /// Reads from the upstream, and passes on what can be passed on without waiting. Most answers
    /// arrive as a whole, and leave as a whole.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        sent: &mut Sent,
        early: &mut Vec<u8>,
    ) -> Poll<Progress> {
        let worker = self.worker;
        let mut scratch = worker.scratch.borrow_mut();
        let Scratch { input, head } = &mut *scratch;
        let mut buffer = ReadBuf::new(input);
        match Pin::new(&mut sent.link.stream).poll_read(cx, &mut buffer) {
            Poll::Pending if self.deadline.poll(cx).is_ready() => {
                return Poll::Ready(Progress::Refused(Refusal::TimedOut));
            }
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
            Poll::Ready(_) => return Poll::Ready(Progress::Refused(Refusal::Upstream)),
        }
        let mut bytes = buffer.filled();
        if !early.is_empty() {
            early.extend_from_slice(bytes);
            bytes = early;
        }
        head.clear();
        let mut room = [0; ID_LEN];
        let id = sent.trip.as_ref().and_then(|trip| trip.ids.answered(&mut room));
        let reply = loop {
            match reply::read(bytes, sent.to_head, id, head) {
                Read::Interim(length) => bytes = &bytes[length..],
                Read::Partial => {
                    *early = bytes.to_vec();
                    return Poll::Ready(Progress::Head);
                }
                Read::Bad => {
                    tracing::debug!(upstream = %sent.upstream, "its answer cannot be read");
                    return Poll::Ready(Progress::Refused(Refusal::Upstream));
                }
                Read::Whole(reply) => break reply,
            }
        };
        moments::answered();
        let body = &bytes[reply.length..];
        let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
        if let Some(trip) = &mut sent.trip {
            trip.answer(status);
        }
        if status.is_server_error() {
            tell(&mut sent.asked, true);
        }
        moments::replies();
        Poll::Ready(self.give(cx, sent, reply, head, body))
    }

    /// Writes the head and what has come of the body. As in the general path, a trip ends with
    /// the last byte that is there to be written.
    fn give(
        &mut self,
        cx: &mut Context<'_>,
        sent: &mut Sent,
        reply: Reply,
        head: &[u8],
        body: &[u8],
    ) -> Progress {
        let Reply { mut framing, chunks, keeps, .. } = reply;
        if let Framing::Length(length) = framing
            && length == body.len() as u64
        {
            drop(sent.trip.take());
            tell(&mut sent.asked, false);
            let written = match self.poll_write(cx, &[IoSlice::new(head), IoSlice::new(body)]) {
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(error)) => return Progress::Gone(error),
                Poll::Pending => 0,
            };
            if written == head.len() + body.len() {
                return Progress::Given { keeps };
            }
            let out = [head, body].concat().split_off(written);
            let framing = Framing::Length(0);
            return Progress::Rest(Box::new(Rest { out, framing, chunks, keeps }));
        }
        let mut out = head.to_vec();
        match decode(&mut framing, chunks, body, &mut out) {
            Ok(over) => {
                let keeps = keeps && !over;
                Progress::Rest(Box::new(Rest { out, framing, chunks, keeps }))
            }
            // Nothing of it has been told yet.
            Err(_) => Progress::Refused(Refusal::Upstream),
        }
    }

    /// Passes on what is left of an answer. Returns whether the upstream's connection is kept;
    /// `None` when it was cut short.
    async fn rest(&mut self, sent: &mut Sent, rest: Rest) -> io::Result<Option<bool>> {
        let Rest { mut out, mut framing, chunks, mut keeps } = rest;
        let mut input = Vec::new();
        loop {
            if framing.is_ended() {
                drop(sent.trip.take());
                tell(&mut sent.asked, false);
            }
            self.write_all(&out).await?;
            out.clear();
            if framing.is_ended() {
                return Ok(Some(keeps));
            }
            input.resize(16 * 1024, 0);
            let read = poll_fn(|cx| {
                let mut buffer = ReadBuf::new(&mut input);
                match Pin::new(&mut sent.link.stream).poll_read(cx, &mut buffer) {
                    Poll::Pending if self.deadline.poll(cx).is_ready() => {
                        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
                    }
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(read) => Poll::Ready(read.map(|()| buffer.filled().len())),
                }
            });
            match read.await {
                Ok(0) if framing == Framing::UntilClose => {
                    drop(sent.trip.take());
                    tell(&mut sent.asked, false);
                    self.write_all(b"0\r\n\r\n").await?;
                    return Ok(Some(false));
                }
                Ok(read) if read > 0 => {
                    match decode(&mut framing, chunks, &input[..read], &mut out) {
                        Ok(over) => keeps = keeps && !over,
                        Err(_) => break,
                    }
                }
                _ => break,
            }
        }
        if let Some(trip) = &mut sent.trip {
            trip.cut();
        }
        tell(&mut sent.asked, true);
        Ok(None)
    }
}

/// Writes the data in `bytes` as the client is told it. Returns whether more follows its end.
fn decode(
    framing: &mut Framing,
    chunks: bool,
    mut bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, super::framing::Malformed> {
    loop {
        let data = framing.take(&mut bytes)?;
        if data.is_empty() {
            break;
        }
        if chunks {
            write!(out, "{:x}\r\n", data.len()).expect("a vector takes what it is given");
        }
        out.extend_from_slice(data);
        if chunks {
            out.extend_from_slice(b"\r\n");
        }
    }
    if chunks && framing.is_ended() {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    Ok(!bytes.is_empty())
}
