//! The desk: the one place where a transition is decided, committed, and put in force.
//!
//! Law: commit first, activate after. A store that fails leaves the state as it was; where time
//! has ended a provisional revision and even that cannot be written, the confirmed configuration
//! is put in force from memory, because falling back must not depend on a disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::core::{
    Acquire, Arming, Caller, Cause, Content, Core, Fate, KnownOperation, Now, Proposal, Refusal,
    Transition,
};
use crate::control::armed::{ArmRequest, Armed, AskRequest, AskResult};
use crate::control::config::Config;
use crate::control::inbox::Letters;
use crate::control::observe::{HealingAction, Incident};
use crate::control::wire::{
    Anchor, AuditRow, Fence, LeaseBreak, LeaseBroken, LeaseGrant, LeaseRequest, LeaseView,
    Operation, ProblemCode, Revision, RevisionRequest, RevisionResult, State,
};
use crate::failpoint::{self, Point};
use crate::ids::random_hex;
use crate::orchestrator::plane::{Active, Plane};
use crate::orchestrator::store::{Observed, Snapshot, Store, StoreError};

/// Longest time between two looks at the clock while a lease or a deadline runs.
const LOOK: Duration = Duration::from_millis(200);

/// The state of the protocol, with the store behind it and the data plane before it.
#[derive(Debug)]
pub struct Desk {
    inner: Mutex<Inner>,
    plane: Arc<Plane>,
    /// Something has changed that may end earlier than what was waited for.
    changed: Notify,
    /// A transition was taken over: what is armed, or in force, may be another.
    moved: Notify,
}

#[derive(Debug)]
struct Inner {
    core: Core,
    store: Store,
    /// A breach that the store has not taken yet. Everything else waits for it.
    owed: Option<(Arc<Arming>, Cause)>,
}

/// The request part of a keyed write.
#[derive(Clone, Copy, Debug)]
pub struct Keyed<'a> {
    pub fence: &'a Fence,
    pub key: &'a str,
}

impl Desk {
    /// Takes over a core whose state is what `store` holds and `plane` has in force.
    pub fn new(core: Core, store: Store, plane: Arc<Plane>) -> Self {
        Self {
            inner: Mutex::new(Inner { core, store, owed: None }),
            plane,
            changed: Notify::new(),
            moved: Notify::new(),
        }
    }

