//! Webhooks that keep coming while something else is done to the service.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ctx::clock::SystemClock;
use ctx::load::dice::Dice;
use ctx::load::sign::Secrets;
use ctx::load::webhooks::{Mix, Webhooks};
use ctx::load::{Address, Counters, FailureKind, Observer, Outcome, Rate, Scenario};
use tokio::sync::watch;

use super::until;

/// Traffic that is running. It stops when dropped.
#[derive(Debug)]
pub(crate) struct Traffic {
    counters: Arc<Counters>,
    deliveries: Arc<Deliveries>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Outcome>>,
}

/// What came of the traffic.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    /// The delivery ids that were answered with 2xx.
    pub(crate) acknowledged: HashSet<String>,
}

#[derive(Debug, Default)]
struct Deliveries(Mutex<HashSet<String>>);

impl Observer for Deliveries {
    fn ended(&self, delivery: Option<&str>, result: Result<u16, FailureKind>) {
        if let (Some(delivery), Ok(200..300)) = (delivery, result) {
            self.0.lock().unwrap().insert(delivery.to_owned());
        }
    }
}

impl Traffic {
    /// Starts sending, on a thread of its own, and waits for the first answers.
    #[track_caller]
    pub(crate) fn start(target: Address, rate: f64, mix: Mix, secrets: Secrets) -> Self {
        let source = Webhooks::new(mix, secrets, Arc::new(SystemClock), Dice::fresh());
        let deliveries = Arc::new(Deliveries::default());
        let rate = Rate::per_second(rate).unwrap();
        let mut scenario = Scenario::new(target, rate, Box::new(source));
        scenario.observer = Some(Arc::clone(&deliveries) as Arc<dyn Observer>);
        let counters = Arc::clone(&scenario.counters);
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread =
            std::thread::spawn(move || runtime.block_on(ctx::load::run(scenario, stopped)));
        let traffic = Self { counters, deliveries, stop, thread: Some(thread) };
        until("the first answers", || (traffic.answered() >= 10).then_some(()));
        traffic
    }

    /// How many requests were answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.counters.outcome(Duration::from_secs(1)).answered
    }

    /// Stops sending, and waits for what is in flight.
    pub(crate) fn stop(mut self) -> Report {
        let outcome = self.shut().expect("it is stopped once, and does not panic");
        let acknowledged = std::mem::take(&mut *self.deliveries.0.lock().unwrap());
        Report { outcome, acknowledged }
    }

    fn shut(&mut self) -> Option<Outcome> {
        self.stop.send_replace(true);
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Report {
    /// Checks that every request got the answer that the app itself would have given.
    #[track_caller]
    pub(crate) fn is_undisturbed(&self) {
        let outcome = &self.outcome;
        assert_eq!(outcome.failures, BTreeMap::new(), "{outcome:?}");
        assert_eq!(outcome.unexpected, 0, "{outcome:?}");
        assert_eq!(outcome.answered, outcome.sent, "{outcome:?}");
    }
}
