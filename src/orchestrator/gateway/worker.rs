//! One gateway worker: a thread, its runtime, its listener, its connections.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio::runtime::{self, LocalOptions};
use tokio::sync::{Notify, watch};
use tokio::time::{self, Instant, MissedTickBehavior};

use super::access::Sampler;
use super::admit::MAX_HEAD;
use super::gate::Gate;
use super::ids::Namer;
use super::intake::Intake;
use super::patience::{Patience, Wire};
use super::proxy;
use super::shadow::Shadow;
use crate::failpoint::{self, Point};
use crate::orchestrator::metrics::Shard;
use crate::orchestrator::plane::Plane;
use crate::orchestrator::pool::Pool;

/// The most connections of one worker; further ones wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 16_384;
/// The most header lines of a request.
const MAX_HEADERS: usize = 64;
/// How often connections that have been idle for too long are closed.
const SWEEP: Duration = Duration::from_secs(1);
/// The pause after an error of accept, such as having no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a worker's thread is started with.
pub(super) struct Seat {
    pub(super) listener: TcpListener,
    pub(super) plane: Arc<Plane>,
    /// The number of workers.
    pub(super) gates: u32,
    pub(super) stopping: watch::Receiver<Option<Duration>>,
}

/// What the connections of one worker share.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) plane: Arc<Plane>,
    pub(super) shard: Arc<Shard>,
    pub(super) pool: Pool,
    pub(super) gate: Gate,
    pub(super) gates: u32,
    pub(super) intake: Intake,
    pub(super) shadow: Shadow,
    pub(super) namer: Namer,
    pub(super) sampler: Sampler,
    connections: Cell<usize>,
    /// Told whenever a connection ends.
    ended: Notify,
}

impl Seat {
    /// Runs the worker until it is told to stop. Reports once: ready, or why not.
    pub(super) fn run(self, report: mpsc::Sender<io::Result<()>>) {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        // Nobody listens for the report only if another worker has failed; `stopping` tells then.
        match runtime {
            Ok(runtime) => runtime.block_on(async {
                match tokio::net::TcpListener::from_std(self.listener) {
                    Ok(listener) => {
                        let _ = report.send(Ok(()));
                        drop(report);
                        serve(listener, Worker::new(self.plane, self.gates), self.stopping).await;
                    }
                    Err(error) => drop(report.send(Err(error))),
                }
            }),
            Err(error) => drop(report.send(Err(error))),
        }
    }
}

impl Worker {
    /// A worker with a pool, a shard and one of `gates` gates of its own.
    pub(super) fn new(plane: Arc<Plane>, gates: u32) -> Rc<Self> {
        Rc::new(Self {
            shard: plane.metrics.shard(),
            pool: Pool::default(),
            gate: Gate::new(&plane.load),
            gates,
            intake: Intake::default(),
            shadow: Shadow::default(),
            namer: Namer::new(),
            sampler: Sampler::default(),
            connections: Cell::new(0),
            ended: Notify::new(),
            plane,
        })
    }
}

/// Accepts until told to stop, then waits for the connections to end.
async fn serve(
    listener: tokio::net::TcpListener,
    worker: Rc<Worker>,
    mut stopping: watch::Receiver<Option<Duration>>,
) {
    let sweeper = tokio::task::spawn_local(sweep(worker.pool.clone()));
    let stop = stopping.clone();
    tokio::select! {
        biased;
        // An error means that the gateway was dropped without being stopped.
        _ = stopping.wait_for(Option::is_some) => {}
        () = accept(&listener, &worker, &stop) => {}
    }
    // Connections that the kernel has completed are clients that were let in: serve them too.
    let deadline = Instant::now() + stopping.borrow().unwrap_or(Duration::ZERO);
    while let Ok(Ok((stream, _))) = time::timeout(Duration::ZERO, listener.accept()).await {
        spawn(&worker, stream, &stop);
    }
    drop(listener);
    while worker.connections.get() > 0 {
        if time::timeout_at(deadline, worker.ended.notified()).await.is_err() {
            tracing::warn!(
                connections = worker.connections.get(),
                "cut off at the end of the drain"
            );
            break;
        }
    }
    sweeper.abort();
}

async fn accept(
    listener: &tokio::net::TcpListener,
    worker: &Rc<Worker>,
    stop: &watch::Receiver<Option<Duration>>,
) {
    loop {
        while worker.connections.get() >= MAX_CONNECTIONS {
            worker.ended.notified().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => spawn(worker, stream, stop),
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves a connection in the background.
fn spawn(worker: &Rc<Worker>, stream: TcpStream, stop: &watch::Receiver<Option<Duration>>) {
    worker.connections.set(worker.connections.get() + 1);
    let present = Present(Rc::clone(worker));
    let stop = stop.clone();
    tokio::task::spawn_local(async move {
        // Errors of a connection are the client's business: it went away, or sent nonsense that
        // hyper has already answered.
        if let Err(error) = connection(&present.0, stream, stop).await {
            tracing::debug!(%error, "a connection ended early");
        }
    });
}

/// A connection that has not ended.
struct Present(Rc<Worker>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
        self.0.ended.notify_one();
    }
}

async fn connection(
    worker: &Rc<Worker>,
    stream: TcpStream,
    mut stop: watch::Receiver<Option<Duration>>,
) -> Result<(), Box<dyn std::error::Error>> {
    stream.set_nodelay(true)?;
    let peer = HeaderValue::try_from(stream.peer_addr()?.ip().to_canonical().to_string())?;
    let patience = Patience::new();
    let service = service_fn(|request| {
        let answer = proxy::serve(Rc::clone(worker), peer.clone(), patience.clone(), request);
        async {
            let answer = answer.await;
            failpoint::hit(Point::GatewayReplies);
            Ok::<_, Infallible>(answer)
        }
    });
    let serving = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .preserve_header_case(true)
        // The answer is the upstream's, with the date that it gave it, if any.
        .auto_date_header(false)
        .serve_connection(Wire::new(stream, patience.clone()), service);
    let mut serving = pin!(serving);
    let mut run_out = pin!(patience.run_out());
    tokio::select! {
        // A request that has already arrived is read before the connection is told to end.
        biased;
        ended = serving.as_mut() => return Ok(ended?),
        () = run_out.as_mut() => return Ok(()),
        _ = stop.wait_for(Option::is_some) => serving.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        biased;
        ended = serving => Ok(ended?),
        () = run_out => Ok(()),
    }
}

async fn sweep(pool: Pool) {
    let mut ticks = time::interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        pool.sweep();
    }
}
