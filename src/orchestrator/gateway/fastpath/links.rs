//! Idle connections to upstreams, as bare sockets, one set for each gateway worker.
//!
//! The law is that of the [`pool`](crate::orchestrator::pool): an idle connection is not used when
//! it is too old, of another pool generation, or when the upstream has hung up or said something
//! that nobody asked for, which the kernel is asked about at the moment of use. Last in, first
//! out: a quiet service shrinks to the few connections it needs.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::control::config;
use crate::orchestrator::pool::Address;

/// The idle connections of a worker.
#[derive(Debug, Default)]
pub(in super::super) struct Links {
    generation: u64,
    max_idle: usize,
    idle_timeout: Duration,
    /// Oldest first.
    idle: HashMap<Address, Vec<(TcpStream, Instant)>>,
}

impl Links {
    /// Takes over the configuration's limits. A new generation drops every idle connection.
    pub(super) fn configure(&mut self, config: &config::Pool, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            self.idle.clear();
        }
        self.max_idle = usize::try_from(config.max_idle).unwrap_or(usize::MAX);
        self.idle_timeout = config.idle_timeout;
    }

    /// The connection that was used last and can still be.
    pub(super) fn take(&mut self, address: &Address) -> Option<TcpStream> {
        let idle = self.idle.get_mut(address)?;
        while let Some((stream, since)) = idle.pop() {
            if since.elapsed() < self.idle_timeout && is_quiet(&stream) {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection that has answered and owes nothing.
    pub(super) fn keep(&mut self, address: &Address, stream: TcpStream) {
        let idle = match self.idle.get_mut(address) {
            Some(idle) => idle,
            None => self.idle.entry(address.clone()).or_default(),
        };
        if idle.len() >= self.max_idle {
            idle.remove(0);
        }
        if self.max_idle > 0 {
            idle.push((stream, Instant::now()));
        }
    }

    /// Closes connections that have been idle for too long.
    pub(in super::super) fn sweep(&mut self) {
        let timeout = self.idle_timeout;
        self.idle.retain(|_, idle| {
            idle.retain(|(stream, since)| since.elapsed() < timeout && is_quiet(stream));
            !idle.is_empty()
        });
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
