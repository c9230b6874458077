//! Threads of load, each with its own runtime, connections, share of the schedule and tally.
//!
//! Nothing is shared on the way of a request but the thread's own tally, whose lock is free unless
//! somebody looks at it, a few times a second.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::desk::{Desk, Dues, Job, Wake};
use super::link::Link;
use super::schedule::Schedule;
use super::tally::Tally;
use super::wire;
use crate::load::counters::FailureKind;
use crate::load::pacer::Pacer;
use crate::load::source::{Outgoing, Source};

/// How long a closed loop waits after a connection that could not be made: nobody is helped by a
/// million refusals a second.
const BREATH: Duration = Duration::from_millis(20);
/// How often who watches is told.
const TICK: Duration = Duration::from_secs(1);

/// When requests leave.
#[derive(Clone, Debug)]
pub enum Pace {
    /// When they are due, whatever the service does.
    Open(Schedule),
    /// On each connection when its last one is answered.
    Closed {
        lasts: Duration,
        requests: Option<u64>,
        /// Corrects for what was not sent meanwhile.
        interval: Option<Duration>,
    },
}

/// What is sent.
pub enum Supply {
    /// The same request, again and again; every answer below 400 is right.
    Same(Outgoing),
    /// Requests of a source for each thread; right is the answer that each of them expects.
    Each(Box<dyn Fn() -> Box<dyn Source> + Send + Sync>),
}

impl std::fmt::Debug for Supply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Same(_) => "Same",
            Self::Each(_) => "Each",
        })
    }
}

/// Load to apply.
pub struct Drive {
    pub addresses: Vec<SocketAddr>,
    /// `Host` of requests that bring none.
    pub authority: String,
    pub pace: Pace,
    pub supply: Supply,
    pub connections: usize,
    pub threads: usize,
    /// How long a request may take from when it leaves; and may wait to leave.
    pub timeout: Duration,
}

impl std::fmt::Debug for Drive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = f.debug_struct("Drive");
        text.field("addresses", &self.addresses).field("pace", &self.pace).finish_non_exhaustive()
    }
}

/// Every `step`-th request of a schedule, from the `first`.
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

/// How a thread knows what to send next.
enum Turn {
    Open { desk: Mutex<Desk<Share>>, free: Notify },
    Closed { until: Duration, left: AtomicU64, interval: Option<Duration> },
}

/// What the connections of one thread share.
struct Thread {
    start: Instant,
    timeout: Duration,
    turn: Turn,
    same: Option<Same>,
    source: Mutex<Option<Box<dyn Source>>>,
    authority: String,
    tally: Arc<Mutex<Tally>>,
}

struct Same {
    bytes: Vec<u8>,
    head_only: bool,
}

