//! Which replica takes an event, and what waits when all of them are busy.
//!
//! The law: a replica never has more events than its limit, the least busy one comes first, what
//! waits is bounded in number and time, and first come is first served. A replica that is closed
//! gets nothing new and ends what it has.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::replica::Job;
use crate::control::config::process::Limits;

/// Where the replicas of an extension take their events.
#[derive(Debug, Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    /// Told whenever an event ends.
    left: Notify,
}

#[derive(Debug, Default)]
struct State {
    seats: Vec<Seat>,
    waiting: VecDeque<Waiting>,
    limits: Limits,
    /// Whether a first replica is on its way: then it is worth waiting for.
    expected: bool,
}

#[derive(Debug)]
struct Seat {
    replica: u64,
    jobs: mpsc::UnboundedSender<Job>,
    in_flight: u32,
    busy: u32,
    open: bool,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    tell: oneshot::Sender<Pass>,
}

/// The right to give a replica one event; ends when dropped.
#[derive(Debug)]
pub(super) struct Pass {
    desk: Arc<Desk>,
    replica: u64,
    pub(super) jobs: mpsc::UnboundedSender<Job>,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPass {
    /// No replica takes events.
    Nobody,
    /// Too many wait already, or this one has for too long.
    Busy,
}

/// How busy the replicas are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) replicas: u32,
    pub(super) busy: u32,
    pub(super) capacity: u32,
    pub(super) waiting: u32,
    pub(super) waited_ms: u64,
}

impl Desk {
    /// Waits for a replica that is free.
    pub(super) async fn enter(self: &Arc<Self>) -> Result<Pass, NoPass> {
        let (wait, turn) = {
            let mut state = self.state();
            if !state.expected && !state.is_open() {
                return Err(NoPass::Nobody);
            }
            state.forget_the_gone();
            if state.waiting.is_empty()
                && let Some(seat) = state.free()
            {
                return Ok(self.pass(seat));
            }
            if state.waiting.len() >= state.limits.queue as usize {
                return Err(NoPass::Busy);
            }
            let (tell, turn) = oneshot::channel();
            state.waiting.push_back(Waiting { since: Instant::now(), tell });
            (state.limits.wait, turn)
        };
        match tokio::time::timeout(wait, turn).await {
            Ok(Ok(pass)) => Ok(pass),
            Ok(Err(_)) => Err(NoPass::Nobody),
            Err(_) => Err(NoPass::Busy),
        }
    }

    /// Lets these replicas take events, and no others any more, from one event to the next.
    pub(super) fn switch(
        self: &Arc<Self>,
        to: Vec<(u64, mpsc::UnboundedSender<Job>)>,
        limits: &Limits,
    ) {
        {
            let mut state = self.state();
            state.limits = limits.clone();
            state.seats.iter_mut().for_each(|seat| seat.open = false);
            state.seats.retain(|seat| seat.busy > 0);
            for (replica, jobs) in to {
                let in_flight = limits.in_flight;
                state.seats.push(Seat { replica, jobs, in_flight, busy: 0, open: true });
            }
        }
        self.serve();
    }

    /// Lets one more replica take events.
    pub(super) fn open(
        self: &Arc<Self>,
        replica: u64,
        jobs: mpsc::UnboundedSender<Job>,
        limits: &Limits,
    ) {
        {
            let mut state = self.state();
            state.limits = limits.clone();
            let in_flight = limits.in_flight;
            state.seats.push(Seat { replica, jobs, in_flight, busy: 0, open: true });
        }
        self.serve();
    }

    /// Gives a replica nothing new.
    pub(super) fn close(&self, replica: u64) {
        let mut state = self.state();
        if let Some(seat) = state.seats.iter_mut().find(|seat| seat.replica == replica) {
            seat.open = false;
        }
        state.seats.retain(|seat| seat.open || seat.busy > 0);
    }

    /// How many may wait, and for how long, from now on.
    pub(super) fn limit(&self, limits: &Limits) {
        self.state().limits = limits.clone();
    }

    /// Whether a first replica is on its way. Where there is none and none is expected, nobody
    /// is left waiting.
    pub(super) fn expect(&self, expected: bool) {
        let mut state = self.state();
        state.expected = expected;
        if !expected && !state.is_open() {
            state.waiting.clear();
        }
    }

