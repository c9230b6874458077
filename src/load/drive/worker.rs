//! One thread of load: its connections, its share of the schedule, its tally.
//!
//! It waits for what comes first, an answer or a request that is due, and goes as far as it can
//! without waiting. Nothing is allocated on the way of a request, the clock is read once when its
//! answer is whole, and the tally's lock is free unless somebody looks at it, once a second.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hyper::Method;
use tokio::time::Instant;

use super::desk::{Desk, Dues, Job, Wake};
use super::fleet::{Drive, Pace, Supply};
use super::link::{Link, Progress, Tools};
use super::poller::{Edge, Events, Poller};
use super::schedule::Schedule;
use super::tally::Tally;
use super::wire;
use crate::load::counters::FailureKind;
use crate::load::source::Source;

/// How long a closed loop waits after a connection that could not be made: nobody is helped by a
/// million refusals a second.
const BREATH: Duration = Duration::from_millis(20);
/// How often it looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);
/// Deadlines are kept to this.
const TICK: Duration = Duration::from_millis(1);
/// Room for an answer's head, and for a piece of its body.
const BUFFER: usize = 16 * 1024;

/// Every `step`-th request of a schedule, from the `first`.
#[derive(Debug)]
struct Share {
    schedule: Schedule,
    first: u64,
    step: u64,
}

impl Dues for Share {
    fn due(&self, k: u64) -> Option<Duration> {
        self.schedule.due(k.checked_mul(self.step)?.checked_add(self.first)?)
    }
}

/// How a thread knows when to send.
#[derive(Debug)]
enum Turn {
    Open(Desk<Share>),
    Closed { until: Duration, left: u64, interval: Option<Duration> },
}

/// What a thread sends.
enum Goods {
    Same { bytes: Vec<u8>, head_only: bool },
    Each(Box<dyn Source>),
}

/// A request that is on its way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    /// From when its latency counts, after the start.
    from: Duration,
    deadline: Duration,
    /// The status that is right; without one, all below 400 are.
    expect: Option<u16>,
}

/// A thread, before and while it runs.
pub(super) struct Worker {
    start: Instant,
    timeout: Duration,
    turn: Turn,
    goods: Goods,
    authority: String,
    poller: Poller,
    links: Vec<Link>,
    /// By link.
    flights: Vec<Option<Flight>>,
    in_flight: usize,
    /// Links that wait before they try again, and until when.
    resting: VecDeque<(Duration, usize)>,
    /// No deadline is over before.
    next_deadline: Duration,
    buffer: Box<[u8]>,
    tally: Arc<Mutex<Tally>>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("turn", &self.turn).finish_non_exhaustive()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds the lock")
}

/// The part of `whole` that is thread `index`'s.
fn share(whole: u64, index: usize, threads: usize) -> u64 {
    let (index, threads) = (index as u64, threads as u64);
    whole / threads + u64::from(index < whole % threads)
}

/// Seconds of processor time that this thread has used.
#[expect(clippy::cast_precision_loss, reason = "seconds of a thread")]
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

impl Worker {
    /// Thread `index` of so many.
    ///
    /// # Errors
    /// When the system has no more descriptors.
    pub(super) fn new(
        drive: &Drive,
        (index, threads): (usize, usize),
        start: Instant,
        tally: Arc<Mutex<Tally>>,
    ) -> io::Result<Self> {
        let connections = share(drive.connections as u64, index, threads);
        let connections = usize::try_from(connections).unwrap_or(1);
        let turn = match &drive.pace {
            Pace::Open(schedule) => {
                let (first, step) = (index as u64, threads as u64);
                let share = Share { schedule: schedule.clone(), first, step };
                Turn::Open(Desk::new(share, connections))
            }
            Pace::Closed { lasts, requests, interval } => Turn::Closed {
                until: *lasts,
                left: requests.map_or(u64::MAX, |all| share(all, index, threads)),
                interval: *interval,
            },
        };
        let goods = match &drive.supply {
            Supply::Same(outgoing) => Goods::Same {
                bytes: wire::request(&drive.authority, outgoing),
                head_only: outgoing.method == Method::HEAD,
            },
            Supply::Each(make) => Goods::Each(make()),
        };
        let addresses: Arc<[SocketAddr]> = drive.addresses.clone().into();
        Ok(Self {
            start,
            timeout: drive.timeout,
            turn,
            goods,
            authority: drive.authority.clone(),
            poller: Poller::new()?,
            links: (0..connections).map(|id| Link::new(id, Arc::clone(&addresses))).collect(),
            flights: vec![None; connections],
            in_flight: 0,
            resting: VecDeque::new(),
            next_deadline: drive.timeout,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            tally,
        })
    }

