//! Webhook traffic that goes on while phases are migrated, and the proof that nothing was lost.
//!
//! An event is lost when it was acknowledged with 2xx and no app ever handled it, or when it got
//! no answer at all. Handled twice is not lost: senders repeat deliveries, and so may an
//! orchestrator after a crash.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::legacy::Handled;
use crate::clock::SystemClock;
use crate::control::observe::Latency;
use crate::load::dice::Dice;
use crate::load::sign::Secrets;
use crate::load::webhooks::{Mix, Webhooks};
use crate::load::{Address, Counters, FailureKind, Observer, Outcome, Rate, Scenario};

/// Traffic that is running. It stops when dropped.
#[derive(Debug)]
pub struct Traffic {
    started: Instant,
    counters: Arc<Counters>,
    acknowledged: Arc<Acknowledged>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Outcome>>,
}

/// What came of the traffic.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrafficReport {
    pub sent: u64,
    pub answered: u64,
    /// Requests without an answer.
    pub failed: u64,
    /// Answers with another status than the legacy app alone would have given.
    pub wrong_status: u64,
    /// Requests that were due and never sent, because too many were in flight.
    pub dropped: u64,
    /// Events acknowledged with 2xx.
    pub acknowledged: u64,
    /// Delivery ids that were acknowledged and never handled.
    pub unhandled: Vec<String>,
    /// Events handled more than once.
    pub repeated: u64,
    /// Absent without an answer.
    pub latency: Option<Latency>,
}

impl TrafficReport {
    /// Events lost: acknowledged and never handled, or never answered.
    pub fn lost(&self) -> u64 {
        self.failed + self.unhandled.len() as u64
    }
}

/// The delivery ids that were answered with 2xx.
#[derive(Debug, Default)]
struct Acknowledged(Mutex<HashSet<String>>);

impl Observer for Acknowledged {
    fn ended(&self, delivery: Option<&str>, result: Result<u16, FailureKind>) {
        if let (Some(delivery), Ok(200..300)) = (delivery, result) {
            self.0.lock().expect("inserting does not panic").insert(delivery.to_owned());
        }
    }
}

impl Traffic {
    /// Starts sending to `target`, on a thread of its own. Delivery ids are fresh each time.
    ///
    /// # Errors
    /// When there is no thread or runtime to be had.
    pub fn start(target: Address, rate: Rate, mix: Mix, secrets: Secrets) -> std::io::Result<Self> {
        let source = Webhooks::new(mix, secrets, Arc::new(SystemClock), Dice::fresh());
        let acknowledged = Arc::new(Acknowledged::default());
        let mut scenario = Scenario::new(target, rate, Box::new(source));
        scenario.observer = Some(Arc::clone(&acknowledged) as Arc<dyn Observer>);
        let counters = Arc::clone(&scenario.counters);
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = Builder::new()
            .name("traffic".to_owned())
            .spawn(move || runtime.block_on(crate::load::run(scenario, stopped)))?;
        Ok(Self { started: Instant::now(), counters, acknowledged, stop, thread: Some(thread) })
    }

    /// Everything so far; requests in flight are sent and not yet answered.
    pub fn counts(&self) -> Outcome {
        self.counters.outcome(self.started.elapsed())
    }

    /// Stops sending, waits for what is in flight, then up to `patience` for events that were
    /// acknowledged and are still to be handled.
    pub fn stop(mut self, handled: &Handled, patience: Duration) -> TrafficReport {
        let outcome = self.shut().unwrap_or_else(|| self.counts());
        let acknowledged =
            std::mem::take(&mut *self.acknowledged.0.lock().expect("inserting does not panic"));
        TrafficReport {
            sent: outcome.sent,
            answered: outcome.answered,
            failed: outcome.failed(),
            wrong_status: outcome.unexpected,
            dropped: outcome.dropped,
            acknowledged: acknowledged.len() as u64,
            unhandled: handled.await_all(acknowledged, patience),
            repeated: handled.repeated() as u64,
            latency: outcome.latency,
        }
    }

    fn shut(&mut self) -> Option<Outcome> {
        self.stop.send_replace(true);
        // Its panic was printed by its own thread.
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::legacy::{Faults, Legacy};
    use crate::units::Percent;

    fn traffic_to(legacy: &Legacy, mix: Mix) -> Traffic {
        let target = legacy.url().parse().unwrap();
        let rate = Rate::per_second(200.0).unwrap();
        Traffic::start(target, rate, mix, Secrets::default()).unwrap()
    }

    /// Waits, bounded, until the traffic has got that many ends.
    fn until(traffic: &Traffic, enough: impl Fn(&Outcome) -> bool) {
        let (_keep, nobody) = std::sync::mpsc::channel::<()>();
        for _ in 0..2000 {
            if enough(&traffic.counts()) {
                return;
            }
            let _ = nobody.recv_timeout(Duration::from_millis(5));
        }
        panic!("not within ten seconds: {:?}", traffic.counts());
    }

    #[test]
    fn a_healthy_app_handles_every_event() {
        let legacy = Legacy::start().unwrap();
        let mix = Mix { refused: Percent::whole(10), ..Mix::default() };
        let traffic = traffic_to(&legacy, mix);
        until(&traffic, |counts| counts.answered >= 100);
        let report = traffic.stop(legacy.handled(), Duration::ZERO);
        assert_eq!(report.lost(), 0, "{report:?}");
        assert_eq!((report.wrong_status, report.dropped, report.repeated), (0, 0, 0));
        assert_eq!(report.answered, report.sent);
        assert!(report.acknowledged > 50, "{report:?}");
        assert_eq!(report.acknowledged, legacy.handled().events() as u64);
    }

    #[test]
    fn injected_errors_are_seen_and_are_not_losses() {
        let legacy = Legacy::start().unwrap();
        legacy.inject(Faults { errors: Percent::whole(20), ..Faults::default() });
        let traffic = traffic_to(&legacy, Mix::default());
        until(&traffic, |counts| counts.answered >= 100);
        let report = traffic.stop(legacy.handled(), Duration::ZERO);
        let share = report.wrong_status * 100 / report.answered;
        assert!((19..=20).contains(&share), "{report:?}");
        assert_eq!(report.lost(), 0);
    }

    #[test]
    fn a_refused_connection_is_a_loss_and_ends_when_the_fault_does() {
        let legacy = Legacy::start().unwrap();
        let traffic = traffic_to(&legacy, Mix::default());
        until(&traffic, |counts| counts.answered >= 10);
        legacy.inject(Faults { refuse: true, ..Faults::default() });
        until(&traffic, |counts| counts.failures.contains_key(&FailureKind::Refused));
        legacy.inject(Faults::default());
        let before = traffic.counts().answered;
        until(&traffic, |counts| counts.answered >= before + 10);
        let report = traffic.stop(legacy.handled(), Duration::ZERO);
        assert!(report.lost() > 0, "{report:?}");
        assert_eq!(report.unhandled, Vec::<String>::new());
    }

    #[test]
    fn an_event_acknowledged_by_somebody_else_is_lost() {
        let (asked, other) = (Legacy::start().unwrap(), Legacy::start().unwrap());
        let beside = asked.start_beside().unwrap();
        let traffic = traffic_to(&asked, Mix::default());
        until(&traffic, |counts| counts.answered >= 20);
        let report = traffic.stop(other.handled(), Duration::ZERO);
        assert_eq!(report.lost(), report.acknowledged);
        assert!(report.lost() > 0);
        assert_eq!(beside.handled().events() as u64, report.acknowledged);
    }
}
