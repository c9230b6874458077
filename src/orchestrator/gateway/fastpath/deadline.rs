//! One timer for all the deadlines of a connection, one after the other.
//!
//! To set a timer of the runtime costs more than what most requests take. So it goes off at an
//! earlier moment now and then, and is then set anew, instead of being set for each request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// The latest moment for something.
#[derive(Default)]
pub(super) struct Deadline {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(super) fn set(&mut self, at: Instant) {
        self.at = Some(at);
        if let Some(timer) = self.timer.as_mut().filter(|timer| timer.deadline() > at) {
            timer.as_mut().reset(at);
        }
    }

    /// Ready when the moment has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_timer_serves_all_deadlines() {
        let (mut deadline, began) = (Deadline::default(), Instant::now());
        let within = |seconds| Duration::from_secs(seconds);
        deadline.set(began + within(10));
        let wait = async |limit: u64, deadline: &mut Deadline| {
            tokio::time::timeout(within(limit), poll_fn(|cx| deadline.poll(cx))).await.is_ok()
        };
        assert!(!wait(5, &mut deadline).await);
        deadline.set(Instant::now() + within(10));
        assert!(!wait(9, &mut deadline).await, "the timer of the first one has gone off");
        assert!(wait(2, &mut deadline).await);
        assert_eq!(began.elapsed(), within(15));
        deadline.set(Instant::now() + within(1));
        assert!(wait(2, &mut deadline).await);
    }
}
