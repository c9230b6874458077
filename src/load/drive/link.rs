//! One kept connection, with one request at a time on it.
//!
//! It writes and reads the socket itself, so that a request costs one write and one read. Deadlines
//! cost nothing while they are kept: the timer is set once, and set on only when it fires for a
//! request that has ended since. A connection that the server closed while it was idle is made
//! anew; a request of which a byte may have left never goes out twice.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::wire::Reader;
use crate::load::counters::FailureKind;

/// Room for an answer's head, and for a piece of its body.
const BUFFER: usize = 16 * 1024;

/// A connection that is made when it is needed.
pub(super) struct Link {
    addresses: Arc<[SocketAddr]>,
    stream: Option<TcpStream>,
    buffer: Box<[u8]>,
    timer: Pin<Box<Sleep>>,
}

impl Link {
    /// Needs a runtime with time.
    pub(super) fn new(addresses: Arc<[SocketAddr]>) -> Self {
        let timer = Box::pin(sleep_until(Instant::now()));
        Self { addresses, stream: None, buffer: vec![0; BUFFER].into_boxed_slice(), timer }
    }

    /// Sends a request and reads its answer to the end; gives the status.
    ///
    /// Cancel safe: a cancelled exchange takes its connection with it.
    pub(super) async fn exchange(
        &mut self,
        request: &[u8],
        head_only: bool,
        deadline: Instant,
    ) -> Result<u16, FailureKind> {
        let mut stream = match self.quiet().await {
            Some(stream) => stream,
            None => self.connect(deadline).await?,
        };
        self.write(&mut stream, request, deadline).await?;
        let (status, keep) = self.read(&mut stream, head_only, deadline).await?;
        if keep {
            self.stream = Some(stream);
        }
        Ok(status)
    }

    /// The kept connection, if nothing has arrived on it: neither its end nor bytes nobody asked
    /// for. The runtime knows that without a call to the system.
    async fn quiet(&mut self) -> Option<TcpStream> {
        let mut stream = self.stream.take()?;
        let mut byte = [0];
        let pending = poll_fn(|cx| {
            let mut room = ReadBuf::new(&mut byte);
            Poll::Ready(Pin::new(&mut stream).poll_read(cx, &mut room).is_pending())
        });
        pending.await.then_some(stream)
    }

    async fn connect(&self, deadline: Instant) -> Result<TcpStream, FailureKind> {
        let mut failure = FailureKind::Other;
        for address in self.addresses.iter() {
            match timeout_at(deadline, TcpStream::connect(address)).await {
                Err(_) => return Err(FailureKind::ConnectTimeout),
                Ok(Err(error)) => failure = classify(&error),
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(|error| classify(&error))?;
                    return Ok(stream);
                }
            }
        }
        Err(failure)
    }

    async fn write(
        &mut self,
        stream: &mut TcpStream,
        mut bytes: &[u8],
        deadline: Instant,
    ) -> Result<(), FailureKind> {
        poll_fn(|cx| {
            while !bytes.is_empty() {
                match Pin::new(&mut *stream).poll_write(cx, bytes) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(FailureKind::Reset)),
                    Poll::Ready(Ok(n)) => bytes = &bytes[n..],
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(classify(&error))),
                    Poll::Pending => {
                        return self.late(cx, deadline).map(|()| Err(FailureKind::AnswerTimeout));
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Reads one answer; gives its status, and whether the connection can be kept.
    async fn read(
        &mut self,
        stream: &mut TcpStream,
        head_only: bool,
        deadline: Instant,
    ) -> Result<(u16, bool), FailureKind> {
        let mut reader = Reader::new(head_only);
        let mut filled = 0;
        poll_fn(|cx| {
            loop {
                let mut room = ReadBuf::new(&mut self.buffer[filled..]);
                match Pin::new(&mut *stream).poll_read(cx, &mut room) {
                    Poll::Pending => {
                        return self.late(cx, deadline).map(|()| Err(FailureKind::AnswerTimeout));
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(classify(&error))),
                    Poll::Ready(Ok(())) => {}
                }
                let arrived = room.filled().len();
                if arrived == 0 {
                    // The end of the connection, which is the end of some answers.
                    let answer = reader.closed().map(|answer| (answer.status, false));
                    return Poll::Ready(answer.ok_or(FailureKind::Reset));
                }
                filled += arrived;
                let Ok((used, answer)) = reader.take(&self.buffer[..filled]) else {
                    return Poll::Ready(Err(FailureKind::Other));
                };
                if let Some(answer) = answer {
                    // Bytes behind the answer belong to nobody.
                    return Poll::Ready(Ok((answer.status, answer.keep && used == filled)));
                }
                self.buffer.copy_within(used..filled, 0);
                filled -= used;
                if filled == self.buffer.len() {
                    return Poll::Ready(Err(FailureKind::Other));
                }
            }
        })
        .await
    }

    /// Ready when the deadline has passed. The timer may still be set for an earlier request.
    fn late(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        loop {
            std::task::ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
    }
}

fn classify(error: &io::Error) -> FailureKind {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected, TimedOut,
        UnexpectedEof,
    };
    match error.kind() {
        ConnectionRefused => FailureKind::Refused,
        TimedOut => FailureKind::ConnectTimeout,
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | NotConnected => {
            FailureKind::Reset
        }
        _ => FailureKind::Other,
    }
}