    /// Grants the lease, or with the current fence renews it.
    ///
    /// # Errors
    /// As [`Core::acquire`] and [`Core::renew`].
    pub fn lease(
        &self,
        fence: Option<&Fence>,
        request: &LeaseRequest,
    ) -> Result<LeaseGrant, Refusal> {
        self.transact(|core, store, now| {
            if let Some(fence) = fence {
                return core.renew(now, fence, request);
            }
            let known = request.last_anchor.as_ref().map(|anchor| store.is_ancestor(anchor));
            let anchor_known = known.transpose().map_err(failed)?.unwrap_or(true);
            let id = random_hex::<8>();
            core.acquire(now, Acquire { request, id: &id, anchor_known })
        })
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// As [`Core::release`].
    pub fn release(&self, fence: &Fence) -> Result<(), Refusal> {
        self.transact(|core, _, now| core.release(now, fence))
    }

    /// Ends somebody else's lease.
    ///
    /// # Errors
    /// As [`Core::break_lease`].
    pub fn break_lease(&self, request: &LeaseBreak) -> Result<LeaseBroken, Refusal> {
        self.transact(|core, _, now| core.break_lease(now, request))
    }

    /// Puts a new document in force, provisionally.
    ///
    /// # Errors
    /// As [`Core::apply`].
    pub fn apply(
        &self,
        keyed: Keyed<'_>,
        if_match: u64,
        request: &RevisionRequest,
    ) -> Result<RevisionResult, Refusal> {
        self.keyed(keyed, |core, now, caller| {
            core.apply(now, caller, Proposal { if_match, request })
        })
    }

    /// Makes a provisional revision permanent.
    ///
    /// # Errors
    /// As [`Core::confirm`].
    pub fn confirm(&self, keyed: Keyed<'_>, rev: u64) -> Result<RevisionResult, Refusal> {
        self.keyed(keyed, |core, now, caller| core.confirm(now, caller, rev))
    }

    /// Takes a provisional revision out of force.
    ///
    /// # Errors
    /// As [`Core::revert`].
    pub fn revert(&self, keyed: Keyed<'_>, rev: u64) -> Result<RevisionResult, Refusal> {
        self.keyed(keyed, |core, now, caller| core.revert(now, caller, rev))
    }

    /// Deletes the content of old revisions. The caller clears the cache.
    ///
    /// # Errors
    /// As [`Core::cleanup`].
    pub fn cleanup(&self, keyed: Keyed<'_>) -> Result<RevisionResult, Refusal> {
        self.keyed(keyed, Core::cleanup)
    }

    /// Records that the cache is about to be filled from a snapshot.
    ///
    /// # Errors
    /// As [`Core::cache_restored`].
    pub fn cache_restored(&self, fence: &Fence, entries: usize) -> Result<(), Refusal> {
        self.transact(|core, _, now| core.cache_restored(now, fence, entries))
    }

    /// Records that the inbox is about to be given events out of a backup.
    ///
    /// # Errors
    /// As [`Core::inbox_restored`].
    pub fn inbox_restored(&self, fence: &Fence, events: usize) -> Result<(), Refusal> {
        self.transact(|core, _, now| core.inbox_restored(now, fence, events))
    }

    /// Records what is about to be done with dead letters; returns the number of the row.
    ///
    /// # Errors
    /// As [`Core::letters`].
    pub fn letters(&self, letters: &Letters, fate: Fate, found: u64) -> Result<u64, Refusal> {
        self.transact(|core, _, now| core.letters(now, letters, fate, found))
    }

    /// Arms the guards of a phase.
    ///
    /// # Errors
    /// As [`Core::arm`].
    pub fn arm(&self, fence: &Fence, request: &ArmRequest) -> Result<Armed, Refusal> {
        self.transact(|core, _, now| core.arm(now, fence, request))
    }

    /// Disarms what is armed.
    ///
    /// # Errors
    /// As [`Core::disarm`].
    pub fn disarm(&self, fence: &Fence, taken_back: bool) -> Result<(), Refusal> {
        self.transact(|core, _, now| core.disarm(now, fence, taken_back))
    }

    /// What is armed, and the revision in force.
    ///
    /// # Errors
    /// When the store fails.
    pub fn armed(&self) -> Result<(Option<Arc<Arming>>, u64), Refusal> {
        self.read(None, |inner, _| Ok((inner.core.armed().cloned(), inner.core.head().rev)))
    }

    /// As [`Desk::armed`], from memory alone: guards are judged also while the store fails.
    pub fn watched(&self) -> (Option<Arc<Arming>>, u64) {
        let core = &self.lock().core;
        (core.armed().cloned(), core.head().rev)
    }

    /// Waits until a transition was taken over since this was last asked. For one caller.
    pub async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Takes an armed phase back. When the store fails, the target's content is put in force from
    /// memory all the same, and the rest is owed: see [`Desk::settle_breach`].
    ///
    /// # Errors
    /// When the store fails.
    pub fn trip(&self, armed: &Arc<Arming>, cause: Cause) -> Result<(), Refusal> {
        let mut inner = self.lock();
        inner.owed.get_or_insert_with(|| (Arc::clone(armed), cause));
        self.settle_owed(&mut inner)?;
        self.changed.notify_one();
        Ok(())
    }

    /// Puts a breach on record that the store has not taken yet; nothing to do when none is owed.
    ///
    /// # Errors
    /// When the store still fails.
    pub fn settle_breach(&self) -> Result<(), Refusal> {
        self.settle_owed(&mut self.lock())
    }

    /// Does what a person asks of a run, or leaves it for whoever holds the run's lease.
    ///
    /// # Errors
    /// As [`Core::ask`].
    pub fn ask(&self, request: &AskRequest) -> Result<AskResult, Refusal> {
        self.transact(|core, _, now| core.ask(now, request))
    }

    /// Where the orchestrator stands; ordered after a grant when its fence is given.
    ///
    /// # Errors
    /// When the fence is stale, or the store fails.
    pub fn state(&self, fence: Option<&Fence>, data_addr: String) -> Result<State, Refusal> {
        self.read(fence, |inner, now| {
            let core = &inner.core;
            let head = core.head();
            Ok(State {
                state_uuid: core.uuid().to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                head: head.rev,
                confirmed: core.confirmed().rev,
                provisional: core.provisional(now),
                lease: core.lease(now),
                anchor: core.anchor().clone(),
                config: Clone::clone(&head.config),
                config_hash: head.hash.clone(),
                data_addr,
                up_ms: self.plane.now_ms(),
                life: core.life(),
                armed: core.armed().map(|armed| armed.view()),
                origins: Vec::new(),
            })
        })
    }

    /// The lease as others see it, while there is one.
    ///
    /// # Errors
    /// When the store fails.
    pub fn lease_view(&self) -> Result<Option<LeaseView>, Refusal> {
        self.read(None, |inner, now| Ok(inner.core.lease(now)))
    }

    /// Revisions, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn revisions(&self) -> Result<Vec<Revision>, Refusal> {
        self.read(None, |inner, _| inner.store.revisions())
    }

