//! How many connections are open to each upstream, over all gateway workers and both ways that a
//! request can go, and who waits for one.
//!
//! The law: an upstream never has more connections than its `max`; who waits for one gets it in
//! the order of arrival, or is told after `wait`; and nobody waits while somebody else's
//! connection is idle.
//!
//! How it works. A connection holds a [`Permit`] from before it is opened until after its socket
//! is closed. Where there are `max`, whoever wants one more queues up; a permit that is given back
//! goes to the first in the queue. Connections belong to the worker that opened them, so an idle
//! one cannot be lent to another worker: while somebody queues, what becomes idle is closed
//! instead of kept, and workers that have idle ones are told to close them. The price is a new
//! connection for each request that waited; the gain is that workers share nothing but a counter.
//!
//! Upstreams are told apart by address, as connections are: two names for one address share what
//! is counted here. Health checks are not counted.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::pool::Address;

/// The berths of all upstreams.
#[derive(Debug)]
pub struct Berths {
    all: Mutex<HashMap<Address, Arc<Berth>>>,
    /// Counts how often somebody began to queue.
    wanted: watch::Sender<u64>,
}

/// The connections of one upstream.
pub struct Berth {
    state: Mutex<State>,
    idle: AtomicU32,
    opened: AtomicU64,
    waits: AtomicU64,
    timeouts: AtomicU64,
    wanted: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    open: u32,
    /// As of the revision that was asked under last.
    max: Option<u32>,
    queue: VecDeque<oneshot::Sender<Permit>>,
}

/// The right to have a connection; ends when dropped.
#[derive(Debug)]
pub struct Permit {
    berth: Option<Arc<Berth>>,
    /// Whether the connection is counted as idle.
    idle: bool,
}

/// A connection that nobody uses, and whose permit is out of reach; ends when dropped.
#[derive(Debug)]
pub struct Idling(Arc<Berth>);

/// How an upstream's connections are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Idle or in use.
    pub open: u32,
    pub idle: u32,
    /// Since the start.
    pub opened: u64,
    pub waits: u64,
    pub timeouts: u64,
}

/// There were as many connections as there may be, for as long as one may wait.
#[derive(Debug, thiserror::Error)]
#[error("as many connections are in use as there may be")]
pub struct Full;

impl Default for Berths {
    fn default() -> Self {
        Self { all: Mutex::default(), wanted: watch::Sender::new(0) }
    }
}

impl Berths {
    /// The berth of an address, the same for everybody.
    pub fn at(&self, address: &Address) -> Arc<Berth> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let berth = all.entry(address.clone()).or_insert_with(|| {
            Arc::new(Berth {
                state: Mutex::default(),
                idle: AtomicU32::new(0),
                opened: AtomicU64::new(0),
                waits: AtomicU64::new(0),
                timeouts: AtomicU64::new(0),
                wanted: self.wanted.clone(),
            })
        });
        Arc::clone(berth)
    }

    /// Changes whenever somebody begins to queue.
    pub fn wanted(&self) -> watch::Receiver<u64> {
        self.wanted.subscribe()
    }

    /// Forgets addresses that have no connection, and are in no revision any more.
    pub fn retain(&self, known: impl Fn(&Address) -> bool) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|address, berth| known(address) || Arc::strong_count(berth) > 1);
    }
}

impl Berth {
    /// Takes the right to one more connection; waits for it where there are `max`.
    ///
    /// Safe to drop at any point: what it may have been given meanwhile goes to the next.
    ///
    /// # Errors
    /// After `wait`.
    pub async fn take(self: &Arc<Self>, max: Option<u32>, wait: Duration) -> Result<Permit, Full> {
        let mut told = {
            let mut state = self.state();
            let raised = state.max != max;
            state.max = max;
            if state.queue.is_empty() && max.is_none_or(|max| state.open < max) {
                state.open += 1;
                drop(state);
                return Ok(self.permit());
            }
            let (tell, told) = oneshot::channel();
            state.queue.push_back(tell);
            drop(state);
            if raised {
                self.grant();
            }
            told
        };
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.wanted.send_modify(|times| *times = times.wrapping_add(1));
        if let Ok(Ok(permit)) = tokio::time::timeout(wait, &mut told).await {
            return Ok(permit);
        }
        told.close();
        // It may have come just now.
        told.try_recv().map_err(|_| {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
            Full
        })
    }

    /// Takes the right to one more connection if there are fewer than `min`, and nobody queues.
    pub fn take_below(self: &Arc<Self>, min: u32) -> Option<Permit> {
        let mut state = self.state();
        if state.open >= min || !state.queue.is_empty() {
            return None;
        }
        state.open += 1;
        drop(state);
        Some(self.permit())
    }

    /// How many queue: as many idle ones are to be closed.
    pub fn wanted(&self) -> usize {
        self.state().queue.len()
    }

    /// Counts a connection as idle for as long as the result lives.
    pub fn idling(self: &Arc<Self>) -> Idling {
        self.idle.fetch_add(1, Ordering::Relaxed);
        Idling(Arc::clone(self))
    }

