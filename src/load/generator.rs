//! Open-loop load: requests leave when they are due, whatever the service does.
//!
//! The n-th request is due n / rate seconds after the start, and its latency counts from then, so
//! a service that stalls is charged for every request that waited meanwhile. (A closed loop, which
//! sends the next request when the last is answered, sends less to a slow service and then
//! reports good latencies: coordinated omission. See wrk2, and Schroeder et al., "Open Versus
//! Closed", NSDI 2006.) What is in flight is bounded; a request that cannot begin within
//! [`PATIENCE`] of its time is dropped and counted, so the rate that was asked for is never
//! silently another one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::client::{Address, Client};
use super::counters::{Counters, FailureKind, Outcome};
use super::pacer::Pacer;
use super::source::Source;

/// How late a request may begin before it is dropped.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Requests a second: between one in a thousand seconds and a million.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// Makes a rate; `None` outside 0.001..=1,000,000.
    pub fn per_second(rate: f64) -> Option<Self> {
        (0.001..=1e6).contains(&rate).then_some(Self(rate))
    }

    /// Requests a second.
    pub fn get(self) -> f64 {
        self.0
    }

    /// When the n-th request is due, after the start.
    #[expect(clippy::cast_precision_loss, reason = "2^52 requests take a century")]
    fn due(self, n: u64) -> Duration {
        Duration::try_from_secs_f64(n as f64 / self.0).unwrap_or(Duration::MAX)
    }
}

/// Learns how each request ended.
pub trait Observer: Send + Sync {
    /// Called once per request that was sent, with what its source said about it: the delivery id
    /// of an event, as a rule.
    fn ended(&self, delivery: Option<&str>, result: Result<u16, FailureKind>);
}

/// Load to apply.
pub struct Scenario {
    pub address: Address,
    pub rate: Rate,
    /// Until told to stop, if absent.
    pub lasts: Option<Duration>,
    pub source: Box<dyn Source>,
    /// Requests, and so connections, at the same time.
    pub max_in_flight: u32,
    /// How long one request may take, from its connection to the end of its answer.
    pub timeout: Duration,
    /// Where to count; the caller may read them meanwhile.
    pub counters: Arc<Counters>,
    pub observer: Option<Arc<dyn Observer>>,
}

impl Scenario {
    /// Load until stopped, with 256 requests in flight at most, each within 10 seconds.
    pub fn new(address: Address, rate: Rate, source: Box<dyn Source>) -> Self {
        Self {
            address,
            rate,
            lasts: None,
            source,
            max_in_flight: 256,
            timeout: Duration::from_secs(10),
            counters: Arc::default(),
            observer: None,
        }
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Scenario");
        text.field("address", &self.address).field("rate", &self.rate).field("lasts", &self.lasts);
        text.finish_non_exhaustive()
    }
}

/// Applies load until its time is over or `stop` says true, then waits for what is in flight.
///
/// Dropped half way, it sends nothing more, and what is in flight ends by itself. A `stop` whose
/// sender is gone counts as told to stop.
pub async fn run(mut scenario: Scenario, mut stop: watch::Receiver<bool>) -> Outcome {
    let in_flight = Arc::new(Semaphore::new(scenario.max_in_flight as usize));
    let client = Arc::new(Client::new(&scenario.address, scenario.timeout));
    let counters = Arc::clone(&scenario.counters);
    let pacer = Pacer::new();
    let start = Instant::now();
    for n in 0.. {
        let offset = scenario.rate.due(n);
        if scenario.lasts.is_some_and(|lasts| offset >= lasts) {
            stopped_before(&pacer, start + scenario.lasts.unwrap_or_default(), &mut stop).await;
            break;
        }
        let due = start + offset;
        if stopped_before(&pacer, due, &mut stop).await {
            break;
        }
        let Some(permit) = begin(&in_flight, due).await else {
            counters.count_dropped();
            continue;
        };
        let outgoing = scenario.source.next();
        let (client, counters) = (Arc::clone(&client), Arc::clone(&counters));
        let observer = scenario.observer.clone();
        counters.count_sent();
        tokio::spawn(async move {
            let (expect, delivery) = (outgoing.expect, outgoing.delivery.clone());
            let result = client.send(outgoing).await;
            counters.count(result, expect, due.elapsed());
            if let Some(observer) = observer {
                observer.ended(delivery.as_deref(), result);
            }
            drop(permit);
        });
    }
    let lasted = start.elapsed();
    // Every permit back means that every request has ended, at the latest by its timeout.
    let all = in_flight.acquire_many(scenario.max_in_flight).await;
    drop(all.expect("nobody closes the semaphore"));
    counters.outcome(lasted)
}

/// Waits for `due`; true when told to stop before.
async fn stopped_before(pacer: &Pacer, due: Instant, stop: &mut watch::Receiver<bool>) -> bool {
    if due <= Instant::now() {
        // Behind schedule: let the requests in flight have the thread now and then.
        tokio::task::yield_now().await;
        return *stop.borrow() || stop.has_changed().is_err();
    }
    tokio::select! {
        biased;
        _ = stop.wait_for(|stopped| *stopped) => true,
        () = pacer.until(due) => false,
    }
}

/// Takes a place among the requests in flight; `None` when there is none in time.
async fn begin(in_flight: &Arc<Semaphore>, due: Instant) -> Option<OwnedSemaphorePermit> {
    let latest = due + PATIENCE;
    if Instant::now() > latest {
        return None;
    }
    timeout_at(latest, Arc::clone(in_flight).acquire_owned()).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_positive_and_keeps_its_schedule() {
        for nonsense in [0.0, 1e-9, -1.0, f64::NAN, f64::INFINITY, 2e6] {
            assert_eq!(Rate::per_second(nonsense), None, "{nonsense}");
        }
        let rate = Rate::per_second(250.0).unwrap();
        assert_eq!(rate.due(0), Duration::ZERO);
        assert_eq!(rate.due(250), Duration::from_secs(1));
        assert_eq!(rate.due(15_000), Duration::from_secs(60));
    }
}