    /// Applies the load until it is over, or `stop` is true. After a stop, what is in flight is
    /// given up.
    pub(super) fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        let shared = Arc::clone(&self.tally);
        let mut events = Events::new();
        if matches!(self.turn, Turn::Closed { .. }) {
            for id in 0..self.links.len() {
                let now = self.now();
                self.free(id, now, &mut lock(&shared));
            }
        }
        while !stop.load(Ordering::Relaxed) {
            let now = self.now();
            self.on_time(now, &mut lock(&shared));
            let Some((due, at_most)) = self.next_look() else { break };
            self.poller.wait(&mut events, due, at_most)?;
            let mut tally = lock(&shared);
            for (id, edge) in events.iter() {
                self.happened(id, edge, &mut tally);
            }
        }
        let life = self.now().as_secs_f64().max(f64::MIN_POSITIVE);
        lock(&shared).busy = processor_time() / life;
        Ok(())
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// When to look again: a moment that is kept to the microsecond, and the latest. `None` when
    /// all is over.
    fn next_look(&self) -> Option<(Option<Duration>, Duration)> {
        let wake = match &self.turn {
            Turn::Open(desk) => desk.wake(),
            Turn::Closed { .. } if self.resting.is_empty() => Wake::Never,
            Turn::Closed { .. } => Wake::WhenFree,
        };
        if wake == Wake::Never && self.in_flight == 0 {
            return None;
        }
        let now = self.now();
        let rested = self.resting.front().map_or(Duration::MAX, |(until, _)| *until);
        let at_most = rested.min(self.next_deadline).saturating_sub(now).clamp(TICK, LOOK);
        let due = if let Wake::At(due) = wake { Some(due.saturating_sub(now)) } else { None };
        Some((due, at_most))
    }

    /// Does what is due by now.
    fn on_time(&mut self, now: Duration, tally: &mut Tally) {
        while let Turn::Open(desk) = &mut self.turn {
            let Some((id, job)) = desk.hand_out(now) else { break };
            tally.late(now.saturating_sub(job.due));
            if !self.begin(id, job, now, tally) {
                self.free(id, now, tally);
            }
        }
        while let Some((_, id)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            self.free(id, now, tally);
        }
        if now >= self.next_deadline {
            self.expire(now, tally);
        }
    }

    /// Gives up what took too long. All requests have the same time, so none that begins later is
    /// over before the next look.
    fn expire(&mut self, now: Duration, tally: &mut Tally) {
        let mut next = now + self.timeout;
        for id in 0..self.links.len() {
            match self.flights[id] {
                Some(flight) if flight.deadline <= now => {
                    let connecting = self.links[id].is_connecting();
                    self.links[id].close();
                    let kind = if connecting {
                        FailureKind::ConnectTimeout
                    } else {
                        FailureKind::AnswerTimeout
                    };
                    self.ended(id, Err(kind), now, tally);
                }
                Some(flight) => next = next.min(flight.deadline),
                None => {}
            }
        }
        self.next_deadline = next.max(now + TICK);
    }

