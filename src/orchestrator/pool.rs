//! Connections to upstreams, and the pool of idle ones that each gateway worker keeps for itself.
//!
//! The law: no request is lost because a kept connection had died. An idle connection is looked at
//! again before it is used: not closed, not too old, of the current pool generation, and, once the
//! request is on its way to it, its socket is asked whether the upstream has hung up. In that case
//! hyper gives the request back unsent, and it goes out on a fresh connection.
//!
//! Connections are kept by address, not by the upstream's name, so that a revision that moves an
//! upstream never sends to the old place. Last in, first out: a quiet service shrinks to the few
//! connections it needs, and the others time out. How many there may be over all workers is
//! counted in [`berths`](super::berths).

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

use super::berths::{Berth, Berths, Full, Idling, Permit};
use super::gateway::body::Outgoing;
use crate::control::{config, host};

/// How long a connection may take to become idle after its answer has ended, because the rest of
/// a request body is still on its way.
const SETTLE: Duration = Duration::from_secs(1);
/// The most header lines of an answer.
const MAX_HEADERS: usize = 128;

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// How connections to an upstream are kept: `pool`, with what is different about this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Over all gateway workers.
    pub min: u32,
    pub max: Option<u32>,
    /// In each gateway worker.
    pub max_idle: usize,
    pub idle_timeout: Duration,
    /// How long a request waits when there are `max`.
    pub wait: Duration,
}

impl Limits {
    /// How long a request waits unless something else is said.
    const WAIT: Duration = Duration::from_secs(1);

    /// Resolves what `upstream` has of its own.
    pub fn of(pool: &config::Pool, upstream: &config::Upstream) -> Self {
        let own = upstream.pool.clone().unwrap_or_default();
        let max_idle = own.max_idle.unwrap_or(pool.max_idle);
        Self {
            min: own.min.unwrap_or(0),
            max: own.max,
            max_idle: usize::try_from(max_idle).unwrap_or(usize::MAX),
            idle_timeout: own.idle_timeout.unwrap_or(pool.idle_timeout),
            // Shorter than an answer may take, so that nobody takes a wait for a slow upstream.
            wait: own.wait.unwrap_or(Self::WAIT).min(upstream.timeout / 2),
        }
    }
}

/// Where a connection goes to, and within what limits.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub address: &'a Address,
    pub connect_timeout: Duration,
    pub limits: Limits,
}

/// An open socket, counted for as long as it lives. The socket is closed before its place is free.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) stream: TcpStream,
    permit: Permit,
}

impl Link {
    /// Counts it as idle, or not any more.
    pub(super) fn set_idle(&mut self, idle: bool) {
        self.permit.set_idle(idle);
    }

    /// Where it is counted.
    pub(super) fn berth(&self) -> &Arc<Berth> {
        self.permit.berth()
    }
}

/// The connections of one gateway worker. Cheap to clone; all clones are the same pool.
#[derive(Clone)]
pub struct Pool(Rc<State>);

struct State {
    berths: Arc<Berths>,
    generation: Cell<u64>,
    idle: RefCell<HashMap<Address, Shelf>>,
}

/// The idle connections to one address, and the limits they were kept under last.
struct Shelf {
    limits: Limits,
    /// Oldest first.
    idle: VecDeque<(Connection, Idling)>,
}

/// A connection, used or not.
struct Connection {
    sender: SendRequest<Outgoing>,
    reused: Rc<Cell<bool>>,
    berth: Arc<Berth>,
    since: Instant,
}