    /// One revision.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub fn revision(&self, rev: u64) -> Result<Revision, Refusal> {
        self.read(None, |inner, _| inner.store.revision(rev))?.ok_or_else(|| {
            Refusal::new(ProblemCode::NotFound, format!("there is no revision {rev}"))
        })
    }

    /// What became of a request; ordered after a grant when its fence is given.
    ///
    /// # Errors
    /// When the fence is stale, the key is unknown, or the store fails.
    pub fn operation(&self, fence: Option<&Fence>, key: &str) -> Result<Operation, Refusal> {
        self.read(fence, |inner, _| inner.store.operation(key))?
            .map(|known| known.operation)
            .ok_or_else(|| {
                Refusal::new(ProblemCode::NotFound, "no request with that key was accepted")
            })
    }

    /// Rows of the audit chain after `seq`, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn audit(&self, after: u64) -> Result<Vec<AuditRow>, Refusal> {
        self.read(None, |inner, _| inner.store.audit(after))
    }

    /// What the store knows about health: incidents, self-healing, and the sums of both.
    ///
    /// # Errors
    /// When the store fails.
    pub fn health(&self) -> Result<(Vec<Incident>, Vec<HealingAction>, Observed), Refusal> {
        self.read(None, |inner, _| {
            let store = &inner.store;
            Ok((store.incidents()?, store.healing()?, store.observed()?))
        })
    }

    /// How many incidents began, and how many actions of self-healing there were.
    ///
    /// # Errors
    /// When the store fails.
    pub fn sums(&self) -> Result<(u64, u64), Refusal> {
        self.read(None, |inner, _| {
            Ok((inner.store.observed()?.failures, inner.store.healing_total()?))
        })
    }

    /// Whether the revision in force is provisional, and whether somebody holds the lease; from
    /// memory alone.
    pub fn standing(&self) -> (bool, bool) {
        let (core, now) = (&self.lock().core, Now::of(&*self.plane.clock));
        (core.provisional(now).is_some(), core.lease(now).is_some())
    }

    /// The end of the audit chain.
    pub fn anchor(&self) -> Anchor {
        self.lock().core.anchor().clone()
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn ping(&self) -> Result<(), StoreError> {
        self.lock().store.ping()
    }

    /// Something that copies the database.
    ///
    /// # Errors
    /// When the store fails.
    pub fn snapshots(&self) -> Result<Snapshot, Refusal> {
        self.lock().store.snapshots().map_err(failed)
    }

    /// Lets `use_store` read or write what is not part of the protocol.
    pub fn with_store<T>(&self, use_store: impl FnOnce(&mut Store) -> T) -> T {
        use_store(&mut self.lock().store)
    }

    /// Ends leases and provisional revisions in time; never returns.
    ///
    /// Safe to drop at any point.
    pub async fn watch(&self) {
        loop {
            let wakes_at = self.lock().core.wakes_at();
            match wakes_at {
                None => self.changed.notified().await,
                Some(at) => {
                    let left = at.saturating_sub(self.plane.clock.boot());
                    // A millisecond more than needed, and at least 10: a store that fails is
                    // asked again, but not in a tight loop.
                    let nap =
                        (left + Duration::from_millis(1)).clamp(Duration::from_millis(10), LOOK);
                    let _ = tokio::time::timeout(nap, self.changed.notified()).await;
                }
            }
            // Already logged; the next round tries again.
            let _ = self.settle(&mut self.lock());
        }
    }

    fn keyed(
        &self,
        Keyed { fence, key }: Keyed<'_>,
        decide: impl FnOnce(&Core, Now, Caller<'_>) -> Result<Transition<RevisionResult>, Refusal>,
    ) -> Result<RevisionResult, Refusal> {
        self.transact(|core, store, now| {
            let known: Option<KnownOperation> = store.operation(key).map_err(failed)?;
            decide(core, now, Caller { fence, key, known: known.as_ref() })
        })
    }

    fn transact<T>(
        &self,
        decide: impl FnOnce(&Core, &Store, Now) -> Result<Transition<T>, Refusal>,
    ) -> Result<T, Refusal> {
        let mut inner = self.lock();
        self.settle(&mut inner)?;
        let transition = decide(&inner.core, &inner.store, Now::of(&*self.plane.clock))?;
        let reply = self.commit(&mut inner, transition)?;
        self.changed.notify_one();
        failpoint::hit(Point::DeskReplies);
        Ok(reply)
    }

    fn read<T>(
        &self,
        fence: Option<&Fence>,
        read: impl FnOnce(&Inner, Now) -> Result<T, StoreError>,
    ) -> Result<T, Refusal> {
        let mut inner = self.lock();
        self.settle(&mut inner)?;
        let now = Now::of(&*self.plane.clock);
        if let Some(fence) = fence {
            inner.core.fenced(now, fence)?;
        }
        read(&inner, now).map_err(failed)
    }

    fn settle_owed(&self, inner: &mut Inner) -> Result<(), Refusal> {
        let Some((armed, cause)) = inner.owed.clone() else { return Ok(()) };
        let now = Now::of(&*self.plane.clock);
        let transition = inner.core.trip(now, &armed.run, &armed.phase, cause);
        self.commit(inner, transition).inspect_err(|_| {
            let target = &armed.target;
            let there = inner.core.head().hash == target.hash;
            if !there && self.plane.active().rev != target.rev {
                tracing::error!("a breach could not be put on record; the target's content serves");
                self.activate(target);
            }
        })?;
        inner.owed = None;
        Ok(())
    }

    /// Does what time alone brings about.
    fn settle(&self, inner: &mut Inner) -> Result<(), Refusal> {
        self.settle_owed(inner)?;
        let now = Now::of(&*self.plane.clock);
        if inner.core.wakes_at().is_none_or(|at| now.boot < at) {
            return Ok(());
        }
        failpoint::hit(Point::DeskExpires);
        let transition = inner.core.expire(now);
        let expired = self.commit(inner, transition);
        failpoint::hit(Point::DeskExpired);
        expired.inspect_err(|_| {
            tracing::error!("a revision could not be reverted durably; the confirmed one serves");
            self.activate(inner.core.confirmed());
        })
    }

    fn commit<T>(&self, inner: &mut Inner, transition: Transition<T>) -> Result<T, Refusal> {
        let Transition { next, writes, reply } = transition;
        failpoint::hit(Point::DeskDecided);
        inner.store.commit(&writes).map_err(failed)?;
        let moved = next.head().rev != inner.core.head().rev;
        inner.core = next;
        if moved {
            failpoint::hit(Point::DeskSwaps);
            self.activate(inner.core.head());
            failpoint::hit(Point::DeskSwapped);
        }
        self.moved.notify_one();
        Ok(reply)
    }

    fn activate(&self, content: &Content) {
        tracing::info!(rev = content.rev, hash = %content.hash, "configuration in force");
        self.plane.activate(Active { rev: content.rev, config: Config::clone(&content.config) });
    }

    /// A panic in another call has changed nothing: the state is replaced last, and whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it ends here, and reads well in `map_err`")]
fn failed(error: StoreError) -> Refusal {
    let mut chain = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(source) = next {
        chain = format!("{chain}: {source}");
        next = source.source();
    }
    tracing::error!(error = chain, "the store failed");
    Refusal::new(ProblemCode::StoreFailed, "nothing was changed; the orchestrator's log has more")
}
