//! How many events may be in flight, and what waits when they are.
//!
//! The law: the own processor never has more events in flight than its workers carry, nor more
//! waiting than twice that; what is beyond is refused with 503 and `Retry-After` while the sender
//! still has time to hear it. Each gateway worker has a gate of its own, an equal part of the
//! whole, so that nothing is shared between them but two counters.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How many events one event worker carries at once. Two workers, the least that the default
/// configuration scales to, carry the 1,000 that the service is built for.
pub const EVENTS_PER_WORKER: u32 = 512;
/// The longest wait. The most impatient sender gives up after 3 seconds.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Events that are in flight or waiting, over all gateway workers, and how long they waited.
#[derive(Debug, Default)]
pub struct Load {
    gates: Mutex<Vec<Arc<Gauge>>>,
    /// The last reading's wait.
    waited_ms: AtomicU32,
}

/// What one gate is read by.
#[derive(Debug, Default)]
struct Gauge {
    inside: AtomicU32,
    /// The longest wait that ended since the last reading.
    waited_ms: AtomicU32,
}

impl Load {
    /// Events that are in flight or waiting now; more than the workers carry when they queue.
    pub fn in_flight(&self) -> u32 {
        self.lock().iter().map(|gate| gate.inside.load(Ordering::Relaxed)).sum()
    }

    /// The longest wait that ended since the last reading, for the one who decides upon it.
    pub fn read_wait(&self) -> Duration {
        let gates = self.lock();
        let longest = gates.iter().map(|gate| gate.waited_ms.swap(0, Ordering::Relaxed));
        let longest = longest.max().unwrap_or(0);
        self.waited_ms.store(longest, Ordering::Relaxed);
        Duration::from_millis(longest.into())
    }

    /// The last reading of the wait, in milliseconds.
    pub fn last_wait_ms(&self) -> u32 {
        self.waited_ms.load(Ordering::Relaxed)
    }

    fn register(&self) -> Arc<Gauge> {
        let gauge = Arc::<Gauge>::default();
        self.lock().push(Arc::clone(&gauge));
        gauge
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Gauge>>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gate of one gateway worker.
#[derive(Debug)]
pub(super) struct Gate {
    gauge: Arc<Gauge>,
    permits: Arc<Semaphore>,
    /// How many permits there are, in use or not.
    capacity: Cell<u32>,
}

/// The right of one event to be in flight; ends when dropped.
#[derive(Debug)]
pub(super) struct Pass {
    _inside: Inside,
    _permit: OwnedSemaphorePermit,
}

/// An event that is in flight or waiting.
#[derive(Debug)]
struct Inside(Arc<Gauge>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    pub(super) fn new(load: &Load) -> Self {
        let permits = Arc::new(Semaphore::new(0));
        Self { gauge: load.register(), permits, capacity: Cell::new(0) }
    }

    /// Lets an event in, at once or after a wait; `None` when too many are inside or waiting.
    ///
    /// `workers` event workers are shared out over `gates` gates.
    pub(super) async fn enter(&self, workers: u32, gates: u32) -> Option<Pass> {
        let capacity = capacity(workers, gates);
        self.resize(capacity);
        let before = self.gauge.inside.fetch_add(1, Ordering::Relaxed);
        let inside = Inside(Arc::clone(&self.gauge));
        if before >= capacity.saturating_mul(3) {
            self.waited(MAX_WAIT);
            return None;
        }
        // The common case, without a look at the clock. Nobody who waits is overtaken: what is
        // given back goes to them first.
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Some(Pass { _inside: inside, _permit: permit });
        }
        let began = Instant::now();
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(MAX_WAIT, permit).await;
        self.waited(began.elapsed());
        Some(Pass { _inside: inside, _permit: permit.ok()?.ok()? })
    }

    /// Notes a wait that has ended; who is refused at once would have waited for too long.
    fn waited(&self, wait: Duration) {
        let ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        self.gauge.waited_ms.fetch_max(ms, Ordering::Relaxed);
    }

    /// Lets an event in if there is room for it at once.
    pub(super) fn enter_now(&self, workers: u32, gates: u32) -> Option<Pass> {
        self.resize(capacity(workers, gates));
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        self.gauge.inside.fetch_add(1, Ordering::Relaxed);
        Some(Pass { _inside: Inside(Arc::clone(&self.gauge)), _permit: permit })
    }

    /// Adds or takes away permits. Those in use cannot be taken: the rest follows at later calls.
    fn resize(&self, capacity: u32) {
        let now = self.capacity.get();
        if capacity > now {
            self.permits.add_permits((capacity - now) as usize);
            self.capacity.set(capacity);
        } else if capacity < now {
            let forgotten = self.permits.forget_permits((now - capacity) as usize);
            self.capacity.set(now - u32::try_from(forgotten).unwrap_or(0));
        }
    }
}

/// How many events one of `gates` gates lets in at once.
fn capacity(workers: u32, gates: u32) -> u32 {
    workers.saturating_mul(EVENTS_PER_WORKER).div_ceil(gates.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_exceeds_the_workers_waits_and_is_refused_in_time() {
        let load = Load::default();
        let gate = Gate::new(&load);
        let mut inside = Vec::new();
        for _ in 0..EVENTS_PER_WORKER {
            inside.push(gate.enter(1, 1).await.unwrap());
        }
        assert_eq!(load.in_flight(), EVENTS_PER_WORKER);
        let start = tokio::time::Instant::now();
        assert!(gate.enter(1, 1).await.is_none());
        assert_eq!(start.elapsed(), MAX_WAIT);
        assert_eq!(load.in_flight(), EVENTS_PER_WORKER);
        inside.pop();
        assert!(gate.enter(1, 1).await.is_some());
        assert_eq!(start.elapsed(), MAX_WAIT, "there was room: no waiting");
        assert_eq!((load.read_wait(), load.last_wait_ms()), (MAX_WAIT, 2000));
        assert_eq!((load.read_wait(), load.last_wait_ms()), (Duration::ZERO, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_gate_follows_the_number_of_workers() {
        let load = Load::default();
        let gate = Gate::new(&load);
        let mut inside = Vec::new();
        for _ in 0..2 * EVENTS_PER_WORKER {
            inside.push(gate.enter(2, 1).await.unwrap());
        }
        assert!(gate.enter(1, 1).await.is_none());
        inside.truncate(EVENTS_PER_WORKER as usize);
        assert!(gate.enter(1, 1).await.is_none(), "still as many inside as one worker carries");
        inside.pop();
        assert!(gate.enter(1, 1).await.is_some());
        drop(inside);
        assert_eq!(load.in_flight(), 0);
    }
}
