//! Idle connections to upstreams, as bare sockets, one set for each gateway worker.
//!
//! The law is that of the [`pool`](crate::orchestrator::pool): an idle connection is not used when
//! it is too old, of another pool generation, or when the upstream has hung up or said something
//! that nobody asked for, which the kernel is asked about at the moment of use. Last in, first
//! out: a quiet service shrinks to the few connections it needs. What is kept open for an
//! upstream's `min` rests here too, because both ways can make use of a bare socket.

use std::collections::HashMap;
use std::mem::MaybeUninit;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::orchestrator::pool::{Address, Limits, Link};

/// The idle connections of a worker.
#[derive(Debug, Default)]
pub(in super::super) struct Links {
    generation: u64,
    idle: HashMap<Address, Shelf>,
}

/// Those to one address, and the limits they were kept under last.
#[derive(Debug)]
struct Shelf {
    limits: Limits,
    /// Oldest first.
    idle: Vec<Idle>,
}

impl Shelf {
    fn new(limits: Limits) -> Self {
        Self { limits, idle: Vec::new() }
    }
}

#[derive(Debug)]
struct Idle {
    link: Link,
    since: Instant,
}

impl Links {
    /// Drops every idle connection when `generation` is a new one.
    pub(in super::super) fn configure(&mut self, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            self.idle.clear();
        }
    }

    /// The connection that was used last and can still be.
    pub(in super::super) fn take(&mut self, address: &Address, limits: &Limits) -> Option<Link> {
        let shelf = self.idle.get_mut(address)?;
        while let Some(Idle { mut link, since }) = shelf.idle.pop() {
            if since.elapsed() < limits.idle_timeout && is_quiet(&link.stream) {
                link.set_idle(false);
                return Some(link);
            }
        }
        None
    }

    /// Keeps a connection that has answered and owes nothing.
    pub(in super::super) fn keep(&mut self, address: &Address, limits: Limits, mut link: Link) {
        if limits.max_idle == 0 || (limits.max.is_some() && link.berth().wanted() > 0) {
            return;
        }
        // The address is cloned only the first time.
        let shelf = match self.idle.get_mut(address) {
            Some(shelf) => shelf,
            None => self.idle.entry(address.clone()).or_insert_with(|| Shelf::new(limits)),
        };
        shelf.limits = limits;
        if shelf.idle.len() >= limits.max_idle {
            shelf.idle.remove(0);
        }
        link.set_idle(true);
        shelf.idle.push(Idle { link, since: Instant::now() });
    }

    /// How many there are to an address.
    pub(in super::super) fn count(&self, address: &Address) -> usize {
        self.idle.get(address).map_or(0, |shelf| shelf.idle.len())
    }

    /// Closes connections that have been idle for too long.
    pub(in super::super) fn sweep(&mut self) {
        self.idle.retain(|_, Shelf { limits, idle }| {
            let timeout = limits.idle_timeout;
            idle.retain(|idle| idle.since.elapsed() < timeout && is_quiet(&idle.link.stream));
            !idle.is_empty()
        });
    }

    /// Closes connections that others wait for.
    pub(in super::super) fn give_way(&mut self) {
        for Shelf { idle, .. } in self.idle.values_mut() {
            let wanted = idle.first().map_or(0, |idle| idle.link.berth().wanted());
            idle.drain(..wanted.min(idle.len()));
        }
    }
}

/// Whether the connection is open, and carries nothing that nobody asked for.
fn is_quiet(stream: &TcpStream) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    match SockRef::from(stream).peek(&mut byte) {
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}
