//! The loop that judges what is armed.

use std::sync::Arc;
use std::time::Duration;

use super::watch::{Mark, Samples, Watch};
use crate::control::observe::{Health, Metrics};
use crate::orchestrator::control::core::Cause;
use crate::orchestrator::control::server::Shared;

/// The longest time between two looks at the clock, which may be another one than the timer's.
const LOOK: Duration = Duration::from_millis(200);
/// Time between two attempts to put a breach on record, while the store fails.
const RETRY: Duration = Duration::from_millis(200);

/// Judges until dropped.
pub async fn run(shared: Arc<Shared>) {
    let mut watch = None;
    loop {
        match step(&shared, &mut watch) {
            None => shared.desk.moved().await,
            Some(nap) => {
                let _ = tokio::time::timeout(nap, shared.desk.moved()).await;
            }
        }
    }
}

/// Does what is due; says when to come back, or that nothing is going to be due by itself.
fn step(shared: &Shared, watch: &mut Option<Watch>) -> Option<Duration> {
    if shared.desk.settle_breach().is_err() {
        // Already logged; the target's content is in force from memory.
        return Some(RETRY);
    }
    let (armed, rev) = shared.desk.watched();
    let Some(armed) = armed else {
        if watch.take().is_some() {
            shared.guards.clear();
        }
        return None;
    };
    if armed.tripped.is_some() {
        // The board goes on showing the looks that led to it.
        return None;
    }
    let here = Here(shared);
    match watch {
        Some(watch) if watch.is_of(&armed) => {
            if watch.rev() != rev {
                watch.begin(rev, here.mark());
                shared.guards.put(watch);
            }
        }
        _ => *watch = Some(Watch::new(&armed, rev, here.mark())),
    }
    let watch = watch.as_mut()?;
    let now = shared.plane.clock.boot();
    let next = watch.next()?;
    if now < next {
        return Some((next - now).clamp(Duration::from_millis(1), LOOK));
    }
    let breach = watch.look(now, &here);
    shared.guards.put(watch);
    if let Some(breach) = breach {
        tracing::warn!(guard = %breach.guard, why = breach.why, "a guard is breached");
        let cause = Cause::Breach { guard: breach.guard, why: breach.why };
        // A failure is logged there, and tried again in the next round.
        let _ = shared.desk.trip(&armed, cause);
    }
    Some(Duration::ZERO)
}

/// This orchestrator as the source of samples.
struct Here<'a>(&'a Shared);

impl Here<'_> {
    /// A boundary of the metrics, now.
    fn mark(&self) -> Mark {
        // A window that has not begun yet holds nothing, and so costs nothing.
        let ms = self.0.plane.observe(Some(u64::MAX)).to_ms;
        Mark { now: self.0.plane.clock.boot(), ms }
    }
}

impl Samples for Here<'_> {
    fn metrics(&self, from_ms: u64) -> Metrics {
        self.0.metrics(Some(from_ms))
    }

    fn health(&self) -> Option<Health> {
        self.0.health().ok()
    }
}
