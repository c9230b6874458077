//! One gateway worker: a thread, its runtime, its listener, its connections.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio::runtime::{self, LocalOptions};
use tokio::sync::watch;
use tokio::time::{self, Instant, MissedTickBehavior};

use super::access::Sampler;
use super::admit::MAX_HEAD;
use super::doors::{Doors, Entry};
use super::fastpath::{self, Left, Links, Scratch};
use super::gate::Gate;
use super::guests::{Guests, Place};
use super::ids::Namer;
use super::intake::Intake;
use super::patience::{Patience, Wire};
use super::shadow::Shadow;
use super::{moments, proxy};
use crate::orchestrator::metrics::Shard;
use crate::orchestrator::plane::Plane;
use crate::orchestrator::pool::{self, Pool};

/// The most header lines of a request.
const MAX_HEADERS: usize = 64;
/// How often connections that have been idle for too long are closed.
const SWEEP: Duration = Duration::from_secs(1);
/// The pause after an error of accept, such as having no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Which part of a drain a connection may rest for, to send a request that is under way: 5 of the 25
/// seconds.
const LINGER: u32 = 5;

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
    /// Of the short way.
    pub(super) links: RefCell<Links>,
    pub(super) scratch: RefCell<Scratch>,
    pub(super) namer: Namer,
    pub(super) sampler: Sampler,
    guests: Guests,
    /// Whether every answer is its connection's last.
    draining: Cell<bool>,
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
            pool: Pool::new(Arc::clone(&plane.berths)),
            gate: Gate::new(&plane.load),
            gates,
            intake: Intake::default(),
            shadow: Shadow::default(),
            links: RefCell::default(),
            scratch: RefCell::default(),
            namer: Namer::new(),
            sampler: Sampler::default(),
            guests: Guests::default(),
            draining: Cell::new(false),
            plane,
        })
    }

    /// Drops idle connections that are of an earlier pool generation.
    pub(super) fn rebuild(&self) {
        let generation = self.plane.pool_generation();
        self.pool.configure(generation);
        self.links.borrow_mut().configure(generation);
    }

    /// Closes idle connections that others wait for.
    pub(super) fn give_way(&self) {
        self.pool.give_way();
        self.links.borrow_mut().give_way();
    }

    /// Opens what is missing of this worker's part of the connections that are kept open.
    fn warm(self: &Rc<Self>) {
        let table = self.plane.table();
        if table.pooling.is_nobody() {
            return;
        }
        self.rebuild();
        for upstream in &table.warm {
            let (Some(address), limits) = (&upstream.address, upstream.limits) else { continue };
            let part = limits.min.div_ceil(self.gates.max(1)) as usize;
            let there = self.links.borrow().count(address);
            let berth = self.plane.berths.at(address);
            for _ in there..part.min(limits.max_idle) {
                let Some(permit) = berth.take_below(limits.min) else { break };
                let (worker, upstream) = (Rc::clone(self), Arc::clone(upstream));
                tokio::task::spawn_local(async move {
                    let Some(target) = upstream.target() else { return };
                    match pool::open_with(permit, target.address, target.connect_timeout).await {
                        Ok(link) => {
                            worker.links.borrow_mut().keep(target.address, target.limits, link);
                        }
                        Err(error) => tracing::debug!(%upstream, %error, "not kept open"),
                    }
                });
            }
        }
    }
}

