//! Who may come in: how many connections there are, and how many of them from one address.
//!
//! The law: one address cannot take the places of all others. What is shared between the workers
//! is a count for each address that is not trusted; a connection from the machine itself, or from
//! a listed proxy, costs two additions.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::control::config::Limits;

/// The connections of all workers.
#[derive(Debug, Default)]
pub struct Doors {
    addresses: Mutex<HashMap<IpAddr, u32>>,
    open: AtomicU64,
    refused: AtomicU64,
    shed: AtomicU64,
}

/// A connection that was let in. Dropping it gives its place back.
#[derive(Debug)]
pub(super) struct Entry {
    doors: Arc<Doors>,
    /// Its address, where that is counted.
    address: Option<IpAddr>,
}

impl Doors {
    /// Lets a connection in, unless its address has as many as it may.
    pub(super) fn enter(doors: &Arc<Self>, limits: &Limits, address: IpAddr) -> Option<Entry> {
        let address = address.to_canonical();
        let counted = (!limits.trusts(address)).then_some(address);
        if let Some(address) = counted {
            let mut addresses = doors.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let count = addresses.entry(address).or_insert(0);
            if *count >= limits.connections_per_address {
                doors.refused.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            *count += 1;
        }
        doors.open.fetch_add(1, Ordering::Relaxed);
        Some(Entry { doors: Arc::clone(doors), address: counted })
    }

    /// A connection that rested was ended, to make room.
    pub(super) fn shed(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections now.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections that were closed at once, because their address had too many.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Connections that rested, and were ended to make room for others.
    pub fn made_room(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.doors.open.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut addresses = self.doors.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_places_and_gives_them_back() {
        let doors = Arc::new(Doors::default());
        let limits = Limits { connections_per_address: 2, ..Limits::default() };
        let enter = |address: &str| Doors::enter(&doors, &limits, address.parse().unwrap());
        let first = enter("192.0.2.1");
        let second = enter("::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(enter("192.0.2.1").is_none(), "it has two");
        assert!(enter("192.0.2.2").is_some(), "another address has places of its own");
        drop(first);
        let again = enter("192.0.2.1");
        assert!(again.is_some());
        let own: Vec<_> = (0..10).map(|_| enter("127.0.0.1")).collect();
        assert!(own.iter().all(Option::is_some), "the machine itself is trusted");
        assert_eq!((doors.open(), doors.refused()), (12, 1));
        drop((second, again, own));
        assert_eq!(doors.open(), 0);
        assert!(doors.addresses.lock().unwrap().is_empty(), "nothing is remembered of them");
    }
}
