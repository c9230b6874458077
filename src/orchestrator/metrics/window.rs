//! Slots of time, and windows as their sum.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::OTHER;
use super::histogram::Sum;
use crate::control::observe::{CacheWindow, Counts, Metrics, Window};

/// What one shard recorded within one slot of time. Never changed once sealed.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) start_ms: u64,
    pub(super) cells: Vec<SlotCell>,
    pub(super) counts: Counts,
}

/// The requests of one route and arm within a slot.
#[derive(Debug)]
pub(super) struct SlotCell {
    pub(super) route: Arc<str>,
    pub(super) arm: Arc<str>,
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) max_us: u64,
    pub(super) lookups: Lookups,
    /// The non-empty buckets of the latency histogram.
    pub(super) buckets: Box<[(u16, u32)]>,
}

/// How often the cache was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lookups {
    pub(super) hits: u64,
    pub(super) misses: u64,
}

impl Lookups {
    pub(super) fn add(&mut self, more: Self) {
        self.hits += more.hits;
        self.misses += more.misses;
    }
}

/// A window under construction.
#[derive(Debug, Default)]
pub(super) struct Merge {
    total: Part,
    routes: BTreeMap<Arc<str>, Part>,
    arms: BTreeMap<Arc<str>, Part>,
    cache: BTreeMap<Arc<str>, Lookups>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Part {
    requests: u64,
    errors: u64,
    latencies: Sum,
}

impl Merge {
    pub(super) fn add(&mut self, slot: &Slot) {
        add_counts(&mut self.counts, &slot.counts);
        for cell in &slot.cells {
            if *cell.route != *OTHER {
                self.total.add(cell);
            }
            self.routes.entry(Arc::clone(&cell.route)).or_default().add(cell);
            self.arms.entry(Arc::clone(&cell.arm)).or_default().add(cell);
            if cell.lookups != Lookups::default() {
                self.cache.entry(Arc::clone(&cell.route)).or_default().add(cell.lookups);
            }
        }
    }

    pub(super) fn finish(self, from_ms: u64, to_ms: u64) -> Metrics {
        let windows = |parts: BTreeMap<Arc<str>, Part>| {
            parts.into_iter().map(|(name, part)| (name.to_string(), part.window())).collect()
        };
        let lookups = |(name, Lookups { hits, misses }): (Arc<str>, _)| {
            (name.to_string(), CacheWindow { hits, misses })
        };
        let latencies = self.arms.iter();
        let latencies =
            latencies.map(|(name, part)| (name.to_string(), part.latencies.buckets())).collect();
        Metrics {
            latencies,
            cache: self.cache.into_iter().map(lookups).collect(),
            from_ms,
            to_ms,
            total: self.total.window(),
            routes: windows(self.routes),
            arms: windows(self.arms),
            counts: self.counts,
            ..Metrics::default()
        }
    }
}

impl Part {
    fn add(&mut self, cell: &SlotCell) {
        self.requests += cell.requests;
        self.errors += cell.errors;
        self.latencies.add(&cell.buckets, cell.max_us);
    }

    fn window(&self) -> Window {
        Window { requests: self.requests, errors: self.errors, latency: self.latencies.latency() }
    }
}

/// Adds `more` to `sum`, field by field; a new field does not compile until it is added here.
pub(super) fn add_counts(sum: &mut Counts, more: &Counts) {
    let Counts {
        pooled,
        unpooled,
        enhanced,
        legacy,
        fallback,
        extension,
        cache_hits,
        cache_misses,
        duplicates,
        shadow_compared,
        shadow_equal,
        stored,
        delivered,
        retried,
        dead,
        broken,
        shed,
    } = more;
    sum.pooled += pooled;
    sum.unpooled += unpooled;
    sum.enhanced += enhanced;
    sum.legacy += legacy;
    sum.fallback += fallback;
    sum.extension += extension;
    sum.cache_hits += cache_hits;
    sum.cache_misses += cache_misses;
    sum.duplicates += duplicates;
    sum.shadow_compared += shadow_compared;
    sum.shadow_equal += shadow_equal;
    sum.stored += stored;
    sum.delivered += delivered;
    sum.retried += retried;
    sum.dead += dead;
    sum.broken += broken;
    sum.shed += shed;
}
