//! What one gateway worker recorded.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::OTHER;
use super::histogram::{self, BUCKETS};
use super::prometheus::{Bounds, Totals};
use super::window::{Lookups, Slot, SlotCell};
use crate::control::observe::Counts;

/// The longest slot. Short enough for a guard that looks each second.
const SLOT_MS: u64 = 200;
/// How long slots are kept.
const KEEP_MS: u64 = 10 * 60 * 1000;
/// The most slots, should somebody ask for windows much more often than slots end by themselves.
const MAX_SLOTS: usize = 8192;
/// The most pairs of route and arm. Names come from the configuration, but a service may see many
/// configurations; what exceeds the bound is counted as `other`.
const MAX_SERIES: usize = 256;

/// One request that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    pub route: &'a Arc<str>,
    pub arm: &'a Arc<str>,
    /// The answer's status; `None` when there was no answer.
    pub status: Option<u16>,
    /// Whether it failed: a status of 500 and above, no answer, or an answer cut short.
    pub error: bool,
    pub latency: Duration,
    pub counts: Counts,
}

/// What one gateway worker recorded, behind a mutex that is contended only while a window is read.
#[derive(Debug, Default)]
pub struct Shard {
    state: Mutex<State>,
    /// Requests that have begun and not ended. Only the worker writes it.
    in_flight: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Where the slot under way began; no slot begins before this.
    start_ms: u64,
    series: Vec<Series>,
    counts: Counts,
    total_counts: Counts,
    slots: VecDeque<Arc<Slot>>,
}

/// A pair of route and arm: the slot under way, and the totals since the start.
#[derive(Debug)]
struct Series {
    route: Arc<str>,
    arm: Arc<str>,
    requests: u64,
    errors: u64,
    max_us: u64,
    lookups: Lookups,
    buckets: Box<[u32; BUCKETS]>,
    /// By the first digit of the status; 0 for no answer.
    classes: [u64; 6],
    total_lookups: Lookups,
    bounds: Bounds,
}

impl Shard {
    /// Records a request that ended at `now_ms`.
    pub fn record(&self, outcome: &Outcome<'_>, now_ms: u64) {
        let mut state = self.state();
        state.advance(now_ms);
        state.count(outcome.counts);
        state.series(outcome.route, outcome.arm).add(outcome);
    }

    /// Counts a request as under way, until [`Shard::ended`].
    pub fn begun(&self) {
        // One thread writes: no other can come between reading and writing.
        self.in_flight.store(self.in_flight.load(Relaxed) + 1, Relaxed);
    }

