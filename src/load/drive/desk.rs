//! Which connection takes the next request.
//!
//! A connection that is free takes what is due; where nothing is, it waits in a queue, and the
//! pacer hands it the next request when its time comes. What is due and finds no connection waits
//! in the schedule itself, so a service that stalls for an hour costs no memory here.

use std::collections::VecDeque;
use std::task::{Poll, Waker};
use std::time::Duration;

/// Where the next due time comes from.
pub(super) trait Dues {
    /// When this thread's k-th request is due, after the start.
    fn due(&self, k: u64) -> Option<Duration>;
}

/// The desk of one thread.
pub(super) struct Desk<D> {
    dues: D,
    /// The first request that nobody has taken.
    next: u64,
    /// When it is due; kept, because a ramp's roots cost something.
    next_due: Option<Duration>,
    slots: Vec<Slot>,
    /// The one that waits longest comes first, so that all connections are used.
    free: VecDeque<usize>,
    over: bool,
}

#[derive(Default)]
struct Slot {
    given: Option<Duration>,
    waits: Option<Waker>,
}

/// When the pacer looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// All is over.
    Never,
    /// When a connection waits for something to be due.
    WhenFree,
    At(Duration),
}

/// A request to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// When it was due, after the start.
    pub(super) due: Duration,
    /// Whether it had to wait for a connection.
    pub(super) waited: bool,
}

impl<D: Dues> Desk<D> {
    pub(super) fn new(dues: D, connections: usize) -> Self {
        let next_due = dues.due(0);
        let slots = std::iter::repeat_with(Slot::default).take(connections).collect();
        Self { dues, next: 0, next_due, slots, free: VecDeque::new(), over: false }
    }

    /// The next request for connection `id`; `None` when there are no more.
    pub(super) fn take(&mut self, id: usize, now: Duration, waker: &Waker) -> Poll<Option<Job>> {
        if let Some(due) = self.slots[id].given.take() {
            return Poll::Ready(Some(Job { due, waited: false }));
        }
        if self.over {
            return Poll::Ready(None);
        }
        let Some(due) = self.next_due else { return Poll::Ready(None) };
        if due <= now {
            self.advance();
            return Poll::Ready(Some(Job { due, waited: true }));
        }
        if self.slots[id].waits.is_none() {
            self.free.push_back(id);
        }
        self.slots[id].waits = Some(waker.clone());
        Poll::Pending
    }

    /// Hands out what is due; gives each one's lateness to `late`.
    pub(super) fn hand_out(&mut self, now: Duration, mut late: impl FnMut(Duration)) {
        while let Some(due) = self.next_due.filter(|due| *due <= now && !self.over) {
            let Some(id) = self.free.pop_front() else { break };
            self.advance();
            late(now.saturating_sub(due));
            self.slots[id].given = Some(due);
            if let Some(waker) = self.slots[id].waits.take() {
                waker.wake();
            }
        }
        if self.next_due.is_none() {
            self.end();
        }
    }

    /// When the pacer has something to do.
    pub(super) fn wake(&self) -> Wake {
        match self.next_due.filter(|_| !self.over) {
            None => Wake::Never,
            Some(_) if self.free.is_empty() => Wake::WhenFree,
            Some(due) => Wake::At(due),
        }
    }

    /// Nothing more is sent.
    pub(super) fn end(&mut self) {
        self.over = true;
        for slot in &mut self.slots {
            if let Some(waker) = slot.waits.take() {
                waker.wake();
            }
        }
    }

    fn advance(&mut self) {
        self.next += 1;
        self.next_due = self.dues.due(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Due at 0, 1, 2 ... seconds.
    struct Seconds(u64);

    impl Dues for Seconds {
        fn due(&self, k: u64) -> Option<Duration> {
            (k < self.0).then(|| Duration::from_secs(k))
        }
    }

    fn job(due: u64, waited: bool) -> Poll<Option<Job>> {
        Poll::Ready(Some(Job { due: Duration::from_secs(due), waited }))
    }

    #[test]
    fn what_is_due_is_taken_once_and_keeps_its_time() {
        let (mut desk, waker, at) = (Desk::new(Seconds(5), 2), Waker::noop(), Duration::from_secs);
        assert_eq!(desk.take(0, at(2), waker), job(0, true), "a backlog is taken in order");
        assert_eq!(desk.take(1, at(2), waker), job(1, true));
        assert_eq!(desk.take(0, at(2), waker), job(2, true));
        assert_eq!(desk.wake(), Wake::WhenFree);
        assert_eq!(desk.take(1, at(2), waker), Poll::Pending);
        assert_eq!(desk.wake(), Wake::At(at(3)));
        let mut late = Vec::new();
        desk.hand_out(at(4), |by| late.push(by));
        assert_eq!(late, [at(1)], "one is free, so one is handed out");
        assert_eq!(desk.take(1, at(4), waker), job(3, false));
        assert_eq!(desk.take(1, at(4), waker), job(4, true));
        assert_eq!(desk.take(1, at(4), waker), Poll::Ready(None));
        assert_eq!(desk.wake(), Wake::Never);
    }

    #[test]
    fn the_end_reaches_those_who_wait() {
        let (mut desk, waker) = (Desk::new(Seconds(5), 1), Waker::noop());
        assert_eq!(desk.take(0, Duration::ZERO, waker), job(0, true));
        assert_eq!(desk.take(0, Duration::ZERO, waker), Poll::Pending);
        desk.end();
        assert_eq!(desk.take(0, Duration::from_secs(9), waker), Poll::Ready(None));
    }
}
