//! The replicas of one version of an extension, and how often they have failed.
//!
//! Law: replicas that end while the version rests from a failure are part of that failure. So
//! what all of them die of counts once for each time that they are started, however many there
//! are.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backoff;
use super::keeper::Wanted;
use super::replica::{Handle, Job, Launch};
use crate::ids::random_hex;

/// Replicas of one version.
pub(super) struct Generation {
    pub(super) launch: Arc<Launch>,
    pub(super) members: Vec<Member>,
    /// In a row.
    pub(super) failures: u32,
    /// When the next start may be tried; none while it need not rest.
    pub(super) retry: Option<Instant>,
    /// The last failure.
    pub(super) why: String,
    pub(super) given_up: bool,
    /// Replicas that are to be replaced, one after the other.
    pub(super) renewing: VecDeque<u64>,
}

/// A replica that was started and has not ended.
pub(super) struct Member {
    pub(super) replica: u64,
    pub(super) handle: Handle,
    pub(super) open: bool,
    pub(super) since: Instant,
}

impl Generation {
    pub(super) fn new(launch: Launch) -> Self {
        Self {
            launch: Arc::new(launch),
            members: Vec::new(),
            failures: 0,
            retry: None,
            why: String::new(),
            given_up: false,
            renewing: VecDeque::new(),
        }
    }

    /// How many of them are alive.
    pub(super) fn open(&self) -> usize {
        self.members.iter().filter(|member| member.open).count()
    }

    /// Whether it is what is wanted; how many of it is another matter.
    pub(super) fn is(&self, wanted: &Wanted) -> bool {
        is_same(&self.launch, wanted)
    }

    /// Notes that a replica is alive; gives the way to it.
    pub(super) fn mark_open(&mut self, replica: u64) -> Option<mpsc::UnboundedSender<Job>> {
        let member = self.members.iter_mut().find(|member| member.replica == replica)?;
        member.open = true;
        // It was given up while this one was on its way.
        self.given_up = false;
        Some(member.handle.jobs.clone())
    }

    /// Takes a replica out of it.
    pub(super) fn take(&mut self, replica: u64) -> Option<Member> {
        let at = self.members.iter().position(|member| member.replica == replica)?;
        Some(self.members.remove(at))
    }

    /// Removes a replica that is no good any more, and counts that as a failure; after `give_up`
    /// in a row it is given up, unless some of it still serve.
    pub(super) fn fail(&mut self, replica: u64, why: String, give_up: u32) -> Option<Member> {
        let member = self.take(replica)?;
        self.renewing.retain(|old| *old != replica);
        self.why = why;
        if self.retry.is_none() && !self.given_up {
            self.failures = backoff::count(self.failures, member.since.elapsed());
            self.retry = Some(Instant::now() + backoff::pause(self.failures, chance()));
        }
        if self.failures >= give_up {
            self.renewing.clear();
            if self.open() == 0 {
                (self.given_up, self.retry) = (true, None);
            }
        }
        Some(member)
    }

    /// Forgets its failures: somebody wants it to be tried once more.
    pub(super) fn forgive(&mut self) {
        (self.failures, self.given_up, self.retry) = (0, false, None);
    }
}

/// Whether a program is what is wanted; how many of it is another matter.
pub(super) fn is_same(launch: &Launch, wanted: &Wanted) -> bool {
    let running = &launch.process;
    let mut process = wanted.process.clone();
    process.replicas = running.replicas;
    (process.limits.queue, process.limits.wait) = (running.limits.queue, running.limits.wait);
    launch.version == wanted.version && *running == process
}

/// A number in 0..1, at random.
fn chance() -> f64 {
    let dice = u32::from_str_radix(&random_hex::<4>(), 16).expect("eight hex digits");
    f64::from(dice) / (f64::from(u32::MAX) + 1.0)
}