/// Applies load until it is over or `stop` says true, and tells `on_tick` of it every second.
///
/// # Errors
/// When a runtime cannot be started.
pub async fn apply(
    drive: Drive,
    stop: watch::Receiver<bool>,
    mut on_tick: impl FnMut(Duration, &Tally),
) -> std::io::Result<Tally> {
    let threads = drive.threads.clamp(1, drive.connections.max(1));
    let addresses: Arc<[SocketAddr]> = drive.addresses.clone().into();
    let start = Instant::now();
    let (mut tallies, mut ended) = (Vec::new(), JoinSet::new());
    for index in 0..threads {
        let tally = Arc::new(Mutex::new(Tally::default()));
        tallies.push(Arc::clone(&tally));
        let connections = share(drive.connections as u64, index, threads);
        let thread = Arc::new(Thread::new(&drive, index, threads, connections, start, tally));
        let (addresses, stop) = (Arc::clone(&addresses), stop.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        ended.spawn_blocking(move || {
            runtime.block_on(thread.run(
                addresses,
                usize::try_from(connections).unwrap_or(1),
                stop,
            ));
        });
    }
    let sum = || {
        let mut sum = Tally::default();
        for tally in &tallies {
            sum.add(&lock(tally));
        }
        sum
    };
    let mut tick = tokio::time::interval_at(start + TICK, TICK);
    loop {
        tokio::select! {
            biased;
            thread = ended.join_next() => match thread {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(std::io::Error::other(error)),
                None => return Ok(sum()),
            },
            _ = tick.tick() => on_tick(start.elapsed(), &sum()),
        }
    }
}

/// The part of `whole` that is thread `index`'s.
fn share(whole: u64, index: usize, threads: usize) -> u64 {
    let (index, threads) = (index as u64, threads as u64);
    whole / threads + u64::from(index < whole % threads)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds the lock")
}

/// Seconds of processor time that this thread has used.
#[expect(clippy::cast_precision_loss, reason = "seconds of a thread")]
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

impl Thread {
    fn new(
        drive: &Drive,
        index: usize,
        threads: usize,
        connections: u64,
        start: Instant,
        tally: Arc<Mutex<Tally>>,
    ) -> Self {
        let turn = match &drive.pace {
            Pace::Open(schedule) => {
                let schedule = schedule.clone();
                let dues = Share { schedule, first: index as u64, step: threads as u64 };
                let desk = Desk::new(dues, usize::try_from(connections).unwrap_or(1));
                Turn::Open { desk: Mutex::new(desk), free: Notify::new() }
            }
            Pace::Closed { lasts, requests, interval } => Turn::Closed {
                until: *lasts,
                left: AtomicU64::new(requests.map_or(u64::MAX, |all| share(all, index, threads))),
                interval: *interval,
            },
        };
        let (same, source) = match &drive.supply {
            Supply::Same(outgoing) => {
                let bytes = wire::request(&drive.authority, outgoing);
                (Some(Same { bytes, head_only: outgoing.method == hyper::Method::HEAD }), None)
            }
            Supply::Each(make) => (None, Some(make())),
        };
        Self {
            start,
            timeout: drive.timeout,
            turn,
            same,
            source: Mutex::new(source),
            authority: drive.authority.clone(),
            tally,
        }
    }

    async fn run(
        self: Arc<Self>,
        addresses: Arc<[SocketAddr]>,
        connections: usize,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut links = JoinSet::new();
        for id in 0..connections {
            let link = Link::new(Arc::clone(&addresses));
            links.spawn(Arc::clone(&self).work(link, id));
        }
        let pacer = tokio::spawn(Arc::clone(&self).pace());
        let all = async { while links.join_next().await.is_some() {} };
        tokio::select! {
            () = all => {}
            _ = stop.wait_for(|stopped| *stopped) => {}
        }
        pacer.abort();
        // After a stop, what is in flight ends with its task.
        links.shutdown().await;
        let life = self.start.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        lock(&self.tally).busy = processor_time() / life;
    }

    /// Hands requests to free connections when they are due.
    async fn pace(self: Arc<Self>) {
        let Turn::Open { desk, free } = &self.turn else { return };
        let pacer = Pacer::new();
        loop {
            let wake = lock(desk).wake();
            match wake {
                Wake::Never => break,
                Wake::WhenFree => free.notified().await,
                Wake::At(due) => {
                    pacer.until(self.start + due).await;
                    let now = self.start.elapsed();
                    lock(desk).hand_out(now, |late| lock(&self.tally).late(late));
                }
            }
        }
        lock(desk).end();
    }

    /// One connection: request after request, until there are no more.
    async fn work(self: Arc<Self>, mut link: Link, id: usize) {
        while let Some(job) = self.take(id).await {
            let due = self.start + job.due;
            let began = Instant::now();
            let interval = match self.turn {
                Turn::Open { .. } => None,
                Turn::Closed { interval, .. } => interval,
            };
            if began.saturating_duration_since(due) > self.timeout {
                lock(&self.tally).unsent(began - due);
                // A long backlog is passed over in one go otherwise.
                tokio::task::yield_now().await;
                continue;
            }
            {
                let mut tally = lock(&self.tally);
                tally.sent += 1;
                tally.waited += u64::from(job.waited);
                tally.last_sent = began - self.start;
            }
            let deadline = began + self.timeout;
            let (result, expect) = match &self.same {
                Some(same) => (link.exchange(&same.bytes, same.head_only, deadline).await, None),
                None => self.each(&mut link, deadline).await,
            };
            let took = Instant::now().saturating_duration_since(due);
            let failed = match result {
                Ok(status) => {
                    let right = expect.map_or(status < 400, |expect| status == expect);
                    lock(&self.tally).answer(status, right, took, interval);
                    false
                }
                Err(kind) => {
                    lock(&self.tally).failure(kind, took, interval);
                    kind != FailureKind::AnswerTimeout
                }
            };
            if failed && matches!(self.turn, Turn::Closed { .. }) {
                sleep(BREATH).await;
            }
        }
    }

    async fn each(
        &self,
        link: &mut Link,
        deadline: Instant,
    ) -> (Result<u16, FailureKind>, Option<u16>) {
        let Some(outgoing) = lock(&self.source).as_mut().map(|source| source.next()) else {
            return (Err(FailureKind::Other), None);
        };
        let bytes = wire::request(&self.authority, &outgoing);
        let head_only = outgoing.method == hyper::Method::HEAD;
        (link.exchange(&bytes, head_only, deadline).await, Some(outgoing.expect))
    }

    async fn take(&self, id: usize) -> Option<Job> {
        match &self.turn {
            Turn::Open { desk, free } => {
                poll_fn(|cx| {
                    let taken = lock(desk).take(id, self.start.elapsed(), cx.waker());
                    if taken.is_pending() {
                        free.notify_one();
                    }
                    taken
                })
                .await
            }
            Turn::Closed { until, left, .. } => {
                // One request at a time on this thread, so nobody is in between.
                let (now, more) = (self.start.elapsed(), left.load(Ordering::Relaxed));
                if now >= *until || more == 0 {
                    return None;
                }
                left.store(more - 1, Ordering::Relaxed);
                poll_fn(|_| Poll::Ready(Some(Job { due: now, waited: false }))).await
            }
        }
    }
}
