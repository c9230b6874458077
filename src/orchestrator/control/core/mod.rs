//! The protocol between ctx and the orchestrator, as a state machine without I/O.
//!
//! Laws: revision numbers only grow; there is at most one provisional revision; every accepted
//! write carries the newest fence; no provisional revision outlives its lease, its deadline, or a
//! restart; every transition appends to the audit chain.
//!
//! A method takes the state by reference and returns a [`Transition`]: the state after, the
//! [`Write`]s that make it durable, and the reply. The caller commits the writes in one
//! transaction and only then takes the new state over, so a store that fails leaves everything as
//! it was. What a method needs from the past, such as an earlier use of a key, is handed in as a
//! value. Time is handed in too: deadlines count on the monotonic clock, the wall clock is only
//! written down.
//!
//! A provisional revision has one of two lives. Without a deadline it lives and dies with its
//! lease; with one it lives until then, so that a long soak needs no open terminal. A restart ends
//! both.

mod armed;
#[cfg(test)]
mod armed_stories;
mod draft;
#[cfg(test)]
mod laws;
mod lease;
mod letters;
mod life;
mod revision;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod world;

use std::sync::Arc;
use std::time::Duration;

pub use self::armed::{Arming, Cause};
use self::draft::Draft;
pub use self::lease::Acquire;
pub use self::letters::Fate;
pub use self::life::{Durable, Interrupted, Rebase};
pub use self::revision::{Proposal, fingerprint};
use crate::clock::{Clock, WallMs};
use crate::control::config::Config;
use crate::control::wire::{
    Anchor, AuditRow, Fence, LeaseView, Operation, ProblemCode, Provisional, RevisionStatus,
};
use crate::ids::RunId;
use crate::rules::{Rule, holds};

pub use crate::control::wire::MAX_CONFIRM_WITHIN;

/// The largest fence counter: what every JSON reader holds exactly.
pub const MAX_COUNTER: u64 = (1 << 53) - 1;

/// The instant of a call, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub boot: Duration,
    pub wall_ms: WallMs,
}

impl Now {
    /// Reads both clocks.
    pub fn of(clock: &dyn Clock) -> Self {
        Self { boot: clock.boot(), wall_ms: clock.wall().timestamp_millis() }
    }
}

/// A configuration under its number.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    pub rev: u64,
    pub config: Arc<Config>,
    pub hash: String,
}

impl Content {
    pub fn new(rev: u64, config: Arc<Config>) -> Self {
        let hash = config.hash();
        Self { rev, config, hash }
    }
}

/// Where an orchestrator stands: what the store holds, and the lease, which it does not.
#[derive(Clone, Debug)]
pub struct Core {
    uuid: String,
    fence: u64,
    tip: Anchor,
    confirmed: Content,
    /// The confirmed revision before [`Core::confirmed`], while there is one.
    predecessor: Option<u64>,
    pending: Option<Pending>,
    lease: Option<Lease>,
    /// The number of the row of the audit chain that this start has written.
    life: u64,
    armed: Option<Arc<Arming>>,
}

/// The provisional revision.
#[derive(Clone, Debug)]
struct Pending {
    content: Content,
    run: RunId,
    key: String,
    reason: String,
    life: Life,
}

/// What ends a provisional revision that nobody confirms.
#[derive(Clone, Copy, Debug)]
enum Life {
    Lease,
    Until(Duration),
}

#[derive(Clone, Debug)]
struct Lease {
    fence: Fence,
    run: RunId,
    holder: String,
    host: String,
    pid: u32,
    expires: Duration,
    renewed: Duration,
}

/// A step of the state machine: to be committed, then taken over, then answered.
#[derive(Debug)]
#[must_use = "a transition has no effect until it is committed"]
pub struct Transition<T> {
    pub next: Core,
    /// What to write, in order, in one transaction. Empty when nothing durable changes.
    pub writes: Vec<Write>,
    pub reply: T,
}

