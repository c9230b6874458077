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

mod link;
mod target;
mod wire;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Request, Response};
use tokio::time::Instant;

pub(super) use self::link::{Link, OpenError, open, open_with};
pub use self::target::{Address, Limits, Target};
use self::wire::Wire;
use super::berths::{Berth, Berths, Full, Idling};
use super::gateway::body::Outgoing;

/// How long a connection may take to become idle after its answer has ended, because the rest of
/// a request body is still on its way.
const SETTLE: Duration = Duration::from_secs(1);
/// The most header lines of an answer.
const MAX_HEADERS: usize = 128;

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

/// Drives a connection in the background until it ends.
async fn drive(link: Link) -> io::Result<Connection> {
    let reused = Rc::new(Cell::new(false));
    let berth = Arc::clone(link.berth());
    let wire = Wire::new(link, Rc::clone(&reused));
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
