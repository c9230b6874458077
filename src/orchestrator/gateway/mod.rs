//! The data plane: takes requests, decides who answers them, and passes the answer on.
//!
//! The law: what is not asked for by the configuration is not done. In legacy mode, with every
//! flag at zero, a request and its answer pass through unchanged but for the headers that belong
//! to one connection, and for `X-Forwarded-*`, which are the gateway's to set.
//!
//! How it works. Each worker is a thread with a single-threaded runtime, a listener of its own on
//! the same port (`SO_REUSEPORT`: the kernel shares out the connections), and its own pool of
//! upstream connections; between workers nothing is shared but the [`Plane`]. A request goes
//! through `admit` (is it one unambiguous request?), the `table` (what does its path mean?), then
//! `reads`, `event` or straight through `forward`; its answer streams through `answer`, which
//! records the `trip` when the last byte is handed on.
//!
//! The shape is that of nginx's worker processes.

mod access;
mod admit;
mod answer;
pub(crate) mod body;
pub mod delivery;
pub(crate) mod dispatch;
pub mod doors;
mod event;
mod fastpath;
mod forward;
pub mod gate;
pub(crate) mod guests;
pub mod headers;
pub(crate) mod ids;
mod intake;
pub(crate) mod keyring;
mod moments;
pub(crate) mod patience;
mod proxy;
mod reads;
mod refusal;
mod shadow;
pub(crate) mod table;
mod trip;
pub mod verify;
mod worker;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;

use super::plane::Plane;

/// Connections that the kernel holds for a worker that has not accepted them yet.
const BACKLOG: i32 = 1024;

/// A running gateway.
#[must_use = "a gateway runs until it is stopped"]
pub struct Gateway {
    /// Where it listens.
    pub addr: SocketAddr,
    workers: Vec<JoinHandle<()>>,
    /// The workers' own listeners once more, for a process that takes over.
    listeners: Vec<TcpListener>,
    /// How long to drain, once it is time to stop.
    stop: watch::Sender<Option<Duration>>,
}

/// Starts a gateway with `workers` threads, at least one, on `listen`; port 0 takes a free one.
///
/// # Errors
/// When the address cannot be listened on, or a thread or its runtime cannot be made.
pub fn start(plane: Arc<Plane>, listen: SocketAddr, workers: usize) -> io::Result<Gateway> {
    start_on(plane, vec![listener(listen)?], workers)
}

/// As [`start`], on listeners that were another process's, at least one. Each of them gets a
/// worker, however few were asked for: what the kernel holds for one that nobody asks is lost.
///
/// # Errors
/// As [`start`].
#[expect(clippy::needless_pass_by_value, reason = "every worker keeps the plane")]
pub fn start_on(
    plane: Arc<Plane>,
    mut listeners: Vec<TcpListener>,
    workers: usize,
) -> io::Result<Gateway> {
    let addr = listeners.first().ok_or(io::ErrorKind::InvalidInput)?.local_addr()?;
    for _ in listeners.len()..workers {
        listeners.push(listener(addr)?);
    }
    let copies = listeners.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
    let (stop, stopping) = watch::channel(None);
    let gates = u32::try_from(listeners.len()).unwrap_or(u32::MAX);
    let (report, reports) = mpsc::channel();
    let mut threads = Vec::with_capacity(listeners.len());
    for (number, listener) in listeners.into_iter().enumerate() {
        let seat =
            worker::Seat { listener, plane: Arc::clone(&plane), gates, stopping: stopping.clone() };
        let report = report.clone();
        let name = format!("gateway-{number}");
        threads.push(thread::Builder::new().name(name).spawn(move || seat.run(report))?);
    }
    drop(report);
    let gateway = Gateway { addr, workers: threads, listeners: copies, stop };
    // Each worker reports once and hangs up, when it is ready or has failed. Returning early drops
    // the gateway and with it the sender of `stop`, which ends the others.
    for started in reports {
        started?;
    }
    Ok(gateway)
}

impl Gateway {
    /// The listeners, for a process that takes over: they stay open in this one, too.
    pub fn listeners(&self) -> &[TcpListener] {
        &self.listeners
    }

    /// Stops accepting, and lets requests in flight take up to `drain`. Returns at once.
    pub fn shut(&mut self, drain: Duration) {
        // The port is free when the last of a listener's copies is closed.
        self.listeners.clear();
        self.stop.send_replace(Some(drain));
    }

    /// Stops accepting, lets requests in flight end within `drain`, and returns when all threads
    /// have ended. What is not done by then is cut off.
    pub fn stop(mut self, drain: Duration) {
        self.shut(drain);
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a gateway worker had panicked");
            }
        }
    }
}

/// A listener that shares its port with the other workers'.
fn listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("addr", &self.addr).finish_non_exhaustive()
    }
}