/// A pooled connection in use. Dropping it closes the connection once its answer has ended.
pub struct Lease {
    pool: Pool,
    address: Address,
    limits: Limits,
    connection: Connection,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum SendError {
    /// Nothing was sent, because there are as many connections as there may be: the request comes
    /// back.
    Full(Box<Request<Outgoing>>),
    /// Nothing was sent: the request comes back, and may go elsewhere.
    Unreached(io::Error, Box<Request<Outgoing>>),
    /// The connection was lost after the request, or part of it, had been sent.
    Lost(hyper::Error),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Full(#[from] Full),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Pool {
    /// An empty pool, which counts its connections in `berths`.
    pub fn new(berths: Arc<Berths>) -> Self {
        Self(Rc::new(State { berths, generation: Cell::new(0), idle: RefCell::default() }))
    }

    /// Drops every idle connection when `generation` is a new one.
    pub fn configure(&self, generation: u64) {
        if self.0.generation.replace(generation) != generation {
            self.0.idle.borrow_mut().clear();
        }
    }

    /// Sends a request over an idle connection, or over a new one that will be kept.
    ///
    /// `spare` is asked for an open socket before a new one is opened.
    ///
    /// # Errors
    /// See [`SendError`].
    pub(super) async fn send(
        &self,
        target: &Target<'_>,
        spare: impl FnOnce() -> Option<Link>,
        mut request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        while let Some(mut idle) = self.take(target) {
            idle.reused.set(true);
            match idle.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, self.lease(target, idle))),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(SendError::Lost(error.into_error())),
                },
            }
        }
        if let Some(link) = spare() {
            match send_over(link, true, request).await {
                Ok((response, used)) => return Ok((response, self.lease(target, used))),
                // It had died.
                Err(SendError::Unreached(_, unsent)) => request = *unsent,
                Err(error) => return Err(error),
            }
        }
        let (response, used) = send_fresh(&self.0.berths, target, request).await?;
        Ok((response, self.lease(target, used)))
    }

    /// Sends a request over a connection of its own, which ends with the answer.
    ///
    /// # Errors
    /// As [`Pool::send`].
    pub(super) async fn send_alone(
        &self,
        target: &Target<'_>,
        mut request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, SendError> {
        let forget = |mut request: Box<Request<Outgoing>>| {
            request.headers_mut().remove(CONNECTION);
            request
        };
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        match send_fresh(&self.0.berths, target, request).await {
            Ok((response, _)) => Ok(response),
            Err(SendError::Unreached(error, request)) => {
                Err(SendError::Unreached(error, forget(request)))
            }
            Err(SendError::Full(request)) => Err(SendError::Full(forget(request))),
            Err(lost) => Err(lost),
        }
    }

    /// Closes connections that have been idle for too long.
    pub fn sweep(&self) {
        self.0.idle.borrow_mut().retain(|_, Shelf { limits, idle }| {
            idle.retain(|(idle, _)| idle.is_usable(limits.idle_timeout));
            !idle.is_empty()
        });
    }

    /// Closes idle connections that others wait for.
    pub fn give_way(&self) {
        for Shelf { idle, .. } in self.0.idle.borrow_mut().values_mut() {
            let wanted = idle.front().map_or(0, |(idle, _)| idle.berth.wanted());
            idle.drain(..wanted.min(idle.len()));
        }
    }

    /// The idle connection that was used last and can still be.
    fn take(&self, target: &Target<'_>) -> Option<Connection> {
        let mut all = self.0.idle.borrow_mut();
        let shelf = all.get_mut(target.address)?;
        let mut last_first = std::iter::from_fn(|| shelf.idle.pop_back());
        let usable = |idle: &Connection| idle.is_usable(target.limits.idle_timeout);
        last_first.find_map(|(idle, _)| Some(idle).filter(usable))
    }

    fn keep(&self, address: &Address, limits: Limits, mut connection: Connection) {
        if limits.max.is_some() && connection.berth.wanted() > 0 {
            return;
        }
        connection.since = Instant::now();
        let mut all = self.0.idle.borrow_mut();
        // The address is cloned only the first time.
        let shelf = match all.get_mut(address) {
            Some(shelf) => shelf,
            None => all
                .entry(address.clone())
                .or_insert_with(|| Shelf { limits, idle: VecDeque::new() }),
        };
        shelf.limits = limits;
        let idling = connection.berth.idling();
        shelf.idle.push_back((connection, idling));
        while shelf.idle.len() > limits.max_idle {
            shelf.idle.pop_front();
        }
    }

    fn lease(&self, target: &Target<'_>, connection: Connection) -> Lease {
        let (address, limits) = (target.address.clone(), target.limits);
        Lease { pool: self.clone(), address, limits, connection }
    }
}

impl Lease {
    /// Keeps the connection for the next request. Call it when the answer has been read to its
    /// end; a connection that does not settle within a second is dropped.
    pub fn give_back(self) {
        let Self { pool, address, limits, mut connection } = self;
        if connection.sender.is_closed() {
            return;
        }
        if connection.sender.is_ready() {
            pool.keep(&address, limits, connection);
            return;
        }
        tokio::task::spawn_local(async move {
            if let Ok(Ok(())) = tokio::time::timeout(SETTLE, connection.sender.ready()).await {
                pool.keep(&address, limits, connection);
            }
        });
    }
}

