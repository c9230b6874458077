//! What the data plane and the control plane share: the configuration in force, what was measured,
//! the answer cache, and the few numbers that self-healing and scaling turn.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use super::breaker::Breakers;
use super::cache::Cache;
use super::extensions::Extensions;
use super::gateway::gate::Load;
use super::gateway::keyring::Keyring;
use super::gateway::table::Table;
use super::inbox::Inbox;
use super::metrics::Registry;
use super::parity;
use crate::clock::{Clock, Tempo, WallMs};
use crate::control::config::{Config, flag};
use crate::control::observe::Metrics;

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
    /// Held while a revision is put in force, so that both of the above end at the same one.
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
    pool_generation: AtomicU64,
}

/// What a revision is compiled with.
#[derive(Debug, Default)]
struct Switching {
    /// The extensions that are left out for now.
    shunned: BTreeSet<String>,
    keyring: Keyring,
}

impl Plane {
    pub fn new(active: Active, clock: Arc<dyn Clock>, tempo: Tempo) -> Self {
        let started = clock.boot();
        let active = Arc::new(active);
        let config = &active.config;
        let mut switching = Switching::default();
        switching.keyring.follow(config);
        Self {
            table: ArcSwap::from_pointee(compile(&active, &switching)),
            switching: Mutex::new(switching),
            tempo,
            started,
            started_ms: clock.wall().timestamp_millis(),
            metrics: Registry::default(),
            cache: Cache::new(Arc::clone(&clock), &config.cache),
            breakers: Breakers::default(),
            extensions: Extensions::default(),
            parity: parity::Board::default(),
            inbox: OnceLock::new(),
            workers: AtomicU32::new(config.scaling.min),
            load: Load::default(),
            pool_generation: AtomicU64::new(0),
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

    /// Puts a revision in force. Only after it is durable in the store.
    ///
    /// A request that has begun ends under the revision it began with. Reads secrets' files, so
    /// it belongs on the control plane's thread.
    pub fn activate(&self, active: Active) {
        let active = Arc::new(active);
        let mut switching = self.switching.lock().unwrap_or_else(PoisonError::into_inner);
        switching.keyring.follow(&active.config);
        let table = Arc::new(compile(&active, &switching));
        let config = &active.config;
        self.cache.configure(&config.cache);
        let scaling = config.flags.get(flag::AUTO_SCALING).is_some_and(|flag| flag.enabled);
        let (min, max) = (config.scaling.min, config.scaling.max.max(config.scaling.min));
        let now = self.workers.load(Ordering::Relaxed);
        self.workers.store(if scaling { now.clamp(min, max) } else { min }, Ordering::Relaxed);
        self.table.store(table);
        self.active.store(active);
    }

    /// Leaves these extensions out, as if they were not installed, and takes all others back in.
    ///
    /// The configuration stays as it is: this is for the time that an extension is unhealthy.
    pub fn shun(&self, extensions: &BTreeSet<String>) {
        let mut switching = self.switching.lock().unwrap_or_else(PoisonError::into_inner);
        switching.shunned.clone_from(extensions);
        self.table.store(Arc::new(compile(&self.active.load(), &switching)));
    }

    /// Reads the secrets of webhooks again. Nothing else changes, and no request is held up; an
    /// event that was signed with the secret before is good until they are read once more.
    pub fn reload_secrets(&self) {
        let mut switching = self.switching.lock().unwrap_or_else(PoisonError::into_inner);
        let active = self.active.load();
        switching.keyring.reload(&active.config);
        self.table.store(Arc::new(compile(&active, &switching)));
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
        Metrics {
            workers: self.workers.load(Ordering::Relaxed),
            cache_entries: self.cache.len(),
            breakers: self.breakers.view(&self.active().config.breaker, self.clock.boot()),
            ..self.metrics.snapshot(from_ms, self.now_ms())
        }
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

fn compile(active: &Active, Switching { shunned, keyring }: &Switching) -> Table {
    if shunned.is_empty() {
        return Table::compile(active, keyring);
    }
    let mut config = active.config.clone();
    config.extensions.retain(|id, _| !shunned.contains(id.as_str()));
    Table::compile(&Active { rev: active.rev, config }, keyring)
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane").field("rev", &self.active().rev).finish_non_exhaustive()
    }
}
