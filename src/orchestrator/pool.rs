//! Connections to upstreams, and the pool of idle ones that each gateway worker keeps for itself.
//!
//! The law: no request is lost because a kept connection had died. An idle connection is looked at
//! again before it is used: not closed, not too old, of the current pool generation, and, once the
//! request is on its way to it, its socket is asked whether the upstream has hung up. In that case
//! hyper gives the request back unsent, and it goes out on a fresh connection.
//!
//! Connections are kept by address, not by the upstream's name, so that a revision that moves an
//! upstream never sends to the old place. Last in, first out: a quiet service shrinks to the few
//! connections it needs, and the others time out.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::gateway::body::Outgoing;
use crate::control::{config, host};

/// How long a connection may take to become idle after its answer has ended, because the rest of
/// a request body is still on its way.
const SETTLE: Duration = Duration::from_secs(1);
/// The most header lines of an answer.
const MAX_HEADERS: usize = 128;

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address(Arc<str>);

impl Address {
    /// The address in `http://HOST:PORT`; port 80 where there is none. `None` for anything else.
    pub fn of_url(url: &str) -> Option<Self> {
        let uri: hyper::Uri = url.parse().ok()?;
        let plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        plain.then(|| {
            let port = authority.port_u16().unwrap_or(80);
            Self(format!("{}:{port}", authority.host()).into())
        })
    }
}

/// The connections of one gateway worker. Cheap to clone; all clones are the same pool.
#[derive(Clone, Default)]
pub struct Pool(Rc<State>);

#[derive(Default)]
struct State {
    limits: Cell<Limits>,
    /// Oldest first.
    idle: RefCell<HashMap<Address, VecDeque<Idle>>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Limits {
    generation: u64,
    max_idle: usize,
    idle_timeout: Duration,
}

/// A connection that nobody uses.
struct Idle {
    sender: SendRequest<Outgoing>,
    reused: Rc<Cell<bool>>,
    since: Instant,
}

/// A pooled connection in use. Dropping it closes the connection once its answer has ended.
pub struct Lease {
    pool: Pool,
    address: Address,
    idle: Idle,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum SendError {
    /// Nothing was sent: the request comes back, and may go elsewhere.
    Unreached(io::Error, Box<Request<Outgoing>>),
    /// The connection was lost after the request, or part of it, had been sent.
    Lost(hyper::Error),
}

impl Pool {
    /// Takes over the configuration's limits. A new generation drops every idle connection.
    pub fn configure(&self, config: &config::Pool, generation: u64) {
        let limits = Limits {
            generation,
            max_idle: usize::try_from(config.max_idle).unwrap_or(usize::MAX),
            idle_timeout: config.idle_timeout,
        };
        let old = self.0.limits.replace(limits);
        if old.generation != generation {
            self.0.idle.borrow_mut().clear();
        }
    }

    /// Sends a request over an idle connection, or over a new one that will be kept.
    ///
    /// # Errors
    /// See [`SendError`]; the connection attempt takes at most `connect_timeout`.
    pub async fn send(
        &self,
        address: &Address,
        connect_timeout: Duration,
        mut request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        while let Some(mut idle) = self.take(address) {
            idle.reused.set(true);
            match idle.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, self.lease(address, idle))),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(SendError::Lost(error.into_error())),
                },
            }
        }
        let (response, idle) = send_fresh(address, connect_timeout, request).await?;
        Ok((response, self.lease(address, idle)))
    }

    /// Sends a request over a connection of its own, which ends with the answer.
    ///
    /// # Errors
    /// As [`Pool::send`].
    pub async fn send_alone(
        address: &Address,
        connect_timeout: Duration,
        mut request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, SendError> {
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        match send_fresh(address, connect_timeout, request).await {
            Ok((response, _)) => Ok(response),
            Err(SendError::Unreached(error, mut request)) => {
                request.headers_mut().remove(CONNECTION);
                Err(SendError::Unreached(error, request))
            }
            Err(lost) => Err(lost),
        }
    }

    /// Closes connections that have been idle for too long.
    pub fn sweep(&self) {
        let idle_timeout = self.0.limits.get().idle_timeout;
        self.0.idle.borrow_mut().retain(|_, idle| {
            idle.retain(|idle| idle.is_usable(idle_timeout));
            !idle.is_empty()
        });
    }

    /// The idle connection that was used last and can still be.
    fn take(&self, address: &Address) -> Option<Idle> {
        let idle_timeout = self.0.limits.get().idle_timeout;
        let mut all = self.0.idle.borrow_mut();
        let idle = all.get_mut(address)?;
        std::iter::from_fn(|| idle.pop_back()).find(|idle| idle.is_usable(idle_timeout))
    }

    fn keep(&self, address: &Address, mut idle: Idle) {
        let max_idle = self.0.limits.get().max_idle;
        idle.since = Instant::now();
        let mut all = self.0.idle.borrow_mut();
        // The address is cloned only the first time.
        let kept = match all.get_mut(address) {
            Some(kept) => kept,
            None => all.entry(address.clone()).or_default(),
        };
        kept.push_back(idle);
        while kept.len() > max_idle {
            kept.pop_front();
        }
    }

    fn lease(&self, address: &Address, idle: Idle) -> Lease {
        Lease { pool: self.clone(), address: address.clone(), idle }
    }
}

