//! The new process's side: it asks for the sockets, then for the state, and says when it serves.

use std::io::{self, ErrorKind, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::words::{Ask, LONGEST, Reply, VERSION, line};
use super::{STEP, Sockets, channel, path};
use crate::failpoint::{self, Point};

/// How long the old process may take to end its control side: stored events that are with a
/// handler are waited for.
const RELEASE: Duration = Duration::from_secs(30);

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error("the process that serves does not hand over: {why}")]
    Refused { why: String, forcible: bool },
    #[error("the socket in the state folder is not this user's")]
    Stranger,
    #[error("failed to speak to the process that serves")]
    Io(#[from] io::Error),
}

/// The process that served until now. It goes on doing so when this is dropped.
#[derive(Debug)]
pub struct Predecessor {
    stream: UnixStream,
    unread: Vec<u8>,
    pub pid: u32,
    sockets: Option<Sockets>,
    /// Whether it has gone away by itself; then its sockets are ours, and the rest is an ordinary
    /// start.
    gone: bool,
}

/// Asks whoever serves the state folder for its sockets; `None` where nobody does.
///
/// # Errors
/// When it refuses, or does not answer.
pub fn take(folder: &Path, force: bool) -> Result<Option<Predecessor>, TakeError> {
    let stream = match UnixStream::connect(path(folder)?) {
        Ok(stream) => stream,
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    if !channel::is_ours(&stream)? {
        return Err(TakeError::Stranger);
    }
    stream.set_write_timeout(Some(STEP))?;
    let its_process = channel::process(&stream);
    let mut process =
        Predecessor { stream, unread: Vec::new(), pid: 0, sockets: None, gone: false };
    let mut received = Vec::new();
    let prepare = Ask::Prepare { version: VERSION, pid: std::process::id(), force };
    let reply = match process.say(&prepare) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => None,
        said => said.map_err(TakeError::from).and_then(|()| process.hear(STEP, &mut received))?,
    };
    let Some(reply) = reply else {
        // It has died this moment: its port and its lock are free when all of it has.
        if let Some(its_process) = its_process {
            channel::ended(&its_process, STEP);
        }
        return Ok(None);
    };
    let Reply::Offered { pid, events } = accepted(reply)? else { return Err(unexpected()) };
    if received.len() != events + 1 || events == 0 {
        return Err(unexpected());
    }
    let mut sockets = received.into_iter().map(TcpListener::from);
    let control = sockets.next().ok_or_else(unexpected)?;
    process.pid = pid;
    process.sockets = Some(Sockets { events: sockets.collect(), control });
    failpoint::hit(Point::HandoverTaken);
    Ok(Some(process))
}

impl Predecessor {
    /// The sockets, where nobody has had them from here yet.
    pub fn sockets(&self) -> Option<&Sockets> {
        self.sockets.as_ref()
    }

    /// Asks for the state. After that, this process starts on the sockets, or ends: then the other
    /// one opens the state again.
    ///
    /// # Errors
    /// When it refuses, or does not answer.
    pub fn release(&mut self) -> Result<Sockets, TakeError> {
        let asked = self.say(&Ask::Release);
        let reply = match asked {
            Ok(()) => self.hear(RELEASE, &mut Vec::new())?,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => None,
            Err(error) => return Err(error.into()),
        };
        match reply.map(accepted).transpose()? {
            Some(Reply::Released) => {}
            Some(_) => return Err(unexpected()),
            None => self.gone = true,
        }
        failpoint::hit(Point::HandoverOpens);
        self.sockets.take().ok_or_else(unexpected)
    }

    /// Says that this process serves, so that the other one may go. What comes back closes when
    /// it has.
    ///
    /// # Errors
    /// When the stream cannot be watched.
    pub fn serving(mut self) -> io::Result<Option<UnixStream>> {
        failpoint::hit(Point::HandoverServes);
        if self.gone || self.say(&Ask::Serving).is_err() {
            return Ok(None);
        }
        self.stream.set_nonblocking(true)?;
        Ok(Some(self.stream))
    }

    fn say(&mut self, ask: &Ask) -> io::Result<()> {
        self.stream.write_all(&line(ask))
    }

    /// What it says next, and the sockets that came with it; `None` when it has gone.
    fn hear(
        &mut self,
        patience: Duration,
        sockets: &mut Vec<OwnedFd>,
    ) -> Result<Option<Reply>, TakeError> {
        self.stream.set_read_timeout(Some(patience))?;
        loop {
            if let Some(end) = self.unread.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).map_err(io::Error::from)?));
            }
            if self.unread.len() > LONGEST {
                return Err(unexpected());
            }
            let mut bytes = [0; 1024];
            match channel::receive(&self.stream, &mut bytes, sockets) {
                Ok(0) => return Ok(None),
                Ok(got) => self.unread.extend(&bytes[..got]),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset => return Ok(None),
                    ErrorKind::WouldBlock => {
                        return Err(io::Error::from(ErrorKind::TimedOut).into());
                    }
                    _ => return Err(error.into()),
                },
            }
        }
    }
}

fn accepted(reply: Reply) -> Result<Reply, TakeError> {
    match reply {
        Reply::Refused { why, forcible } => Err(TakeError::Refused { why, forcible }),
        other => Ok(other),
    }
}

fn unexpected() -> TakeError {
    io::Error::new(ErrorKind::InvalidData, "it said what does not belong here").into()
}
