//! An extension as the gateway and the rest of the orchestrator see it, whatever version of it
//! runs.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::oneshot;

use super::desk::{Desk, NoPass};
use super::replica::{Gone, Job};
use super::wire::{self, Event, Reply};
use crate::control::observe::{ExtensionState, ExtensionView};

/// How often an event that no replica has begun is given to another one.
const TRIES: u32 = 3;

/// An extension that the orchestrator runs.
pub(crate) struct Service {
    pub(crate) id: Arc<str>,
    pub(super) desk: Arc<Desk>,
    status: Mutex<Option<Status>>,
    /// Whether it has taken events since it was installed.
    begun: AtomicBool,
    restarts: AtomicU64,
    events: AtomicU64,
    witness: Arc<OnceLock<Witness>>,
}

/// Is told the delivery of each event that a program has answered with 2xx.
pub type Witness = Arc<dyn Fn(&str) + Send + Sync>;

/// How an extension is doing, as its keeper says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) state: ExtensionState,
    pub(super) detail: String,
    pub(super) wanted: u32,
}

/// Why an event got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoReply {
    /// No replica takes events, and none was given this one.
    Nobody,
    /// All are busy, and none was given this one.
    Busy,
    /// A replica was given it, and took too long.
    Late,
    /// A replica was given it, and is gone.
    Lost,
}

impl Service {
    pub(super) fn new(id: &str, witness: Arc<OnceLock<Witness>>) -> Self {
        Self {
            id: id.into(),
            begun: AtomicBool::new(false),
            witness,
            desk: Arc::default(),
            status: Mutex::default(),
            restarts: AtomicU64::new(0),
            events: AtomicU64::new(0),
        }
    }

    /// Gives an event to a replica and waits for its answer. May be called on any runtime.
    pub(crate) async fn handle(&self, event: &Event<'_>) -> Result<Reply, NoReply> {
        let id = self.events.fetch_add(1, Ordering::Relaxed) + 1;
        // Made when there is a replica for it: what waits takes no more memory than the event.
        let mut line = None;
        for _ in 0..TRIES {
            let pass = self.desk.enter().await.map_err(|refused| match refused {
                NoPass::Nobody => NoReply::Nobody,
                NoPass::Busy => NoReply::Busy,
            })?;
            let (reply, answer) = oneshot::channel();
            let line = line.get_or_insert_with(|| wire::event(id, event)).clone();
            if pass.jobs.send(Job { id, line, reply }).is_err() {
                continue;
            }
            // The pass is kept until then: it is the event's place at the replica.
            match answer.await {
                Ok(Ok(reply)) => {
                    if let (Some(witness), Some(delivery)) = (self.witness.get(), event.delivery)
                        && reply.status.is_success()
                    {
                        witness(delivery);
                    }
                    return Ok(reply);
                }
                Ok(Err(Gone::Untouched)) => {}
                Ok(Err(Gone::Late)) => return Err(NoReply::Late),
                Ok(Err(Gone::Lost)) | Err(_) => return Err(NoReply::Lost),
            }
        }
        Err(NoReply::Nobody)
    }

    /// How it is doing; `None` when it is not installed.
    pub(super) fn view(&self) -> Option<ExtensionView> {
        let Status { version, state, detail, wanted } = self.status().clone()?;
        let usage = self.desk.usage();
        Some(ExtensionView {
            id: self.id.to_string(),
            version,
            state,
            detail,
            replicas: usage.replicas,
            wanted,
            busy: usage.busy,
            capacity: usage.capacity,
            waiting: usage.waiting,
            waited_ms: usage.waited_ms,
            restarts: self.restarts.load(Ordering::Relaxed),
        })
    }

    /// Whether it has taken events since it was installed: until then, its predecessor does.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    pub(super) fn set_begun(&self, begun: bool) {
        self.begun.store(begun, Ordering::Release);
    }

    pub(super) fn is_running(&self) -> bool {
        self.desk.usage().replicas > 0
    }

    /// Notes how it is doing; true when that is something new.
    pub(super) fn tell(&self, status: Option<Status>) -> bool {
        let mut known = self.status();
        let new = *known != status;
        *known = status;
        new
    }

    pub(super) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    fn status(&self) -> MutexGuard<'_, Option<Status>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("id", &self.id).finish_non_exhaustive()
    }
}
