//! The record of events that an app has handled, by delivery id.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::faults::is_hit;
use crate::units::Percent;

/// Which deliveries were handled, and how often. It grows with the traffic of one rehearsal,
/// which is bounded in time and rate.
#[derive(Debug, Default)]
pub struct Handled {
    times: Mutex<HashMap<String, u64>>,
    more: Condvar,
    requests: AtomicU64,
}

impl Handled {
    /// How often the event with this delivery id was handled.
    pub fn times(&self, delivery: &str) -> u64 {
        self.lock().get(delivery).copied().unwrap_or(0)
    }

    /// How many different events were handled.
    pub fn events(&self) -> usize {
        self.lock().len()
    }

    /// How many events were handled more than once.
    pub fn repeated(&self) -> usize {
        self.lock().values().filter(|times| **times > 1).count()
    }

    /// Waits until all of `deliveries` were handled, or `patience` is over; gives those that
    /// were not. An orchestrator may acknowledge an event before it dispatches it.
    pub fn await_all(
        &self,
        deliveries: impl IntoIterator<Item = String>,
        patience: Duration,
    ) -> Vec<String> {
        let mut missing: Vec<String> = deliveries.into_iter().collect();
        let waiting = self.more.wait_timeout_while(self.lock(), patience, |times| {
            missing.retain(|delivery| !times.contains_key(delivery));
            !missing.is_empty()
        });
        drop(waiting);
        missing
    }

    pub(in crate::rehearsal) fn record(&self, delivery: &str) {
        *self.lock().entry(delivery.to_owned()).or_insert(0) += 1;
        self.more.notify_all();
    }

    /// Counts a request, and says whether it is among the share that fails.
    pub(super) fn count_request(&self, errors: Percent) -> bool {
        is_hit(self.requests.fetch_add(1, Ordering::Relaxed), errors)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.times.lock().expect("counting does not panic")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_handled_late_is_not_missing() {
        let handled = Arc::new(Handled::default());
        handled.record("a");
        handled.record("a");
        let late = Arc::clone(&handled);
        let recorder = std::thread::spawn(move || late.record("b"));
        let wanted = || ["a", "b"].map(str::to_owned);
        assert_eq!(handled.await_all(wanted(), Duration::from_secs(10)), Vec::<String>::new());
        recorder.join().unwrap();
        let missing = handled.await_all(["c".to_owned()], Duration::ZERO);
        assert_eq!(missing, ["c"]);
        assert_eq!((handled.events(), handled.repeated(), handled.times("a")), (2, 1, 2));
    }
}
