//! Waits for sockets and for a moment, whichever comes first.
//!
//! An epoll of its own for each thread. Sockets are registered once and told of by edge, so that a
//! request costs no call to the system besides its own write and read. The runtime's timers count
//! whole milliseconds, and on loopback a request that leaves a millisecond late is charged with
//! more than it took: what is due wakes the same epoll through a timer descriptor.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// The most sockets that are told of at once: what is due meanwhile waits for all of them.
const AT_ONCE: usize = 64;
/// What the timer is told of as.
const TIMER: u64 = u64::MAX;

/// The sockets of one thread.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
}

/// What has happened, by the number that its socket was registered with.
pub(super) struct Events(Vec<epoll::Event>);

/// What happened to a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// Nothing comes after what can be read now.
    pub(super) ended: bool,
}

impl Events {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(AT_ONCE))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Edge)> + '_ {
        self.0.iter().filter(|event| event.data.u64() != TIMER).filter_map(|event| {
            let (flags, id) = (event.flags, event.data.u64());
            let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            let edge = Edge {
                readable: ended || flags.contains(EventFlags::IN),
                writable: ended || flags.contains(EventFlags::OUT),
                ended,
            };
            Some((usize::try_from(id).ok()?, edge))
        })
    }
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
        Ok(Self { epoll, timer })
    }

    /// Tells of a socket from now on, until it is closed.
    pub(super) fn add(&self, stream: &TcpStream, id: usize) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, stream, EventData::new_u64(id as u64), flags)?)
    }

    /// Waits until something happens, until `due` is over, or `at_most` so long; `at_most` counts
    /// whole milliseconds, `due` is kept to the microsecond.
    pub(super) fn wait(
        &self,
        events: &mut Events,
        due: Option<Duration>,
        at_most: Duration,
    ) -> io::Result<()> {
        if let Some(due) = due.filter(|due| *due < at_most) {
            // Under load something has happened already, and the timer need not be set.
            self.look(events, Duration::ZERO)?;
            if !events.0.is_empty() || due.is_zero() {
                return Ok(());
            }
            let it_value = timespec(due);
            let it_interval = timespec(Duration::ZERO);
            let value = Itimerspec { it_interval, it_value };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value)?;
        }
        self.look(events, at_most)
    }

    fn look(&self, events: &mut Events, at_most: Duration) -> io::Result<()> {
        events.0.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut events.0), Some(&timespec(at_most))) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    let tv_sec = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec, tv_nsec: duration.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn it_wakes_when_something_is_due_and_never_before() {
        let (poller, mut events) = (Poller::new().unwrap(), Events::new());
        for us in [1, 300, 2500] {
            let due = Instant::now() + Duration::from_micros(us);
            poller.wait(&mut events, Some(Duration::from_micros(us)), Duration::MAX).unwrap();
            assert!(Instant::now() >= due, "{us}");
            assert_eq!(events.iter().count(), 0, "a moment is no socket");
        }
        poller.wait(&mut events, None, Duration::from_millis(1)).unwrap();
        assert_eq!(events.iter().count(), 0);
    }

    #[test]
    fn what_happens_to_a_socket_is_told_once() {
        let (poller, mut events) = (Poller::new().unwrap(), Events::new());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        poller.add(&stream, 7).unwrap();
        let mut told = || {
            poller.wait(&mut events, None, Duration::from_millis(20)).unwrap();
            events.iter().collect::<Vec<_>>()
        };
        let quiet = Edge { readable: false, writable: true, ended: false };
        assert_eq!(told(), [(7, quiet)], "one can write");
        assert_eq!(told(), [], "as before");
        drop(listener.accept().unwrap());
        let [(7, Edge { readable: true, ended: true, .. })] = told()[..] else {
            panic!("the end is told of");
        };
    }
}