    /// Counts a connection that has been made.
    pub fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub fn view(&self) -> View {
        let open = self.state().open;
        View {
            open,
            // The two are not read at one instant.
            idle: self.idle.load(Ordering::Relaxed).min(open),
            opened: self.opened.load(Ordering::Relaxed),
            waits: self.waits.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
        }
    }

    fn permit(self: &Arc<Self>) -> Permit {
        Permit { berth: Some(Arc::clone(self)), idle: false }
    }

    /// Gives what is free to those who queue, the first one first.
    fn grant(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            if state.max.is_some_and(|max| state.open >= max) {
                return;
            }
            let Some(next) = state.queue.pop_front() else { return };
            state.open += 1;
            drop(state);
            if let Err(mut unheard) = next.send(self.permit()) {
                // It does not wait any more. Not dropped, which would come here again.
                unheard.berth = None;
                self.state().open -= 1;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The berth that it is for.
    pub fn berth(&self) -> &Arc<Berth> {
        self.berth.as_ref().expect("only a permit that is dropped has none")
    }

    /// Counts the connection as idle, or not any more.
    pub fn set_idle(&mut self, idle: bool) {
        if std::mem::replace(&mut self.idle, idle) != idle {
            let count = &self.berth().idle;
            if idle {
                count.fetch_add(1, Ordering::Relaxed);
            } else {
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.berth.is_some() {
            self.set_idle(false);
        }
        if let Some(berth) = self.berth.take() {
            berth.state().open -= 1;
            berth.grant();
        }
    }
}

impl Drop for Idling {
    fn drop(&mut self) {
        self.0.idle.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Berth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Berth").field("view", &self.view()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(1);

    fn berth() -> Arc<Berth> {
        let address = Address::of_url("http://127.0.0.1:8000").unwrap();
        Berths::default().at(&address)
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_never_more_than_may_be_and_who_waits_too_long_is_told() {
        let berth = berth();
        let one = berth.take(Some(2), WAIT).await.unwrap();
        let _two = berth.take(Some(2), WAIT).await.unwrap();
        let began = tokio::time::Instant::now();
        assert!(berth.take(Some(2), WAIT).await.is_err());
        assert_eq!(began.elapsed(), WAIT);
        drop(one);
        let _three = berth.take(Some(2), WAIT).await.unwrap();
        assert_eq!(began.elapsed(), WAIT, "there was room: no waiting");
        let View { open, waits, timeouts, .. } = berth.view();
        assert_eq!((open, waits, timeouts), (2, 1, 1));
    }

    #[tokio::test]
    async fn who_waits_is_served_in_the_order_of_arrival() {
        let berth = berth();
        let held = berth.take(Some(1), WAIT).await.unwrap();
        let mut waiting = Vec::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        for n in 0..5 {
            let (here, order) = (Arc::clone(&berth), Arc::clone(&order));
            waiting.push(tokio::spawn(async move {
                let permit = here.take(Some(1), WAIT).await.unwrap();
                order.lock().unwrap().push(n);
                drop(permit);
            }));
            while berth.state().queue.len() <= n {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(berth.wanted(), 5);
        drop(held);
        for waiting in waiting {
            waiting.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(berth.view().open, 0);
    }

    #[tokio::test]
    async fn what_was_given_to_one_who_left_goes_to_the_next() {
        let berth = berth();
        let held = berth.take(Some(1), WAIT).await.unwrap();
        let mut left = Box::pin(berth.take(Some(1), WAIT));
        assert!(futures_poll(&mut left).await.is_none());
        let next = tokio::spawn({
            let berth = Arc::clone(&berth);
            async move { berth.take(Some(1), WAIT).await.is_ok() }
        });
        while berth.state().queue.len() < 2 {
            tokio::task::yield_now().await;
        }
        // Given to the first, who goes away without having looked.
        drop(held);
        drop(left);
        assert!(next.await.unwrap());
        assert_eq!(berth.view().open, 0);
    }

    #[tokio::test]
    async fn a_higher_limit_lets_in_whoever_waits() {
        let berth = berth();
        let _held = berth.take(Some(1), WAIT).await.unwrap();
        let first = tokio::spawn({
            let berth = Arc::clone(&berth);
            async move { berth.take(Some(1), WAIT).await }
        });
        while berth.wanted() == 0 {
            tokio::task::yield_now().await;
        }
        let second = berth.take(Some(3), WAIT).await.unwrap();
        let first = first.await.unwrap().unwrap();
        assert_eq!(berth.view().open, 3);
        drop((first, second));
    }

    #[test]
    fn what_is_kept_open_is_counted_with_the_rest() {
        let berth = berth();
        let mut one = berth.take_below(2).unwrap();
        let _two = berth.take_below(2).unwrap();
        assert!(berth.take_below(2).is_none());
        let idling = berth.idling();
        one.set_idle(true);
        one.set_idle(true);
        assert_eq!((berth.view().open, berth.view().idle), (2, 2));
        drop((one, idling));
        assert_eq!((berth.view().open, berth.view().idle), (1, 0));
    }

    /// Polls once.
    async fn futures_poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
                std::task::Poll::Ready(value) => Some(value),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