    /// Waits until a replica that is closed has nothing to do any more.
    pub(super) async fn emptied(&self, replica: u64) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Registered before the look, so that nothing is missed in between.
            left.as_mut().enable();
            if self.state().seats.iter().all(|seat| seat.replica != replica || seat.busy == 0) {
                return;
            }
            left.await;
        }
    }

    pub(super) fn usage(&self) -> Use {
        let mut state = self.state();
        state.forget_the_gone();
        let open = || state.seats.iter().filter(|seat| seat.open);
        let waited = state.waiting.front().map(|first| first.since.elapsed().as_millis());
        Use {
            replicas: open().map(|_| 1).sum(),
            busy: open().map(|seat| seat.busy).sum(),
            capacity: open().map(|seat| seat.in_flight).sum(),
            waiting: u32::try_from(state.waiting.len()).unwrap_or(u32::MAX),
            waited_ms: u64::try_from(waited.unwrap_or(0)).unwrap_or(u64::MAX),
        }
    }

    /// Hands free replicas to those who wait.
    fn serve(self: &Arc<Self>) {
        loop {
            let (pass, tell) = {
                let mut state = self.state();
                state.forget_the_gone();
                if state.waiting.is_empty() {
                    return;
                }
                let Some(seat) = state.free() else { return };
                let pass = self.pass(seat);
                let first = state.waiting.pop_front().expect("it was not empty");
                (pass, first.tell)
            };
            // Without the lock: who went away just now leaves the pass to be dropped here.
            drop(tell.send(pass));
        }
    }

    fn pass(self: &Arc<Self>, seat: &mut Seat) -> Pass {
        seat.busy += 1;
        Pass { desk: Arc::clone(self), replica: seat.replica, jobs: seat.jobs.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_open(&self) -> bool {
        self.seats.iter().any(|seat| seat.open)
    }

    /// The least busy replica, if it can take one more.
    fn free(&mut self) -> Option<&mut Seat> {
        let free = self.seats.iter_mut().filter(|seat| seat.open && seat.busy < seat.in_flight);
        free.min_by_key(|seat| seat.busy)
    }

    fn forget_the_gone(&mut self) {
        self.waiting.retain(|waiting| !waiting.tell.is_closed());
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        {
            let mut state = self.desk.state();
            if let Some(seat) = state.seats.iter_mut().find(|seat| seat.replica == self.replica) {
                seat.busy -= 1;
            }
            state.seats.retain(|seat| seat.open || seat.busy > 0);
        }
        self.desk.left.notify_waiters();
        self.desk.serve();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(in_flight: u32, queue: u32) -> Limits {
        Limits { in_flight, queue, wait: Duration::from_secs(2), ..Limits::default() }
    }

    fn jobs() -> mpsc::UnboundedSender<Job> {
        mpsc::unbounded_channel().0
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_busy_comes_first_and_the_rest_waits_in_turn() {
        let desk = Arc::new(Desk::default());
        assert_eq!(desk.enter().await.unwrap_err(), NoPass::Nobody);
        desk.switch(vec![(1, jobs()), (2, jobs())], &limits(2, 2));
        let mut inside = Vec::new();
        for _ in 0..4 {
            inside.push(desk.enter().await.unwrap());
        }
        let seats: Vec<u64> = inside.iter().map(|pass| pass.replica).collect();
        assert_eq!(seats, [1, 2, 1, 2]);
        let wait = || {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move { desk.enter().await })
        };
        let (first, second) = (wait(), wait());
        tokio::task::yield_now().await;
        assert_eq!(desk.enter().await.unwrap_err(), NoPass::Busy, "two wait already");
        assert_eq!((desk.usage().waiting, desk.usage().capacity), (2, 4));
        drop(inside.remove(1));
        assert_eq!(first.await.unwrap().unwrap().replica, 2);
        assert_eq!(second.await.unwrap().unwrap().replica, 2, "who was first has left");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_forever() {
        let desk = Arc::new(Desk::default());
        desk.switch(vec![(1, jobs())], &limits(1, 5));
        let _inside = desk.enter().await.unwrap();
        let began = Instant::now();
        assert_eq!(desk.enter().await.unwrap_err(), NoPass::Busy);
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        assert_eq!(desk.usage().waiting, 0, "who gave up is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_replica_is_waited_for_as_long_as_it_is_expected() {
        let desk = Arc::new(Desk::default());
        let wait = || {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move { desk.enter().await })
        };
        desk.limit(&limits(1, 5));
        desk.expect(true);
        let waiter = wait();
        tokio::task::yield_now().await;
        desk.expect(false);
        assert_eq!(waiter.await.unwrap().unwrap_err(), NoPass::Nobody);
        desk.expect(true);
        let waiter = wait();
        tokio::task::yield_now().await;
        desk.open(1, jobs(), &limits(1, 5));
        assert_eq!(waiter.await.unwrap().unwrap().replica, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_switch_moves_what_is_new_and_leaves_what_is_begun() {
        let desk = Arc::new(Desk::default());
        desk.switch(vec![(1, jobs())], &limits(1, 5));
        let old = desk.enter().await.unwrap();
        let waiter = tokio::spawn({
            let desk = Arc::clone(&desk);
            async move { desk.enter().await }
        });
        tokio::task::yield_now().await;
        desk.switch(vec![(2, jobs())], &limits(1, 5));
        assert_eq!(waiter.await.unwrap().unwrap().replica, 2);
        let drained = tokio::spawn({
            let desk = Arc::clone(&desk);
            async move { desk.emptied(1).await }
        });
        tokio::task::yield_now().await;
        assert!(!drained.is_finished());
        drop(old);
        drained.await.unwrap();
        assert_eq!(desk.usage().replicas, 1);
    }
}
