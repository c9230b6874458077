//! Threads of load, and what they have counted together.
//!
//! Nothing is shared on the way of a request but the thread's own tally.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::schedule::Schedule;
use super::tally::Tally;
use super::worker::{Worker, lock};
use crate::load::source::{Outgoing, Source};

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

/// Applies load until it is over or `stop` says true, and tells `on_tick` of it every second.
///
/// # Errors
/// When the system has no more descriptors or threads.
pub async fn apply(
    drive: Drive,
    mut stop: watch::Receiver<bool>,
    mut on_tick: impl FnMut(Duration, &Tally),
) -> std::io::Result<Tally> {
    let threads = drive.threads.clamp(1, drive.connections.max(1));
    let start = Instant::now();
    let (mut tallies, mut workers) = (Vec::new(), Vec::new());
    for index in 0..threads {
        let tally = Arc::new(Mutex::new(Tally::default()));
        workers.push(Worker::new(&drive, (index, threads), start, Arc::clone(&tally))?);
        tallies.push(tally);
    }
    let stopped = Arc::new(AtomicBool::new(false));
    let mut ended = JoinSet::new();
    for worker in workers {
        let stopped = Arc::clone(&stopped);
        ended.spawn_blocking(move || worker.run(&stopped));
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
            thread = ended.join_next() => {
                let Some(thread) = thread else { return Ok(sum()) };
                if let Err(error) = thread.map_err(std::io::Error::other).flatten() {
                    stopped.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
            Ok(_) = stop.wait_for(|stop| *stop), if !stopped.load(Ordering::Relaxed) => {
                stopped.store(true, Ordering::Relaxed);
            }
            _ = tick.tick() => on_tick(start.elapsed(), &sum()),
        }
    }
}
