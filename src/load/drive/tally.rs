//! What one thread has counted; those of all threads add up.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::load::counters::FailureKind;

/// Longest latency that is told apart, in microseconds.
const LONGEST_US: u64 = 600_000_000;

/// Counts and latencies.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Requests that left.
    pub sent: u64,
    /// Requests that were due, and found no connection until their timeout was over.
    pub unsent: u64,
    /// Requests that found no connection free when they were due.
    pub waited: u64,
    pub answered: u64,
    /// Answers that do not count as right.
    pub unexpected: u64,
    /// By status, 0..1000.
    statuses: Vec<u64>,
    failures: [u64; FailureKind::ALL.len()],
    /// Microseconds of all answers, and of what timed out: it took at least as long.
    latency: Histogram<u64>,
    /// Microseconds that requests left late although a connection was free: the generator's own.
    lag: Histogram<u64>,
    /// When the last request left, from the start.
    pub last_sent: Duration,
    /// Processor time of a thread by its life; of several, the largest.
    pub busy: f64,
}

impl Default for Tally {
    fn default() -> Self {
        let histogram = || Histogram::new_with_bounds(1, LONGEST_US, 3).expect("valid bounds");
        Self {
            sent: 0,
            unsent: 0,
            waited: 0,
            answered: 0,
            unexpected: 0,
            statuses: vec![0; 1000],
            failures: Default::default(),
            latency: histogram(),
            lag: histogram(),
            last_sent: Duration::ZERO,
            busy: 0.0,
        }
    }
}

fn us(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(LONGEST_US).clamp(1, LONGEST_US)
}

impl Tally {
    /// Counts an answer. With an expected interval, those that a closed loop did not send while it
    /// waited are made up for, as [`Histogram::record_correct`] has it.
    pub(super) fn answer(
        &mut self,
        status: u16,
        right: bool,
        took: Duration,
        interval: Option<Duration>,
    ) {
        self.answered += 1;
        self.unexpected += u64::from(!right);
        if let Some(count) = self.statuses.get_mut(usize::from(status)) {
            *count += 1;
        }
        self.took(took, interval);
    }

    /// Counts a request without an answer.
    pub(super) fn failure(
        &mut self,
        kind: FailureKind,
        took: Duration,
        interval: Option<Duration>,
    ) {
        self.failures[kind as usize] += 1;
        if matches!(kind, FailureKind::AnswerTimeout | FailureKind::ConnectTimeout) {
            self.took(took, interval);
        }
    }

    /// Counts a request that never left.
    pub(super) fn unsent(&mut self, waited: Duration) {
        self.unsent += 1;
        self.took(waited, None);
    }

    pub(super) fn late(&mut self, by: Duration) {
        self.lag.saturating_record(us(by));
    }

    fn took(&mut self, took: Duration, interval: Option<Duration>) {
        match interval {
            None => self.latency.saturating_record(us(took)),
            Some(interval) => self
                .latency
                .record_correct(us(took), us(interval))
                .expect("both are within the bounds"),
        }
    }

    /// Adds what another thread has counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.waited += other.waited;
        self.answered += other.answered;
        self.unexpected += other.unexpected;
        for (sum, more) in self.statuses.iter_mut().zip(&other.statuses) {
            *sum += more;
        }
        for (sum, more) in self.failures.iter_mut().zip(other.failures) {
            *sum += more;
        }
        self.latency.add(&other.latency).expect("the bounds are the same");
        self.lag.add(&other.lag).expect("the bounds are the same");
        self.last_sent = self.last_sent.max(other.last_sent);
        self.busy = self.busy.max(other.busy);
    }

    /// The latencies since an earlier look.
    pub fn latency_since(&self, before: &Self) -> Histogram<u64> {
        let mut since = self.latency.clone();
        // What was counted earlier is still counted.
        let _ = since.subtract(&before.latency);
        since
    }

    pub fn latency(&self) -> &Histogram<u64> {
        &self.latency
    }

    pub fn lag(&self) -> &Histogram<u64> {
        &self.lag
    }

    pub fn failed(&self) -> u64 {
        self.failures.iter().sum()
    }

    /// Requests that were not answered, or not rightly.
    pub fn errors(&self) -> u64 {
        self.unexpected + self.failed() + self.unsent
    }

    pub fn failures(&self) -> BTreeMap<FailureKind, u64> {
        FailureKind::ALL.into_iter().zip(self.failures).filter(|(_, n)| *n > 0).collect()
    }

    pub fn statuses(&self) -> BTreeMap<u16, u64> {
        (0..).zip(self.statuses.iter().copied()).filter(|(_, n)| *n > 0).collect()
    }
}
