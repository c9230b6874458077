//! Other processes of the same state folder: one that comes, and one that goes.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use tokio::net::UnixStream;
use tokio::runtime::Runtime;

use super::Args;
use crate::error::{Code, Failure, Result};
use crate::orchestrator::handover::{self, Door, Predecessor, TakeError, Visitor};

/// The process that serves the state folder, if this one is to take over from it.
pub(super) fn predecessor(args: &Args) -> Result<Option<Predecessor>> {
    if !args.take_over {
        return Ok(None);
    }
    let taken =
        handover::take(&args.state, args.force).map_err(|error| explain_handover(&error))?;
    let Some(sockets) = taken.as_ref().and_then(Predecessor::sockets) else { return Ok(taken) };
    let differs = |wanted: SocketAddr, listener: &TcpListener| {
        let there = listener.local_addr().ok()?;
        let same = wanted == there || (wanted.port() == 0 && wanted.ip() == there.ip());
        (!same).then_some(there)
    };
    let pairs = [
        ("--listen", args.listen, sockets.events.first()),
        ("--control", args.control, Some(&sockets.control)),
    ];
    for (flag, wanted, listener) in pairs {
        if let Some(there) = listener.and_then(|listener| differs(wanted, listener)) {
            let what =
                format!("`{flag}` is {wanted}, and the process that serves listens on {there}");
            return Err(Failure::new(Code::Refused, what).hint(format!(
                "a hand-over keeps the addresses: `{flag} {there}`, or stop the other one first"
            )));
        }
    }
    Ok(taken)
}

pub(super) fn explain_handover(error: &TakeError) -> Failure {
    let failure = Failure::new(Code::Failure, "failed to take over").because(error);
    match error {
        TakeError::Refused { forcible: true, .. } => Failure { code: Code::Refused, ..failure }
            .hint("wait until the phase has ended: `ctx status` says when")
            .hint("or add `--force`: a restart reverts what is provisional, and voids leases"),
        TakeError::Refused { .. } | TakeError::Stranger => {
            Failure { code: Code::Refused, ..failure }
        }
        TakeError::Io(_) => {
            failure.hint("the process that serves goes on; see its log, or stop it and start anew")
        }
    }
}

/// The other processes, as far as they are heard.
pub(super) struct Others {
    pub(super) state: PathBuf,
    pub(super) door: Option<Door>,
    /// Closes when the process that this one has taken over from has ended.
    farewell: Option<UnixStream>,
}

/// What is heard of them.
pub(super) enum Heard {
    /// Somebody wants to take over.
    Knock(Visitor),
    /// The process before this one has ended.
    Alone,
}

impl Others {
    pub(super) fn new(state: PathBuf) -> Self {
        Self { state, door: None, farewell: None }
    }

    /// Tells the process before this one that it may go, and listens for its end.
    pub(super) fn follow(&mut self, runtime: &Runtime, predecessor: Predecessor) {
        let _inside = runtime.enter();
        match predecessor.serving().and_then(|stream| stream.map(UnixStream::from_std).transpose())
        {
            Ok(farewell) => self.farewell = farewell,
            Err(error) => tracing::warn!(%error, "the end of the other process is not heard"),
        }
    }

    /// Lets a later process ask for the sockets. Without a door there is no hand-over, and
    /// everything else works.
    pub(super) fn open_door(&mut self, runtime: &Runtime) {
        if self.door.is_some() {
            return;
        }
        let _inside = runtime.enter();
        self.door = Door::open(&self.state)
            .inspect_err(|error| tracing::warn!(%error, "no other process can take over"))
            .ok();
    }

    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Heard {
        let Self { door, farewell, .. } = self;
        let knock = async {
            match door {
                Some(door) => door.knock().await,
                None => std::future::pending().await,
            }
        };
        let ended = async {
            match farewell {
                // It says nothing any more: whatever comes is the end.
                Some(stream) => drop(stream.readable().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            visitor = knock => Heard::Knock(visitor),
            () = ended => {
                *farewell = None;
                Heard::Alone
            }
        }
    }
}
