//! What the data plane and the control plane share: the configuration in force, what was measured,
//! the answer cache, and the few numbers that self-healing and scaling turn.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use super::berths::Berths;
use super::breaker::Breakers;
use super::cache::Cache;
use super::extensions::Extensions;
use super::flags::book::Book;
use super::gateway::doors::Doors;
use super::gateway::gate::Load;
use super::gateway::keyring::Keyring;
use super::gateway::table::Table;
use super::inbox::Inbox;
use super::metrics::Registry;
use super::parity;
use super::pool::Address;
use super::scaling::scales_workers;
use crate::clock::{Clock, Tempo, WallMs};
use crate::control::config::{Canary, Compared, Config};
use crate::control::observe::{CanaryView, Connections, Metrics, Overrides, PoolView};
use crate::units::Percent;

/// One revision of the configuration, as the gateway uses it. Never changed, only replaced.
#[derive(Debug)]
pub struct Active {
    pub rev: u64,
    pub config: Config,
}

/// The shared heart of an orchestrator.
pub struct Plane {
    active: ArcSwap<Active>,
    /// The same revision, compiled for the gateway.
    table: ArcSwap<Table>,
    /// Its flags, compiled for applications.
    flags: ArcSwap<Book>,
    /// Held while a revision is put in force, so that all of the above end at the same one.
    switching: Mutex<Switching>,
    pub clock: Arc<dyn Clock>,
    /// Plan time per real time, for uptime, MTTR and MTBF.
    pub tempo: Tempo,
    /// [`Clock::boot`] when the orchestrator started.
    pub started: Duration,
    /// The wall clock at that time.
    pub started_ms: WallMs,
    pub metrics: Registry,
    pub cache: Cache,
    pub breakers: Breakers,
    /// The connections of all upstreams.
    pub berths: Arc<Berths>,
    pub extensions: Extensions,
    /// What shadow copies showed.
    pub parity: parity::Board,
    /// Where events are stored; absent where there is no state folder.
    pub inbox: OnceLock<Arc<Inbox>>,
    /// Event workers now: how many events may be in flight, in units of
    /// [`EVENTS_PER_WORKER`](super::gateway::gate::EVENTS_PER_WORKER). Scaling sets it.
    pub workers: AtomicU32,
    /// Events in flight against what the workers can carry: what scaling measures.
    pub load: Load,
    /// Connections of senders.
    pub doors: Arc<Doors>,
    /// Whether it is about to stop, and so says that it is not ready.
    pub leaving: AtomicBool,
    /// The share of new events that are refused, in thousandths of a percent.
    shed: AtomicU32,
    pool_generation: AtomicU64,
    /// When the canary of the configuration last changed.
    canary_since_ms: AtomicU64,
}

/// What a revision is compiled with.
#[derive(Debug, Default)]
struct Switching {
    /// The extensions that are left out for now.
    shunned: BTreeSet<String>,
    /// The canary that gets no traffic for now, as the configuration has it.
    withdrawn: Option<Canary>,
    keyring: Keyring,
}

impl Plane {
    pub fn new(active: Active, clock: Arc<dyn Clock>, tempo: Tempo) -> Self {
        let started = clock.boot();
        let active = Arc::new(active);
        let config = &active.config;
        let mut switching = Switching::default();
        switching.keyring.follow(config);
        let (breakers, extensions) = (Breakers::default(), Extensions::default());
        let table = compile(&active, &switching, &breakers, &extensions, None);
        Self {
            table: ArcSwap::from_pointee(table),
            flags: ArcSwap::from_pointee(Book::new(&config.flags)),
            switching: Mutex::new(switching),
            tempo,
            started,
            started_ms: clock.wall().timestamp_millis(),
            metrics: Registry::default(),
            cache: Cache::new(Arc::clone(&clock), config.cache.capacity, config.longest_ttl()),
            breakers,
            berths: Arc::default(),
            extensions,
            parity: parity::Board::default(),
            inbox: OnceLock::new(),
            workers: AtomicU32::new(config.scaling.min),
            load: Load::default(),
            doors: Arc::default(),
            leaving: AtomicBool::new(false),
            shed: AtomicU32::new(0),
            pool_generation: AtomicU64::new(0),
            canary_since_ms: AtomicU64::new(0),
            clock,
            active: ArcSwap::new(active),
        }
    }