/// A change of the durable state.
#[derive(Clone, Debug)]
pub enum Write {
    /// The first of all: names the store.
    Birth { uuid: String },
    /// The fence counter, before any grant that carries it is answered.
    Fence(u64),
    /// Inserts a revision; its number was never used before.
    Revision(RevisionRow),
    /// A provisional revision has met its end.
    Status { rev: u64, status: RevisionStatus },
    /// Inserts an operation under a key that was never used before.
    Operation(KnownOperation),
    /// Deletes the content, not the rows, of revisions below this number.
    Forget { below: u64 },
    /// A phase's guards are armed; replaces those that were.
    Arm(Arc<Arming>),
    /// What is armed has changed, but for its record.
    Rearm(Arc<Arming>),
    /// Nothing is armed.
    Disarm,
    /// Appends to the audit chain.
    Audit(AuditRow),
}

/// A revision as it is stored.
#[derive(Clone, Debug)]
pub struct RevisionRow {
    pub content: Content,
    pub status: RevisionStatus,
    pub reason: String,
    pub run: Option<RunId>,
    pub at_ms: WallMs,
}

/// An operation as it is stored: enough to answer its repetition, and to notice another request
/// under the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOperation {
    pub fingerprint: String,
    pub operation: Operation,
}

/// Who calls: the fence, the key of the request, and what that key was used for before.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    pub fence: &'a Fence,
    pub key: &'a str,
    pub known: Option<&'a KnownOperation>,
}

/// Why a call is refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    pub code: ProblemCode,
    pub detail: String,
    /// Who holds the lease, where that is the reason.
    pub lease: Option<Box<LeaseView>>,
}

impl Refusal {
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), lease: None }
    }
}

impl Core {
    /// The name of this state; another one is another orchestrator.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// The end of the audit chain.
    pub fn anchor(&self) -> &Anchor {
        &self.tip
    }

    /// The number of the row of the audit chain that this start has written.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// The revision in force.
    pub fn head(&self) -> &Content {
        self.pending.as_ref().map_or(&self.confirmed, |pending| &pending.content)
    }

    /// The revision that a revert would bring back.
    pub fn confirmed(&self) -> &Content {
        &self.confirmed
    }

    /// The provisional revision and what becomes of it.
    pub fn provisional(&self, now: Now) -> Option<Provisional> {
        self.pending.as_ref().map(|pending| Provisional {
            rev: pending.content.rev,
            run: pending.run.clone(),
            key: pending.key.clone(),
            reason: pending.reason.clone(),
            reverts_to: self.confirmed.rev,
            deadline_in_ms: match pending.life {
                Life::Lease => None,
                Life::Until(deadline) => Some(millis(deadline.saturating_sub(now.boot))),
            },
        })
    }

    /// The lease, while it lives.
    pub fn lease(&self, now: Now) -> Option<LeaseView> {
        self.live_lease(now).map(|lease| LeaseView {
            run: lease.run.clone(),
            holder: lease.holder.clone(),
            host: lease.host.clone(),
            pid: lease.pid,
            counter: lease.fence.counter,
            expires_in_ms: millis(lease.expires.saturating_sub(now.boot)),
            heartbeat_age_ms: millis(now.boot.saturating_sub(lease.renewed)),
        })
    }

    /// Checks that `fence` is that of the living lease.
    ///
    /// # Errors
    /// [`ProblemCode::StaleFence`] otherwise.
    pub fn fenced(&self, now: Now, fence: &Fence) -> Result<(), Refusal> {
        self.holder(now, fence).map(|_| ())
    }

    /// The next instant at which [`Core::expire`] has something to do.
    pub fn wakes_at(&self) -> Option<Duration> {
        let deadline = self.pending.as_ref().and_then(|pending| match pending.life {
            Life::Until(deadline) => Some(deadline),
            Life::Lease => None,
        });
        let expiry = self.lease.as_ref().map(|lease| lease.expires);
        deadline.into_iter().chain(expiry).min()
    }

    fn live_lease(&self, now: Now) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| now.boot < lease.expires)
    }

    fn holder(&self, now: Now, fence: &Fence) -> Result<&Lease, Refusal> {
        let current = |lease: &&Lease| lease.fence == *fence || !holds(Rule::Fence);
        self.live_lease(now).filter(current).ok_or_else(|| Refusal {
            code: ProblemCode::StaleFence,
            detail: format!("fence {} is not that of the current lease", fence.counter),
            lease: self.lease(now).map(Box::new),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
