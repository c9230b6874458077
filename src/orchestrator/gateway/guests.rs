//! The connections of one listener's thread, and which of them ends when there is no room.
//!
//! The law: who comes when all places are taken gets that of whoever has rested longest; a request
//! that is being answered is never ended for another. Where everybody is busy, who comes waits in
//! the kernel's backlog.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::patience::Patience;

/// How often it is looked whether somebody rests by now.
const LOOK: Duration = Duration::from_millis(50);

/// Connections that have not ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guests(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: Cell<u64>,
    present: RefCell<BTreeMap<u64, Patience>>,
    /// Told whenever one ends.
    ended: Notify,
}

/// A connection's place. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    guests: Guests,
    number: u64,
}

impl Guests {
    pub(crate) fn count(&self) -> usize {
        self.0.present.borrow().len()
    }

    /// Takes a place for a connection.
    pub(crate) fn enter(&self, patience: &Patience) -> Place {
        let number = self.0.next.get();
        self.0.next.set(number + 1);
        self.0.present.borrow_mut().insert(number, patience.clone());
        Place { guests: self.clone(), number }
    }

    /// Waits until a connection has ended since this was last asked.
    pub(crate) async fn ended(&self) {
        self.0.ended.notified().await;
    }

    /// Waits until one of `places` is free, or could be. Cancel safe.
    pub(crate) async fn room(&self, places: usize) {
        let rests = || self.0.present.borrow().values().any(|one| one.resting_since().is_some());
        while self.count() >= places && !rests() {
            let _ = timeout(LOOK, self.ended()).await;
        }
    }

    /// Ends the connection that has rested longest, where one does. It is gone a moment later.
    pub(crate) fn dismiss_oldest(&self) -> bool {
        let present = self.0.present.borrow();
        let oldest = present.values().filter_map(|guest| Some((guest.resting_since()?, guest)));
        match oldest.min_by_key(|(since, _)| *since) {
            Some((_, guest)) => {
                guest.dismiss();
                true
            }
            None => false,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.guests.0.present.borrow_mut().remove(&self.number);
        self.guests.0.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_rested_longest_makes_room_and_who_is_answered_never_does() {
        let guests = Guests::default();
        let all: Vec<_> = (0..3).map(|_| Patience::new()).collect();
        let places: Vec<_> = all.iter().map(|patience| guests.enter(patience)).collect();
        assert!(!guests.dismiss_oldest(), "they have only just come");
        for patience in [&all[1], &all[0], &all[2]] {
            patience.answering();
            tokio::time::advance(Duration::from_millis(10)).await;
            patience.rest();
        }
        all[1].answering();
        let over = |n: usize| {
            let patience = all[n].clone();
            async move {
                tokio::time::timeout(Duration::from_millis(1), patience.run_out()).await.is_ok()
            }
        };
        assert!(guests.dismiss_oldest());
        assert_eq!((over(0).await, over(1).await, over(2).await), (true, false, false));
        assert!(guests.dismiss_oldest());
        assert!(over(2).await);
        assert!(!guests.dismiss_oldest(), "the last one is being answered");
        assert_eq!(guests.count(), 3);
        drop(places);
        assert_eq!(guests.count(), 0);
    }
}