impl Connection {
    fn is_usable(&self, idle_timeout: Duration) -> bool {
        self.sender.is_ready() && !self.sender.is_closed() && self.since.elapsed() < idle_timeout
    }
}

/// Opens a connection and sends a request over it.
async fn send_fresh(
    berths: &Berths,
    target: &Target<'_>,
    request: Request<Outgoing>,
) -> Result<(Response<Incoming>, Connection), SendError> {
    match open(berths, target).await {
        Ok(link) => send_over(link, false, request).await,
        Err(OpenError::Full(Full)) => Err(SendError::Full(Box::new(request))),
        Err(OpenError::Io(error)) => Err(SendError::Unreached(error, Box::new(request))),
    }
}

/// Sends a request over a socket that carried none, or, if `reused`, may have died since.
async fn send_over(
    link: Link,
    reused: bool,
    request: Request<Outgoing>,
) -> Result<(Response<Incoming>, Connection), SendError> {
    let mut connection = match drive(link).await {
        Ok(connection) => connection,
        Err(error) => return Err(SendError::Unreached(error, Box::new(request))),
    };
    connection.reused.set(reused);
    match connection.sender.try_send_request(request).await {
        Ok(response) => Ok((response, connection)),
        Err(mut error) => Err(match error.take_message() {
            Some(unsent) => {
                SendError::Unreached(io::Error::other(error.into_error()), Box::new(unsent))
            }
            None => SendError::Lost(error.into_error()),
        }),
    }
}

/// Opens a socket, once there may be one more.
///
/// # Errors
/// When there may not be within the target's `wait`, nobody answers in time, or the address is
/// off limits.
pub(super) async fn open(berths: &Berths, target: &Target<'_>) -> Result<Link, OpenError> {
    let berth = berths.at(target.address);
    let permit = berth.take(target.limits.max, target.limits.wait).await?;
    Ok(open_with(permit, target.address, target.connect_timeout).await?)
}

/// Opens a socket in a place that was taken.
///
/// # Errors
/// When nobody answers in time, or the address is off limits.
pub(super) async fn open_with(
    permit: Permit,
    address: &Address,
    timeout: Duration,
) -> io::Result<Link> {
    let stream = tokio::time::timeout(timeout, TcpStream::connect(&*address.0)).await??;
    if host::is_off_limits(stream.peer_addr()?.ip()) {
        return Err(io::Error::other("the upstream's name leads to an address that is off limits"));
    }
    stream.set_nodelay(true)?;
    permit.berth().opened();
    Ok(Link { stream, permit })
}

/// Drives a connection in the background until it ends.
async fn drive(link: Link) -> io::Result<Connection> {
    let reused = Rc::new(Cell::new(false));
    let berth = Arc::clone(link.berth());
    let Link { stream, permit } = link;
    let wire = Wire { io: TokioIo::new(stream), _permit: permit, reused: Rc::clone(&reused) };
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
    Ok(Connection { sender, reused, berth, since: Instant::now() })
}

/// A socket that, on the first read after it was taken from the pool, asks the kernel whether the
/// upstream has hung up.
///
/// The runtime may not have noticed yet, and hyper, which reads before it writes, would then send
/// the request into a closed connection. A read of nothing tells it in time.
struct Wire {
    io: TokioIo<TcpStream>,
    /// Given back after the socket is closed: fields are dropped in this order.
    _permit: Permit,
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
    fn what_an_upstream_has_of_its_own_comes_first() {
        let pool = config::Pool { max_idle: 64, idle_timeout: Duration::from_secs(2) };
        let mut upstream = config::Upstream::at("http://legacy");
        let limits = Limits::of(&pool, &upstream);
        assert_eq!((limits.min, limits.max, limits.max_idle), (0, None, 64));
        assert_eq!((limits.idle_timeout, limits.wait), (pool.idle_timeout, Limits::WAIT));
        upstream.timeout = Duration::from_millis(400);
        upstream.pool = Some(config::UpstreamPool {
            min: Some(1),
            max: Some(3),
            max_idle: Some(2),
            idle_timeout: Some(Duration::from_secs(9)),
            wait: None,
        });
        let limits = Limits::of(&pool, &upstream);
        assert_eq!((limits.min, limits.max, limits.max_idle), (1, Some(3), 2));
        assert_eq!(limits.idle_timeout, Duration::from_secs(9));
        // Whoever waits for half of the time has the other half to be answered in.
        assert_eq!(limits.wait, Duration::from_millis(200));
    }

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