/// Accepts until told to stop, then waits for the connections to end.
async fn serve(
    listener: tokio::net::TcpListener,
    worker: Rc<Worker>,
    mut stopping: watch::Receiver<Option<Duration>>,
) {
    let sweeper = tokio::task::spawn_local(sweep(Rc::clone(&worker)));
    let stop = stopping.clone();
    tokio::select! {
        biased;
        // An error means that the gateway was dropped without being stopped.
        _ = stopping.wait_for(Option::is_some) => {}
        () = accept(&listener, &worker, &stop) => {}
    }
    // Connections that the kernel has completed are clients that were let in: serve them too.
    worker.draining.set(true);
    let deadline = Instant::now() + stopping.borrow().unwrap_or(Duration::ZERO);
    while let Ok(Ok((stream, from))) = time::timeout(Duration::ZERO, listener.accept()).await {
        spawn(&worker, stream, from.ip(), &stop);
    }
    drop(listener);
    while worker.guests.count() > 0 {
        if time::timeout_at(deadline, worker.guests.ended()).await.is_err() {
            tracing::warn!(connections = worker.guests.count(), "cut off at the end of the drain");
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
        let places = worker.plane.table().limits.connections.div_ceil(worker.gates) as usize;
        // Where everybody is busy, who comes waits in the kernel's backlog.
        worker.guests.room(places).await;
        match listener.accept().await {
            Ok((stream, from)) => {
                if worker.guests.count() >= places && worker.guests.dismiss_oldest() {
                    worker.plane.doors.shed();
                }
                spawn(worker, stream, from.ip(), stop);
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves a connection in the background, unless its address has too many.
fn spawn(
    worker: &Rc<Worker>,
    stream: TcpStream,
    from: IpAddr,
    stop: &watch::Receiver<Option<Duration>>,
) {
    let limits = &worker.plane.table().limits;
    let Some(entry) = Doors::enter(&worker.plane.doors, limits, from) else {
        return tracing::debug!(%from, "it has as many connections as it may");
    };
    let patience = Patience::new();
    let present: (Place, Entry) = (worker.guests.enter(&patience), entry);
    let (worker, stop) = (Rc::clone(worker), stop.clone());
    tokio::task::spawn_local(async move {
        // Errors of a connection are the client's business: it went away, or sent nonsense that
        // hyper has already answered.
        if let Err(error) = connection(&worker, stream, patience, stop).await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(present);
    });
}

async fn connection(
    worker: &Rc<Worker>,
    stream: TcpStream,
    patience: Patience,
    mut stop: watch::Receiver<Option<Duration>>,
) -> Result<(), Box<dyn std::error::Error>> {
    stream.set_nodelay(true)?;
    let peer = HeaderValue::try_from(stream.peer_addr()?.ip().to_canonical().to_string())?;
    let (stream, before) =
        match fastpath::serve(worker, stream, peer.as_bytes(), &patience, &mut stop).await? {
            Left::Ended => return Ok(()),
            Left::HandedOver(stream, before) => (stream, before),
        };
    let service = service_fn(|request| {
        let answer = proxy::serve(Rc::clone(worker), peer.clone(), patience.clone(), request);
        async {
            let mut answer = answer.await;
            if worker.draining.get() {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
            }
            moments::replies();
            Ok::<_, Infallible>(answer)
        }
    });
    let serving = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .preserve_header_case(true)
        // The answer is the upstream's, with the date that it gave it, if any.
        .auto_date_header(false)
        .serve_connection(Wire::new(stream, before, patience.clone()), service);
    let mut serving = pin!(serving);
    let mut run_out = pin!(patience.run_out());
    tokio::select! {
        // A request that has already arrived is read before the connection is told to end.
        biased;
        ended = serving.as_mut() => return Ok(ended?),
        () = run_out.as_mut() => return Ok(()),
        drain = stop.wait_for(Option::is_some) => {
            let drain = drain.ok().and_then(|drain| *drain).unwrap_or_default();
            patience.hurry(drain / LINGER);
        }
    }
    tokio::select! {
        biased;
        ended = serving => Ok(ended?),
        () = run_out => Ok(()),
    }
}

async fn sweep(worker: Rc<Worker>) {
    let mut ticks = time::interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut wanted = worker.plane.berths.wanted();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                worker.pool.sweep();
                worker.links.borrow_mut().sweep();
                worker.warm();
            }
            Ok(()) = wanted.changed() => worker.give_way(),
        }
    }
}
