//! Tells a supervisor such as systemd how far `ctx serve` is.
//!
//! The protocol is that of `sd_notify(3)`: a datagram of `NAME=value` lines to the socket that
//! `NOTIFY_SOCKET` names, a path, or a name in the abstract namespace after `@`. Nobody answers, so
//! a message that cannot be sent is only logged: the service runs all the same.
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Both listeners are there, and the state is recovered.
    Ready,
    /// Requests in flight may finish.
    Stopping,
}

impl Stage {
    const fn message(self) -> &'static [u8] {
        match self {
            Self::Ready => b"READY=1\nSTATUS=serving\n",
            Self::Stopping => b"STOPPING=1\nSTATUS=requests in flight may finish\n",
        }
    }
}

/// Tells the supervisor that listens at `socket`, if there is one.
pub(super) fn tell(socket: Option<&str>, stage: Stage) {
    if let Some(socket) = socket
        && let Err(error) = send(socket, stage)
    {
        tracing::warn!(socket, %error, ?stage, "failed to tell the supervisor");
    }
}

fn send(socket: &str, stage: Stage) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(stage.message(), &address).map(drop)
}
