//! An open socket to an upstream, and how it is opened.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::{Address, Target};
use crate::control::host;
use crate::orchestrator::berths::{Berth, Berths, Full, Permit};

/// An open socket, counted for as long as it lives. The socket is closed before its place is free.
#[derive(Debug)]
pub(in super::super) struct Link {
    pub(in super::super) stream: TcpStream,
    pub(super) permit: Permit,
}

impl Link {
    /// Counts it as idle, or not any more.
    pub(in super::super) fn set_idle(&mut self, idle: bool) {
        self.permit.set_idle(idle);
    }

    /// Where it is counted.
    pub(in super::super) fn berth(&self) -> &Arc<Berth> {
        self.permit.berth()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum OpenError {
    #[error(transparent)]
    Full(#[from] Full),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Opens a socket, once there may be one more.
///
/// # Errors
/// When there may not be within the target's `wait`, nobody answers in time, or the address is
/// off limits.
pub(in super::super) async fn open(
    berths: &Berths,
    target: &Target<'_>,
) -> Result<Link, OpenError> {
    let berth = berths.at(target.address);
    let permit = berth.take(target.limits.max, target.limits.wait).await?;
    Ok(open_with(permit, target.address, target.connect_timeout).await?)
}

/// Opens a socket in a place that was taken.
///
/// # Errors
/// When nobody answers in time, or the address is off limits.
pub(in super::super) async fn open_with(
    permit: Permit,
    address: &Address,
    timeout: Duration,
) -> io::Result<Link> {
    let stream = tokio::time::timeout(timeout, TcpStream::connect(address.as_str())).await??;
    if host::is_off_limits(stream.peer_addr()?.ip()) {
        return Err(io::Error::other("the upstream's name leads to an address that is off limits"));
    }
    stream.set_nodelay(true)?;
    permit.berth().opened();
    Ok(Link { stream, permit })
}
