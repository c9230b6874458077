//! The old process's side: it offers its sockets, and goes when the new one serves.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use super::words::{Ask, LONGEST, Reply, VERSION, line};
use super::{STEP, channel, path};
use crate::failpoint::{self, Point};
use crate::orchestrator::Orchestrator;

/// How long the new process may think about an offer.
const OFFER: Duration = Duration::from_secs(60);
/// How often the log says that the new process has the state and does not serve.
const REMIND: Duration = Duration::from_secs(30);
/// The pause after a visitor that could not be received.
const PAUSE: Duration = Duration::from_millis(100);

/// Where a new process knocks.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

/// A process that has knocked.
#[derive(Debug)]
pub struct Visitor {
    stream: UnixStream,
    unread: Vec<u8>,
}

/// What came of it.
#[derive(Debug)]
pub enum Given {
    /// This process goes on, as before.
    Kept,
    /// The state is nobody's yet: this process serves what it has, and must open the store again.
    Orphaned,
    /// The process of this number serves. It hears that this one has ended when the stream closes.
    Gone { pid: u32, _farewell: UnixStream },
}

impl Door {
    /// Opens the door of the state folder. Only for whoever holds the folder's lock: what an
    /// earlier process has left there is removed.
    ///
    /// # Errors
    /// When the socket cannot be made there.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = path(folder)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The folder is closed to others, so nobody knocks before the mode is right.
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Waits for a process of the same user. Cancel safe.
    pub async fn knock(&self) -> Visitor {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if channel::is_ours(&stream).unwrap_or(false) => {
                    return Visitor { stream, unread: Vec::new() };
                }
                Ok(_) => tracing::warn!("somebody else's process asked for the sockets"),
                Err(error) => {
                    tracing::warn!(%error, path = %self.path.display(), "nobody can knock");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Hands the orchestrator over to a visitor, as far as it goes; see the module.
///
/// Dropping this leaves the orchestrator serving, perhaps without its store.
pub async fn give(mut visitor: Visitor, orchestrator: &mut Orchestrator) -> Given {
    match prepare(&mut visitor, orchestrator).await {
        Ok(pid) => {
            failpoint::hit(Point::HandoverReleases);
            orchestrator.release();
            failpoint::hit(Point::HandoverReleased);
            commit(visitor, pid).await
        }
        Err(why) => {
            tracing::info!(why = %why, "nothing was handed over");
            Given::Kept
        }
    }
}

/// Offers the sockets, and waits for the word to give the store free.
async fn prepare(visitor: &mut Visitor, orchestrator: &Orchestrator) -> io::Result<u32> {
    let Ask::Prepare { version, pid, force } = visitor.hear(STEP).await? else {
        return Err(unexpected());
    };
    let refused = |why: String, forcible: bool| Reply::Refused { why, forcible };
    if version != VERSION {
        let why = format!("it speaks version {VERSION} of the exchange, and not {version}");
        return visitor.refuse(refused(why, false)).await;
    }
    if let Some(why) = orchestrator.in_flight().filter(|_| !force) {
        return visitor.refuse(refused(why, true)).await;
    }
    let Some((events, control)) = orchestrator.sockets() else {
        return visitor.refuse(refused("it is about to end".to_owned(), false)).await;
    };
    let mut sockets: Vec<BorrowedFd<'_>> = vec![control.as_fd()];
    sockets.extend(events.iter().map(AsFd::as_fd));
    failpoint::hit(Point::HandoverOffers);
    let offered = Reply::Offered { pid: std::process::id(), events: events.len() };
    visitor.say(&offered, &sockets).await?;
    tracing::info!(pid, "the sockets are offered to another process");
    let Ask::Release = visitor.hear(OFFER).await? else { return Err(unexpected()) };
    // A phase may have begun since.
    if let Some(why) = orchestrator.in_flight().filter(|_| !force) {
        return visitor.refuse(refused(why, true)).await;
    }
    Ok(pid)
}

/// Says that the store is free, and waits until the visitor serves or has gone.
async fn commit(mut visitor: Visitor, pid: u32) -> Given {
    if let Err(error) = visitor.say(&Reply::Released, &[]).await {
        tracing::warn!(%error, pid, "the process that asked has gone");
        return Given::Orphaned;
    }
    loop {
        match visitor.hear(REMIND).await {
            Ok(Ask::Serving) => {
                failpoint::hit(Point::HandoverHeard);
                tracing::info!(pid, "another process serves");
                return Given::Gone { pid, _farewell: visitor.stream };
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                tracing::warn!(pid, "another process has the state and does not serve yet");
            }
            _ => {
                tracing::warn!(pid, "the process that asked has gone");
                return Given::Orphaned;
            }
        }
    }
}

impl Visitor {
    /// What it says next. Keeps what has come when the time is over.
    async fn hear(&mut self, patience: Duration) -> io::Result<Ask> {
        let read = async {
            loop {
                if let Some(end) = self.unread.iter().position(|b| *b == b'\n') {
                    let line: Vec<u8> = self.unread.drain(..=end).collect();
                    return serde_json::from_slice(&line).map_err(io::Error::from);
                }
                if self.unread.len() > LONGEST {
                    return Err(unexpected());
                }
                self.stream.readable().await?;
                match self.stream.try_read_buf(&mut self.unread) {
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        };
        timeout(patience, read).await.map_err(|_| io::Error::from(ErrorKind::TimedOut))?
    }

    async fn say(&mut self, reply: &Reply, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
        let line = line(reply);
        let stream = &self.stream;
        let write = async {
            let mut sent = 0;
            while sent < line.len() {
                let sockets = if sent == 0 { sockets } else { &[] };
                let send = || channel::send(stream, &line[sent..], sockets);
                sent += stream.async_io(Interest::WRITABLE, send).await?;
            }
            Ok(())
        };
        timeout(STEP, write).await.map_err(|_| io::Error::from(ErrorKind::TimedOut))?
    }

    async fn refuse<T>(&mut self, reply: Reply) -> io::Result<T> {
        self.say(&reply, &[]).await?;
        let why = if let Reply::Refused { why, .. } = reply { why } else { String::new() };
        Err(io::Error::new(ErrorKind::PermissionDenied, why))
    }
}

fn unexpected() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "it said what does not belong here")
}