    /// Counts a request as under way no longer.
    pub fn ended(&self) {
        self.in_flight.store(self.in_flight.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// Records something that happened at `now_ms` outside of any request's own time.
    pub fn count(&self, counts: Counts, now_ms: u64) {
        let mut state = self.state();
        state.advance(now_ms);
        state.count(counts);
    }

    /// Ends the slot under way at `boundary_ms`, and gives all slots that began from `from_ms`
    /// until there. What is recorded from now on belongs to a slot that begins at the boundary or,
    /// where this worker's clock is already past it, after it.
    pub(super) fn seal(&self, from_ms: u64, boundary_ms: u64) -> Vec<Arc<Slot>> {
        let mut state = self.state();
        if state.start_ms < boundary_ms {
            state.end_slot(boundary_ms);
        }
        let newest_first = state.slots.iter().rev();
        newest_first
            .skip_while(|slot| slot.start_ms >= boundary_ms)
            .take_while(|slot| slot.start_ms >= from_ms)
            .cloned()
            .collect()
    }

    /// Adds everything since the start to `totals`.
    pub(super) fn add_to(&self, totals: &mut Totals) {
        let state = self.state();
        totals.add_counts(&state.total_counts);
        totals.add_in_flight(self.in_flight.load(Relaxed));
        for series in &state.series {
            totals.add_series(&series.route, &series.arm, &series.classes, &series.bounds);
            totals.add_lookups(&series.route, series.total_lookups);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the slot under way if `now_ms` is past it.
    fn advance(&mut self, now_ms: u64) {
        let quantum = now_ms - now_ms % SLOT_MS;
        if quantum > self.start_ms {
            self.end_slot(quantum);
        }
    }

    /// Ends the slot under way. The next one begins at `next_ms`, which is later.
    fn end_slot(&mut self, next_ms: u64) {
        let cells: Vec<SlotCell> = self.series.iter_mut().filter_map(Series::take).collect();
        let counts = mem::take(&mut self.counts);
        if !cells.is_empty() || counts != Counts::default() {
            self.slots.push_back(Arc::new(Slot { start_ms: self.start_ms, cells, counts }));
        }
        self.start_ms = next_ms;
        let oldest = self.start_ms.saturating_sub(KEEP_MS);
        while self.slots.len() > MAX_SLOTS
            || self.slots.front().is_some_and(|slot| slot.start_ms < oldest)
        {
            self.slots.pop_front();
        }
    }

    fn count(&mut self, counts: Counts) {
        super::window::add_counts(&mut self.counts, &counts);
        super::window::add_counts(&mut self.total_counts, &counts);
    }

    /// The series of a route and an arm. A linear search: there are a handful.
    fn series(&mut self, route: &Arc<str>, arm: &Arc<str>) -> &mut Series {
        let find = |all: &[Series], route: &str, arm: &str| {
            all.iter().position(|series| *series.route == *route && *series.arm == *arm)
        };
        let at = find(&self.series, route, arm).unwrap_or_else(|| {
            let (route, arm) = if self.series.len() < MAX_SERIES {
                (Arc::clone(route), Arc::clone(arm))
            } else if let Some(at) = find(&self.series, OTHER, OTHER) {
                return at;
            } else {
                (Arc::from(OTHER), Arc::from(OTHER))
            };
            self.series.push(Series::new(route, arm));
            self.series.len() - 1
        });
        &mut self.series[at]
    }
}

impl Series {
    fn new(route: Arc<str>, arm: Arc<str>) -> Self {
        Self {
            route,
            arm,
            requests: 0,
            errors: 0,
            max_us: 0,
            lookups: Lookups::default(),
            buckets: Box::new([0; BUCKETS]),
            classes: [0; 6],
            total_lookups: Lookups::default(),
            bounds: Bounds::default(),
        }
    }

    fn add(&mut self, outcome: &Outcome<'_>) {
        let us = u64::try_from(outcome.latency.as_micros()).unwrap_or(u64::MAX);
        self.requests += 1;
        self.errors += u64::from(outcome.error);
        self.max_us = self.max_us.max(us);
        let Counts { cache_hits, cache_misses, .. } = outcome.counts;
        for lookups in [&mut self.lookups, &mut self.total_lookups] {
            lookups.add(Lookups { hits: cache_hits, misses: cache_misses });
        }
        self.buckets[usize::from(histogram::index(us))] += 1;
        let class = outcome.status.map_or(0, |status| usize::from(status / 100));
        self.classes[class.min(5)] += 1;
        self.bounds.add(us);
    }

    /// Takes what the slot under way holds, and leaves it empty.
    fn take(&mut self) -> Option<SlotCell> {
        if self.requests == 0 {
            return None;
        }
        let mut buckets = Vec::new();
        for (index, count) in (0u16..).zip(self.buckets.iter_mut()).filter(|(_, n)| **n > 0) {
            buckets.push((index, mem::take(count)));
        }
        Some(SlotCell {
            route: Arc::clone(&self.route),
            arm: Arc::clone(&self.arm),
            requests: mem::take(&mut self.requests),
            errors: mem::take(&mut self.errors),
            max_us: mem::take(&mut self.max_us),
            lookups: mem::take(&mut self.lookups),
            buckets: buckets.into_boxed_slice(),
        })
    }
}
