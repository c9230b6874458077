//! Which connection takes the next request.
//!
//! A connection that is free waits in a queue and is handed the next request when its time comes.
//! What is due and finds no connection waits in the schedule itself, so a service that stalls for
//! an hour costs no memory here; the next connection that is free takes it.

use std::collections::VecDeque;
use std::time::Duration;

/// Where the next due time comes from.
pub(super) trait Dues {
    /// When this thread's k-th request is due, after the start.
    fn due(&self, k: u64) -> Option<Duration>;
}

/// The desk of one thread.
#[derive(Debug)]
pub(super) struct Desk<D> {
    dues: D,
    /// The first request that nobody has taken.
    next: u64,
    /// When it is due; kept, because a ramp's roots cost something.
    next_due: Option<Duration>,
    /// The one that waits longest comes first, so that all connections are used.
    free: VecDeque<usize>,
}

/// When somebody has to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// There are no more requests.
    Never,
    /// When a connection is free.
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
    /// All of these connections are free.
    pub(super) fn new(dues: D, connections: usize) -> Self {
        let next_due = dues.due(0);
        Self { dues, next: 0, next_due, free: (0..connections).collect() }
    }

    /// What a connection that is free takes at once: a request that waited for one. Without any it
    /// waits its turn.
    pub(super) fn take(&mut self, id: usize, now: Duration) -> Option<Job> {
        if let Some(due) = self.next_due.filter(|due| *due <= now && self.free.is_empty()) {
            self.advance();
            return Some(Job { due, waited: true });
        }
        self.free.push_back(id);
        None
    }

    /// The next request that is due, and the free connection that sends it.
    pub(super) fn hand_out(&mut self, now: Duration) -> Option<(usize, Job)> {
        let due = self.next_due.filter(|due| *due <= now)?;
        let id = self.free.pop_front()?;
        self.advance();
        Some((id, Job { due, waited: false }))
    }

    pub(super) fn wake(&self) -> Wake {
        match self.next_due {
            None => Wake::Never,
            Some(_) if self.free.is_empty() => Wake::WhenFree,
            Some(due) => Wake::At(due),
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

    fn job(due: u64, waited: bool) -> Job {
        Job { due: Duration::from_secs(due), waited }
    }

    #[test]
    fn what_is_due_is_taken_once_and_keeps_its_time() {
        let (mut desk, at) = (Desk::new(Seconds(5), 0), Duration::from_secs);
        assert_eq!(desk.wake(), Wake::WhenFree);
        assert_eq!(desk.take(0, at(2)), Some(job(0, true)), "a backlog is taken in order");
        assert_eq!(desk.take(1, at(2)), Some(job(1, true)));
        assert_eq!(desk.take(0, at(2)), Some(job(2, true)));
        assert_eq!(desk.wake(), Wake::WhenFree);
        assert_eq!(desk.take(1, at(2)), None, "nothing more is due");
        assert_eq!(desk.wake(), Wake::At(at(3)));
        assert_eq!(desk.hand_out(at(2)), None);
        assert_eq!(desk.hand_out(at(4)), Some((1, job(3, false))));
        assert_eq!(desk.hand_out(at(4)), None, "nobody is free");
        assert_eq!(desk.take(1, at(4)), Some(job(4, true)));
        assert_eq!(desk.wake(), Wake::Never);
        assert_eq!(desk.take(0, at(9)), None);
    }

    #[test]
    fn who_waits_longest_is_next_and_nobody_overtakes() {
        let (mut desk, at) = (Desk::new(Seconds(3), 3), Duration::from_secs);
        assert_eq!(desk.hand_out(at(0)), Some((0, job(0, false))));
        // It is due, and was not held up by a connection: whoever is free now gets in line.
        assert_eq!(desk.take(0, at(1)), None);
        assert_eq!(desk.hand_out(at(1)), Some((1, job(1, false))));
        assert_eq!(desk.hand_out(at(2)), Some((2, job(2, false))));
    }
}
