//! Sleep that ends on time.
//!
//! The runtime's own timer counts whole milliseconds, and a request that leaves a millisecond late
//! is charged with it: on loopback that is most of the latency. A Linux timer descriptor wakes the
//! same event loop within tens of microseconds. Where none can be had, the runtime's timer serves.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};

/// Sleeps to the microsecond.
#[derive(Debug)]
pub(super) struct Pacer(Option<AsyncFd<OwnedFd>>);

impl Pacer {
    /// Needs a runtime with I/O and time.
    pub(super) fn new() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags);
        #[expect(
            deprecated,
            reason = "unsound for types that can lose their descriptor, which an OwnedFd cannot; \
                      what replaces it needs unsafe code"
        )]
        let registered = timer.ok().and_then(|timer| AsyncFd::new(timer).ok());
        Self(registered)
    }

    /// Sleeps until `due`. Cancel safe.
    pub(super) async fn until(&self, due: Instant) {
        let done = match &self.0 {
            Some(timer) => fire(timer, due).await.is_ok(),
            None => false,
        };
        if !done {
            sleep_until(due).await;
        }
    }
}

async fn fire(timer: &AsyncFd<OwnedFd>, due: Instant) -> io::Result<()> {
    let left = due.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(());
    }
    let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
    let it_value = Timespec { tv_sec: seconds, tv_nsec: left.subsec_nanos().into() };
    let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
    // Setting it also forgets an expiry that a cancelled sleep left behind.
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
    loop {
        let mut ready = timer.readable().await?;
        let mut expiries = [0u8; 8];
        match ready.try_io(|timer| Ok(rustix::io::read(timer, &mut expiries)?)) {
            Ok(read) => return read.map(drop),
            // Readiness was stale: wait for the real one.
            Err(_would_block) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_never_wakes_early_and_a_cancelled_sleep_leaves_nothing_behind() {
        let pacer = Pacer::new();
        assert!(pacer.0.is_some());
        for us in [1, 300, 2500] {
            let due = Instant::now() + Duration::from_micros(us);
            let long = pacer.until(due + Duration::from_secs(60));
            tokio::select! {
                biased;
                () = long => panic!("a minute has not passed"),
                () = tokio::task::yield_now() => {}
            }
            pacer.until(due).await;
            assert!(Instant::now() >= due, "{us}");
        }
        pacer.until(Instant::now()).await;
    }
}
