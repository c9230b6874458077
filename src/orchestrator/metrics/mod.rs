//! What the gateway measures: requests, errors and latencies by route and arm, and how they were
//! carried.
//!
//! The law: windows asked for one after the other, each `from` the last one's `to_ms`, count every
//! request exactly once. Asking seals what was recorded so far at a boundary that only grows, and
//! whatever is recorded afterwards belongs to a slot that begins at or after it.
//!
//! Each gateway worker records into a [`Shard`] of its own, behind a mutex that only a reader ever
//! contends for, and that reader holds it just long enough to seal. Time is cut into slots of at
//! most 200 ms, kept for 10 minutes; a slot stores its latencies as the non-empty buckets of a
//! log-linear histogram (the idea of `HdrHistogram`), so an idle service costs nothing and a busy
//! one a bounded amount.

mod histogram;
mod process;
mod prometheus;
mod shard;
mod window;

use std::sync::{Arc, Mutex, PoisonError};

pub use process::Process;
pub use shard::{Outcome, Shard};

use crate::control::observe::Metrics;

/// The route that requests without a route of the configuration are counted under.
pub const OTHER: &str = "other";
/// The arm of requests that the gateway answered by itself: refused, malformed, or over its limits.
pub const GATEWAY: &str = "gateway";
/// The arm of requests that the cache answered.
pub const CACHE: &str = "cache";
/// The arm of events that were acknowledged because they are stored.
pub const INBOX: &str = "inbox";
/// How far back a window reaches when it is asked for without a beginning.
const DEFAULT_WINDOW_MS: u64 = 5_000;

/// Everything that was measured since the orchestrator started.
#[derive(Debug, Default)]
pub struct Registry {
    shards: Mutex<Vec<Arc<Shard>>>,
    /// The end of the last window that was asked for.
    boundary_ms: Mutex<u64>,
}

impl Registry {
    /// Adds a shard for one gateway worker to record into.
    pub fn shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::default());
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&shard));
        shard
    }

    /// What was recorded from `from_ms` until now, as [`Metrics`] documents it; without
    /// `from_ms`, in the last 5 seconds.
    ///
    /// Exact when `from_ms` is an earlier reply's `to_ms`; for any other beginning, to the slot of
    /// at most 200 ms. The host's figures, the number of workers and of cached answers are the
    /// caller's to add.
    pub fn snapshot(&self, from_ms: Option<u64>, now_ms: u64) -> Metrics {
        let shards = self.shards();
        let mut merged = window::Merge::default();
        let (from_ms, to_ms) = {
            let mut boundary = self.boundary_ms.lock().unwrap_or_else(PoisonError::into_inner);
            // After everything recorded up to now, and strictly after the last one, so that no two
            // slots share a beginning.
            *boundary = (now_ms + 1).max(*boundary + 1);
            let from_ms = from_ms.unwrap_or_else(|| now_ms.saturating_sub(DEFAULT_WINDOW_MS));
            for shard in &shards {
                for slot in shard.seal(from_ms, *boundary) {
                    merged.add(&slot);
                }
            }
            (from_ms.min(*boundary), *boundary)
        };
        merged.finish(from_ms, to_ms)
    }

    /// Everything since the start, in the Prometheus text format, version 0.0.4.
    pub fn prometheus(&self) -> String {
        let mut totals = prometheus::Totals::default();
        for shard in self.shards() {
            shard.add_to(&mut totals);
        }
        totals.render()
    }

    fn shards(&self) -> Vec<Arc<Shard>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
