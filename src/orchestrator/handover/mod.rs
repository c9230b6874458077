//! A restart that nobody notices: a new process takes the listening sockets of the old one.
//!
//! The law: at every moment one process has the state and at least one accepts, whichever of the
//! two dies, and whenever. The sockets are never closed in between, so that who connects meanwhile
//! waits in the kernel's backlog and is not refused; the state folder's lock is what decides who
//! writes, so that a misunderstanding costs time and never a second writer.
//!
//! How it works. The old process listens on `handover.sock` in its state folder, and speaks to its
//! own user only:
//!
//! | the new one says | the old one does, and says |
//! |---|---|
//! | `prepare` | `offered`, with copies of its sockets; nothing has changed |
//! | `release` | ends its control side, gives the store free; `released` |
//! | `serving`, once it accepts | stops accepting, and lets requests in flight finish |
//!
//! Until `serving` has come, the old one goes on accepting; if the new one goes away before that,
//! it opens the store again, as a start would, and is the one that serves. If the old one goes
//! away, the new one has its sockets and is the one. While the old one finishes, both write the
//! inbox; only the new one hands events on.
//!
//! The shape is that of nginx's upgrade of its binary and of `HAProxy`'s `expose-fd listeners`; that
//! the new process says when the old one may go is from Envoy's hot restart.

mod channel;
mod give;
mod take;
mod words;

pub use give::{Door, Given, Visitor, give};
pub use take::{Predecessor, TakeError, take};

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the socket within the state folder.
const FILE: &str = "handover.sock";
/// The longest path of a socket that every kernel takes.
const LONGEST: usize = 100;
/// How long the other side may take for a step that costs nothing.
const STEP: Duration = Duration::from_secs(10);

/// The sockets of an orchestrator.
#[derive(Debug)]
pub struct Sockets {
    /// Where events are received, one for each worker.
    pub events: Vec<TcpListener>,
    /// Where the control API listens.
    pub control: TcpListener,
}

/// Where the socket is.
fn path(folder: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(folder)?.join(FILE);
    if path.as_os_str().len() > LONGEST {
        let why = "its path is too long for a socket; name a shorter folder";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(path)
}
