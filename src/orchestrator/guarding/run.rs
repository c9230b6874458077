//! The loop that judges what is armed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot::{self, Receiver};

use super::watch::{Answer, Mark, Samples, Watch};
use crate::clock::epoch_seconds;
use crate::control::observe::{Health, Metrics};
use crate::judge::measure::Query;
use crate::orchestrator::control::core::Cause;
use crate::orchestrator::control::server::Shared;
use crate::prometheus;

/// The longest time between two looks at the clock, which may be another one than the timer's.
const LOOK: Duration = Duration::from_millis(200);
/// Time between two attempts to put a breach on record, while the store fails.
const RETRY: Duration = Duration::from_millis(200);

/// Judges until dropped.
pub async fn run(shared: Arc<Shared>) {
    let (mut watch, prometheus) = (None, prometheus::Client::default());
    loop {
        match step(&shared, &prometheus, &mut watch) {
            None => shared.desk.moved().await,
            Some(nap) => {
                let _ = tokio::time::timeout(nap, shared.desk.moved()).await;
            }
        }
    }
}

/// Does what is due; says when to come back, or that nothing is going to be due by itself.
fn step(
    shared: &Shared,
    prometheus: &prometheus::Client,
    watch: &mut Option<Watch>,
) -> Option<Duration> {
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
    let here = Here { shared, prometheus };
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
        return Some(next.saturating_sub(now).clamp(Duration::from_millis(1), LOOK));
    }
    let breach = watch.look(now, &here);
    shared.guards.put(watch);
    if let Some(breach) = breach {
        if let Some(guard) = &breach.guard {
            tracing::warn!(%guard, why = breach.why, "a guard is breached");
        } else {
            tracing::warn!(why = breach.why, "the canary is worse");
        }
        let cause = Cause::Breach { guard: breach.guard, why: breach.why };
        // A failure is logged there, and tried again in the next round.
        let _ = shared.desk.trip(&armed, cause);
    }
    Some(Duration::ZERO)
}

/// This orchestrator as the source of samples.
struct Here<'a> {
    shared: &'a Shared,
    prometheus: &'a prometheus::Client,
}

impl Here<'_> {
    /// A boundary of the metrics, now.
    fn mark(&self) -> Mark {
        // A window that has not begun yet holds nothing, and so costs nothing.
        let ms = self.shared.plane.observe(Some(u64::MAX)).to_ms;
        Mark { now: self.shared.plane.clock.boot(), ms }
    }
}

impl Samples for Here<'_> {
    fn metrics(&self, from_ms: u64) -> Metrics {
        self.shared.metrics(Some(from_ms))
    }

    fn health(&self) -> Option<Health> {
        self.shared.health().ok()
    }

    fn ask(&self, query: &Query) -> Receiver<Answer> {
        let (tell, answer) = oneshot::channel();
        let (client, query) = (self.prometheus.clone(), query.clone());
        let now = epoch_seconds(&*self.shared.plane.clock);
        tokio::spawn(async move {
            let number = client.ask(&query, now).await;
            // Nobody waits for it any more when another revision has come into force.
            let _ = tell.send(number.map_err(|error| error.to_string()));
        });
        answer
    }
}