    /// A link has nothing to do: it takes the next request, if there is one for it.
    fn free(&mut self, id: usize, mut now: Duration, tally: &mut Tally) {
        loop {
            let job = match &mut self.turn {
                Turn::Open(desk) => desk.take(id, now),
                Turn::Closed { until, left, .. } if now < *until && *left > 0 => {
                    *left -= 1;
                    Some(Job { due: now, waited: false })
                }
                Turn::Closed { .. } => None,
            };
            let Some(job) = job else { return };
            if self.begin(id, job, now, tally) {
                return;
            }
            if matches!(self.turn, Turn::Closed { .. }) {
                self.resting.push_back((now + BREATH, id));
                return;
            }
            now = self.now();
        }
    }

    /// Begins a request on a free link; false when it is over already.
    fn begin(&mut self, id: usize, job: Job, now: Duration, tally: &mut Tally) -> bool {
        let waited = now.saturating_sub(job.due);
        if waited > self.timeout {
            tally.unsent(waited);
            return false;
        }
        tally.sent += 1;
        tally.waited += u64::from(job.waited);
        tally.last_sent = now;
        let link = &mut self.links[id];
        let mut flight = Flight { from: job.due, deadline: now + self.timeout, expect: None };
        let (same, head_only) = match &mut self.goods {
            Goods::Same { bytes, head_only } => (&**bytes, *head_only),
            Goods::Each(source) => {
                let outgoing = source.next();
                wire::write_request(&mut link.own, &self.authority, &outgoing);
                flight.expect = Some(outgoing.expect);
                if matches!(self.turn, Turn::Closed { .. }) {
                    flight.from = self.start.elapsed();
                }
                (&[][..], outgoing.method == Method::HEAD)
            }
        };
        let mut tools = Tools { poller: &self.poller, same, buffer: &mut self.buffer };
        let progress = link.begin(head_only, &mut tools);
        self.flights[id] = Some(flight);
        self.in_flight += 1;
        match progress {
            Progress::Waits => true,
            Progress::Ended(result) => {
                let now = self.now();
                self.count(id, result, now, tally);
                false
            }
        }
    }

    /// Something happened to the socket of a link.
    fn happened(&mut self, id: usize, edge: Edge, tally: &mut Tally) {
        let link = &mut self.links[id];
        let connecting = link.is_connecting();
        if connecting && matches!(self.turn, Turn::Closed { .. }) {
            // A service time is that of the request alone.
            let now = self.start.elapsed();
            self.flights[id].iter_mut().for_each(|flight| flight.from = now);
        }
        let same = if let Goods::Same { bytes, .. } = &self.goods { &**bytes } else { &[] };
        let mut tools = Tools { poller: &self.poller, same, buffer: &mut self.buffer };
        if let Progress::Ended(result) = link.go_on(edge, &mut tools) {
            let now = self.now();
            self.ended(id, result, now, tally);
        }
    }

    /// A request is over: the next one, or a breath.
    fn ended(
        &mut self,
        id: usize,
        result: Result<u16, FailureKind>,
        now: Duration,
        tally: &mut Tally,
    ) {
        self.count(id, result, now, tally);
        let failed = result.is_err_and(|kind| kind != FailureKind::AnswerTimeout);
        if failed && matches!(self.turn, Turn::Closed { .. }) {
            self.resting.push_back((now + BREATH, id));
        } else {
            self.free(id, now, tally);
        }
    }

    fn count(
        &mut self,
        id: usize,
        result: Result<u16, FailureKind>,
        now: Duration,
        tally: &mut Tally,
    ) {
        let Some(flight) = self.flights[id].take() else { return };
        self.in_flight -= 1;
        let took = now.saturating_sub(flight.from);
        let interval = if let Turn::Closed { interval, .. } = self.turn { interval } else { None };
        match result {
            Ok(status) => {
                let right = flight.expect.map_or(status < 400, |expect| status == expect);
                tally.answer(status, right, took, interval);
            }
            Err(kind) => tally.failure(kind, took, interval),
        }
    }
}