impl Lease {
    /// Keeps the connection for the next request. Call it when the answer has been read to its
    /// end; a connection that does not settle within a second is dropped.
    pub fn give_back(self) {
        let Self { pool, address, mut idle } = self;
        if idle.sender.is_closed() {
            return;
        }
        if idle.sender.is_ready() {
            pool.keep(&address, idle);
            return;
        }
        tokio::task::spawn_local(async move {
            if let Ok(Ok(())) = tokio::time::timeout(SETTLE, idle.sender.ready()).await {
                pool.keep(&address, idle);
            }
        });
    }
}

impl Idle {
    fn is_usable(&self, idle_timeout: Duration) -> bool {
        self.sender.is_ready() && !self.sender.is_closed() && self.since.elapsed() < idle_timeout
    }
}

/// Opens a connection and sends a request over it.
async fn send_fresh(
    address: &Address,
    timeout: Duration,
    request: Request<Outgoing>,
) -> Result<(Response<Incoming>, Idle), SendError> {
    let mut idle = match connect(address, timeout).await {
        Ok(idle) => idle,
        Err(error) => return Err(SendError::Unreached(error, Box::new(request))),
    };
    match idle.sender.try_send_request(request).await {
        Ok(response) => Ok((response, idle)),
        Err(mut error) => Err(match error.take_message() {
            Some(unsent) => {
                SendError::Unreached(io::Error::other(error.into_error()), Box::new(unsent))
            }
            None => SendError::Lost(error.into_error()),
        }),
    }
}

/// Opens a socket.
///
/// # Errors
/// When nobody answers in time, or the address is off limits.
pub(super) async fn open(address: &Address, timeout: Duration) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(timeout, TcpStream::connect(&*address.0)).await??;
    if host::is_off_limits(stream.peer_addr()?.ip()) {
        return Err(io::Error::other("the upstream's name leads to an address that is off limits"));
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Opens a connection and drives it in the background until it ends.
async fn connect(address: &Address, timeout: Duration) -> io::Result<Idle> {
    let stream = open(address, timeout).await?;
    let reused = Rc::new(Cell::new(false));
    let wire = Wire { io: TokioIo::new(stream), reused: Rc::clone(&reused) };
    let (sender, connection) = http1::Builder::new()
        .preserve_header_case(true)
        .max_headers(MAX_HEADERS)
        .handshake(wire)
        .await
        .map_err(io::Error::other)?;
    tokio::task::spawn_local(async move {
        // Whoever waits for an answer is told of the error; an idle connection has nobody to tell.
        let _ = connection.await;
    });
    Ok(Idle { sender, reused, since: Instant::now() })
}

/// A socket that, on the first read after it was taken from the pool, asks the kernel whether the
/// upstream has hung up.
///
/// The runtime may not have noticed yet, and hyper, which reads before it writes, would then send
/// the request into a closed connection. A read of nothing tells it in time.
struct Wire {
    io: TokioIo<TcpStream>,
    reused: Rc<Cell<bool>>,
}

impl Wire {
    /// Whether the connection is closed, or carries bytes that nobody asked for.
    fn is_spent(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        match SockRef::from(self.io.inner()).peek(&mut byte) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reused.take() && self.is_spent() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
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
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_a_host_and_a_port_and_nothing_else() {
        let address = |url| Address::of_url(url).map(|address| address.0.to_string());
        assert_eq!(address("http://127.0.0.1:8000").as_deref(), Some("127.0.0.1:8000"));
        assert_eq!(address("http://[::1]:8000/").as_deref(), Some("[::1]:8000"));
        assert_eq!(address("http://legacy").as_deref(), Some("legacy:80"));
        for bad in ["", "legacy:80", "https://legacy", "http://legacy/x", "http://u@legacy", "/x"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