    /// The configuration in force, without a lock.
    pub fn active(&self) -> Guard<Arc<Active>> {
        self.active.load()
    }

    /// The configuration in force as the gateway reads it, without a lock.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// The flags in force as applications ask them, without a lock.
    pub fn flags(&self) -> Arc<Book> {
        self.flags.load_full()
    }

    /// Puts a revision in force. Only after it is durable in the store.
    ///
    /// A request that has begun ends under the revision it began with. Reads secrets' files, so
    /// it belongs on the control plane's thread.
    pub fn activate(&self, active: Active) {
        let active = Arc::new(active);
        let mut switching = self.switching.lock().unwrap_or_else(PoisonError::into_inner);
        switching.keyring.follow(&active.config);
        let config = &active.config;
        self.breakers.follow(&config.upstreams);
        // A canary that is set anew is tried anew.
        let before = self.active.load();
        let same_canary = config.canary == before.config.canary;
        let same_next = config.extension_canary == before.config.extension_canary;
        switching.withdrawn = switching.withdrawn.take().filter(|_| same_canary);
        let table = Arc::new(self.compile(&active, &switching));
        self.cache.configure(config.cache.capacity, config.longest_ttl());
        let scaling = scales_workers(config);
        let (min, max) = (config.scaling.min, config.scaling.max.max(config.scaling.min));
        let now = self.workers.load(Ordering::Relaxed);
        self.workers.store(if scaling { now.clamp(min, max) } else { min }, Ordering::Relaxed);
        self.flags.store(Arc::new(Book::new(&config.flags)));
        let addresses: BTreeSet<Address> =
            config.upstreams.values().filter_map(|up| Address::of_url(&up.url)).collect();
        self.berths.retain(|address| addresses.contains(address));
        self.table.store(table);
        self.extensions.follow(config);
        self.active.store(active);
        if !same_canary || !same_next {
            self.canary_since_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// Sets aside what `overrides` say, and takes all else back in, as if the configuration were
    /// so; it stays as it is. This is for the time that something is sick.
    ///
    /// A canary is withdrawn as the configuration in force has it, if that is its upstream.
    pub fn set_aside(&self, overrides: &Overrides) {
        let mut switching = self.switching.lock().unwrap_or_else(PoisonError::into_inner);
        let active = self.active.load();
        switching.shunned = overrides.left_out.iter().cloned().collect();
        let withdrawn = overrides.canary_withdrawn.as_ref();
        switching.withdrawn =
            active.config.canary.clone().filter(|canary| Some(&canary.upstream) == withdrawn);
        self.shed.store(overrides.shed.thousandths(), Ordering::Relaxed);
        self.table.store(Arc::new(self.compile(&active, &switching)));
    }

    /// What is set aside now.
    pub fn overrides(&self) -> Overrides {
        let switching = self.switching.lock().unwrap_or_else(PoisonError::into_inner);
        let withdrawn = switching.withdrawn.as_ref();
        Overrides {
            left_out: switching.shunned.iter().cloned().collect(),
            canary_withdrawn: withdrawn.map(|canary| canary.upstream.clone()),
            shed: self.shed(),
        }
    }

    /// The share of new events that are refused now.
    pub fn shed(&self) -> Percent {
        Percent::from_thousandths(self.shed.load(Ordering::Relaxed)).unwrap_or(Percent::ALL)
    }

    /// Reads the secrets of webhooks again. Nothing else changes, and no request is held up; an
    /// event that was signed with the secret before is good until they are read once more.
    pub fn reload_secrets(&self) {
        let mut switching = self.switching.lock().unwrap_or_else(PoisonError::into_inner);
        let active = self.active.load();
        switching.keyring.reload(&active.config);
        self.table.store(Arc::new(self.compile(&active, &switching)));
    }

    /// Compiles what follows the revision in force.
    fn compile(&self, active: &Active, switching: &Switching) -> Table {
        let previous = self.table.load();
        compile(active, switching, &self.breakers, &self.extensions, Some(&previous))
    }

    /// Milliseconds since the orchestrator started, as in `GET /v1/metrics`.
    pub fn now_ms(&self) -> u64 {
        let up = self.clock.boot().saturating_sub(self.started);
        u64::try_from(up.as_millis()).unwrap_or(u64::MAX)
    }

    /// The wall clock's milliseconds at a time of [`Clock::boot`], as if nobody had set it since
    /// the start.
    pub fn wall_ms_at(&self, boot: Duration) -> WallMs {
        let up = i64::try_from(boot.saturating_sub(self.started).as_millis()).unwrap_or(i64::MAX);
        self.started_ms.saturating_add(up)
    }

    /// What was measured from `from_ms` until now, with the number of workers and of cached
    /// answers; the host's figures are the caller's to add.
    pub fn observe(&self, from_ms: Option<u64>) -> Metrics {
        let measured = self.metrics.snapshot(from_ms, self.now_ms());
        let canary = self.canary();
        let mut latencies = measured.latencies;
        let judged =
            |arm: &str| canary.as_ref().is_some_and(|c| arm == c.control || arm == c.upstream);
        latencies.retain(|arm, _| judged(arm));
        Metrics {
            canary,
            latencies,
            workers: self.workers.load(Ordering::Relaxed),
            in_flight: self.load.in_flight(),
            queue_delay_ms: self.load.last_wait_ms(),
            overrides: self.overrides(),
            cache_entries: self.cache.len(),
            connections: Connections {
                open: self.doors.open(),
                refused: self.doors.refused(),
                made_room: self.doors.made_room(),
            },
            extensions: Some(self.extensions.views()),
            cache_evicted: self.cache.evicted(),
            breakers: self.breakers.view(&self.active().config.breaker, self.clock.boot()),
            pools: self.pools(),
            ..measured
        }
    }

    /// The canary as it is in force.
    fn canary(&self) -> Option<CanaryView> {
        let switching = self.switching.lock().unwrap_or_else(PoisonError::into_inner);
        let Compared { control, canary, weight } = self.active.load().config.compared()?;
        let withdrawn = switching.withdrawn.as_ref().is_some_and(|it| it.upstream == canary);
        let weight = if withdrawn { Percent::ZERO } else { weight };
        let since_ms = self.canary_since_ms.load(Ordering::Relaxed);
        Some(CanaryView { upstream: canary, control, weight, since_ms })
    }

    /// How the connections to each upstream are.
    pub fn pools(&self) -> Vec<PoolView> {
        let active = self.active();
        let upstreams = active.config.upstreams.iter();
        let views = upstreams.filter_map(|(name, upstream)| {
            let view = self.berths.at(&Address::of_url(&upstream.url)?).view();
            Some(PoolView {
                upstream: name.clone(),
                idle: view.idle,
                busy: view.open - view.idle,
                opened: view.opened,
                waits: view.waits,
                timeouts: view.timeouts,
            })
        });
        views.collect()
    }

    /// Makes every gateway worker drop its idle upstream connections before it uses one again.
    pub fn rebuild_pools(&self) {
        self.pool_generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Grows with each [`Plane::rebuild_pools`].
    pub fn pool_generation(&self) -> u64 {
        self.pool_generation.load(Ordering::Relaxed)
    }
}

fn compile(
    active: &Active,
    Switching { shunned, withdrawn, keyring }: &Switching,
    breakers: &Breakers,
    extensions: &Extensions,
    previous: Option<&Table>,
) -> Table {
    if shunned.is_empty() && withdrawn.is_none() {
        return Table::compile(active, keyring, breakers, extensions, previous);
    }
    let mut config = active.config.clone();
    config.extensions.retain(|id, _| !shunned.contains(id.as_str()));
    config.canary = config.canary.filter(|_| withdrawn.is_none());
    let active = Active { rev: active.rev, config };
    Table::compile(&active, keyring, breakers, extensions, previous)
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane").field("rev", &self.active().rev).finish_non_exhaustive()
    }
}
