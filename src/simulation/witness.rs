//! Whoever checks the invariants: sees every transaction of the server and every fact of every
//! ledger, and keeps an own account of leases, numbers and intents, so as to believe neither side.

use std::collections::{BTreeMap, BTreeSet};

use super::book::Book;
use super::invariants::{Invariant, Violation};
use super::network::{Request, What};
use super::scenario;
use crate::control::wire::{
    AuditKind, AuditRow, Fence, OperationKind, RevisionRequest, RevisionStatus,
};
use crate::ids::RunId;
use crate::orchestrator::control::audit;
use crate::orchestrator::control::core::{Content, Core, KnownOperation, RevisionRow, Write};

/// How late the orchestrator may notice that something's time has come.
pub(super) const TICK: u64 = 250;
/// How long a lease lives.
pub(super) const TTL: u64 = 30_000;

/// Why the server commits something.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause<'a> {
    Request(&'a Request),
    /// A lease is granted under this fence.
    Grant(&'a Request, &'a Fence),
    Renewal(&'a Fence),
    Time,
    Start,
    /// Somebody else.
    Edit,
    /// A guard, or a person who asks something of the run.
    Person,
}

/// A durable intent.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    pub(super) run: RunId,
    pub(super) kind: OperationKind,
    /// The move, or none for the restore of a rollback.
    pub(super) index: Option<usize>,
    /// What it is about: the base of a change, else the revision itself.
    pub(super) rev: u64,
    /// The content of a change.
    pub(super) hash: String,
}

/// A lease as it was granted.
#[derive(Clone, Debug)]
struct Granted {
    fence: Fence,
    run: RunId,
    expires: u64,
}

/// A provisional revision as it was accepted.
#[derive(Clone, Debug)]
struct Provisional {
    rev: u64,
    run: RunId,
    deadline: Option<u64>,
    intent: Intent,
}

#[derive(Debug, Default)]
pub(super) struct Witness {
    pub(super) violation: Option<Violation>,
    pub(super) now: u64,
    granted: Option<Granted>,
    provisional: Option<Provisional>,
    pub(super) intents: BTreeMap<String, Intent>,
    /// In which life of the orchestrator each run was granted its newest lease.
    lives: BTreeMap<RunId, u32>,
    /// The slot that each run owns.
    pub(super) owners: BTreeMap<RunId, usize>,
    /// What each number stood for, since the last restore of an older state.
    revisions: BTreeMap<u64, String>,
    fences: BTreeMap<u64, String>,
    audited: u64,
    tip: String,
    /// Everything that was ever confirmed, whatever was restored later.
    pub(super) confirmed: BTreeSet<(u64, String)>,
    /// What each run has confirmed in the present history, in order.
    pub(super) steps: BTreeMap<RunId, Vec<(u64, Option<usize>)>>,
    /// How often the orchestrator has started, and an older state was put back.
    pub(super) starts: u32,
    pub(super) restores: u32,
    /// How often somebody else edited the configuration.
    pub(super) edits: u32,
    /// How often a rollback wrote over what somebody else had written.
    pub(super) overwritten: u32,
    /// Whether the audit chain's hashes are computed again.
    pub(super) thorough: bool,
}

impl Witness {
    pub(super) fn fail(&mut self, invariant: Invariant, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, what: what() });
        }
    }

    pub(super) fn hold(
        &mut self,
        invariant: Invariant,
        holds: bool,
        what: impl FnOnce() -> String,
    ) {
        if !holds {
            self.fail(invariant, what);
        }
    }

    /// Whether another run's lease lives, and no start has voided this one's without its knowing.
    pub(super) fn elsewhere(&self, run: &RunId) -> bool {
        self.lives.get(run).is_none_or(|life| *life == self.starts) && self.other(run)
    }

    fn other(&self, run: &RunId) -> bool {
        self.granted.as_ref().is_some_and(|lease| lease.run != *run && self.now < lease.expires)
    }

    /// An older state was put back: what came after it is forgotten.
    pub(super) fn restored(&mut self, book: &Book) {
        self.restores += 1;
        self.revisions.retain(|rev, _| book.revisions.contains_key(rev));
        self.fences.retain(|counter, _| *counter <= book.fence);
        self.audited = book.audit.len() as u64;
        self.tip = book.audit.last().map(|row| row.hash.clone()).unwrap_or_default();
        let confirmed = |rev: &u64| {
            book.revisions.get(rev).is_some_and(|row| row.status == RevisionStatus::Confirmed)
        };
        for steps in self.steps.values_mut() {
            steps.retain(|(rev, _)| confirmed(rev));
        }
        self.provisional = None;
    }

    /// The server commits `writes`, in a state where `core` was valid.
    pub(super) fn committing(&mut self, cause: Cause<'_>, core: Option<&Core>, writes: &[Write]) {
        if let Cause::Renewal(fence) = cause {
            self.renewed(fence);
        }
        let mut head = core.map_or(0, |core| core.head().rev);
        for write in writes {
            match write {
                Write::Revision(row) => {
                    if row.status == RevisionStatus::Provisional {
                        self.applied(cause, core, row, head);
                    }
                    head = row.content.rev;
                    self.numbered(row);
                }
                Write::Status { rev, status } => self.ended(cause, core, *rev, *status),
                Write::Operation(known) => self.accepted(cause, known),
                Write::Audit(row) => self.audit(row),
                Write::Disarm
                | Write::Arm(_)
                | Write::Rearm(_)
                | Write::Fence(_)
                | Write::Birth { .. }
                | Write::Forget { .. } => {}
            }
        }
        let armed = writes.iter().find_map(|write| match write {
            Write::Rearm(armed) if armed.tripped.is_some() => Some(armed),
            _ => None,
        });
        if let (Some(armed), Some(core)) = (armed, core) {
            let written = writes.iter().rev().find_map(|write| match write {
                Write::Revision(row) => Some(&row.content.hash),
                _ => None,
            });
            let back = *written.unwrap_or(&core.head().hash) == armed.target.hash;
            self.hold(Invariant::I11, back, || "a trip has not brought the target back".to_owned());
        }
        if let Cause::Edit = cause {
            self.granted = None;
        }
        if let Cause::Grant(request, fence) = cause {
            self.grant(request, fence);
        }
    }

    fn grant(&mut self, request: &Request, fence: &Fence) {
        let What::Lease(lease) = &request.what else { return };
        let (run, counter, now) = (lease.run.clone(), fence.counter, self.now);
        self.hold(Invariant::I6, counter > lease.min_token, || {
            format!("fence {counter} was granted to run {run:?}, which has seen a larger one")
        });
        let repeated = self.fences.insert(counter, fence.id.clone()).is_some();
        self.hold(Invariant::I6, !repeated, || format!("fence {counter} was granted twice"));
        let other = self.other(&run);
        self.hold(Invariant::I3, !other, || "two runs hold the lease".to_owned());
        self.lives.insert(run.clone(), self.starts);
        self.granted = Some(Granted { fence: fence.clone(), run, expires: now + TTL });
    }

    /// The anchor that came with an accepted request for the lease.
    pub(super) fn anchored(&mut self, request: &Request, book: &Book) {
        let What::Lease(lease) = &request.what else { return };
        let Some(anchor) = &lease.last_anchor else { return };
        let known = book.knows(anchor, false);
        self.hold(Invariant::I14, known, || {
            format!("a lease was granted over the unknown anchor {}", anchor.seq)
        });
    }

    fn renewed(&mut self, fence: &Fence) {
        let now = self.now;
        let newest =
            self.granted.as_mut().filter(|lease| lease.fence == *fence && now < lease.expires);
        match newest {
            Some(lease) => lease.expires = now + TTL,
            None => self.fail(Invariant::I3, || format!("stale fence {} renewed", fence.counter)),
        }
    }

    fn numbered(&mut self, row: &RevisionRow) {
        let Content { rev, hash, .. } = &row.content;
        let before = self.revisions.insert(*rev, hash.clone());
        self.hold(Invariant::I6, before.is_none_or(|before| before == *hash), || {
            format!("revision {rev} has other content than before")
        });
        if row.status == RevisionStatus::Confirmed {
            self.confirmed.insert((*rev, hash.clone()));
        }
    }

    fn audit(&mut self, row: &AuditRow) {
        let (audited, seq) = (self.audited, row.seq);
        self.hold(Invariant::I6, seq == audited + 1, || format!("audit row {seq} after {audited}"));
        if self.thorough {
            let before = if audited == 0 { audit::genesis().hash } else { self.tip.clone() };
            let verifies = audit::hash(&before, row) == row.hash;
            self.hold(Invariant::I14, verifies, || format!("audit row {seq} does not verify"));
        }
        self.audited = row.seq;
        self.tip.clone_from(&row.hash);
        match row.kind {
            AuditKind::Release | AuditKind::Expiry => self.granted = None,
            AuditKind::Boot => {
                self.granted = None;
                self.starts += 1;
            }
            AuditKind::Rebase => self.edits += 1,
            _ => {}
        }
    }

    /// A revision comes into force provisionally.
    fn applied(&mut self, cause: Cause<'_>, core: Option<&Core>, row: &RevisionRow, head: u64) {
        let Cause::Request(request) = cause else { return };
        let What::Apply { key, if_match, request } = &request.what else { return };
        let (rev, if_match) = (row.content.rev, *if_match);
        self.hold(Invariant::I5, if_match == head, || {
            format!("a change of revision {if_match} was applied on top of {head}")
        });
        let Some(intent) = self.intent(key).cloned() else { return };
        self.hold(Invariant::I4, intent.hash == row.content.hash, || {
            format!("revision {rev} is not what was intended")
        });
        let other = self.provisional.as_ref().map(|before| before.rev);
        self.hold(Invariant::I8, other.is_none(), || {
            format!("revision {rev} is provisional beside {other:?}")
        });
        let armed = core.and_then(Core::armed).filter(|armed| armed.tripped.is_none());
        let foreign = armed.is_some_and(|armed| armed.run != intent.run);
        self.hold(Invariant::I9, !foreign, || {
            format!("revision {rev} changes what another run's phase is changing")
        });
        if let Some(core) = core {
            self.slots(&intent, core.confirmed(), request);
        }
        let deadline = request.confirm_within_ms.map(|ms| self.now + ms);
        let run = intent.run.clone();
        self.provisional = Some(Provisional { rev, run, deadline, intent });
    }

    fn slots(&mut self, intent: &Intent, base: &Content, request: &RevisionRequest) {
        let (before, after) = (scenario::slots(&base.config), scenario::slots(&request.config));
        let Some(owned) = self.owners.get(&intent.run).copied() else { return };
        let altered: Vec<usize> =
            (0..3).filter(|slot| *slot != owned && before[*slot] != after[*slot]).collect();
        if intent.index.is_none() {
            // A rollback writes back what was there before it, whatever came since.
            self.overwritten += u32::from(!altered.is_empty());
            let known = self.confirmed.iter().any(|(_, hash)| *hash == intent.hash);
            return self.hold(Invariant::I11, known, || {
                "a rollback brings back what was never confirmed".to_owned()
            });
        }
        self.hold(Invariant::I9, altered.is_empty(), || {
            format!("run {:?} altered slots {altered:?}, which it does not own", intent.run)
        });
    }

    /// A provisional revision meets its end.
    fn ended(&mut self, cause: Cause<'_>, core: Option<&Core>, rev: u64, status: RevisionStatus) {
        let provisional = self.provisional.take();
        if status != RevisionStatus::Confirmed {
            return;
        }
        if let Some(hash) = self.revisions.get(&rev) {
            self.confirmed.insert((rev, hash.clone()));
        }
        let named = match cause {
            Cause::Edit => return,
            Cause::Request(Request { what: What::Confirm { rev, .. }, .. }) => *rev,
            // A person has asked for it.
            _ => rev,
        };
        let replaced = core.map(|core| core.head().rev) != Some(rev);
        self.hold(Invariant::I7, named == rev && !replaced, || {
            format!("a confirmation of revision {named} confirmed another")
        });
        let Some(provisional) = provisional else {
            return self.fail(Invariant::I7, || format!("revision {rev} was not provisional"));
        };
        let same = provisional.rev == named;
        self.hold(Invariant::I7, same, || {
            let rev = provisional.rev;
            format!("a confirmation of revision {named} confirmed revision {rev}")
        });
        let late = provisional.deadline.is_some_and(|deadline| self.now >= deadline);
        self.hold(Invariant::I8, !late, || format!("revision {rev} was confirmed too late"));
        let Intent { run, index, .. } = provisional.intent;
        let steps = self.steps.entry(run.clone()).or_default();
        let again = steps.iter().any(|(_, step)| *step == index);
        let last = steps.last().map(|(_, step)| *step);
        steps.push((rev, index));
        self.hold(Invariant::I1, index.is_none() || !again, || {
            format!("run {run:?} confirmed move {index:?} twice")
        });
        // Nothing follows a rollback's restore.
        let in_order = index.is_none() || last.is_none_or(|last| last.is_some() && last < index);
        self.hold(Invariant::I2, in_order, || {
            format!("run {run:?} confirmed move {index:?} after {last:?}")
        });
    }

    fn intent(&self, key: &str) -> Option<&Intent> {
        // Where every try gets its own key, the intent is that of the first.
        self.intents.get(key.split('~').next().unwrap_or(key))
    }

    /// A keyed write is accepted.
    fn accepted(&mut self, cause: Cause<'_>, known: &KnownOperation) {
        let Cause::Request(request) = cause else { return };
        let (kind, key) = (known.operation.kind, &known.operation.key);
        let now = self.now;
        let newest =
            |lease: &Granted| now < lease.expires && request.fence.as_ref() == Some(&lease.fence);
        let newest = self.granted.as_ref().is_some_and(newest);
        self.hold(Invariant::I3, newest, || {
            format!("{kind:?} {key:.8} was accepted under a fence that is not the living lease's")
        });
        let Some(intent) = self.intent(key) else {
            return self.fail(Invariant::I4, || format!("{kind:?} {key:.8} was never intended"));
        };
        let rev = match &request.what {
            What::Apply { if_match, .. } => *if_match,
            What::Confirm { rev, .. } | What::Revert { rev, .. } => *rev,
            _ => 0,
        };
        let intended = intent.kind == kind && intent.rev == rev;
        self.hold(Invariant::I4, intended, || {
            format!("{kind:?} {key:.8} of revision {rev} was not intended so")
        });
    }

    /// After every event: what is in force has a right to be.
    pub(super) fn in_force(&mut self, active: &Content, book: &Book, up: bool) {
        if !up {
            return;
        }
        let (rev, now) = (active.rev, self.now);
        let Some(row) = book.revisions.get(&rev) else {
            return self
                .fail(Invariant::I8, || format!("revision {rev} is in force and not on record"));
        };
        if row.status != RevisionStatus::Provisional {
            return;
        }
        let Some(provisional) = self.provisional.as_ref().filter(|found| found.rev == rev) else {
            return self.fail(Invariant::I8, || format!("revision {rev} outlived a restart"));
        };
        let alive = match provisional.deadline {
            Some(deadline) => now < deadline + TICK,
            None => self
                .granted
                .as_ref()
                .is_some_and(|lease| lease.run == provisional.run && now < lease.expires + TICK),
        };
        self.hold(Invariant::I8, alive, || format!("revision {rev} outlived its time"));
    }

    /// A client was refused what it should not have been.
    pub(super) fn refused(&mut self, problem: &crate::control::wire::Problem) {
        self.fail(Invariant::I12, || format!("{:?}: {}", problem.code, problem.detail));
    }

    /// The server started: whatever was provisional must not be any more.
    pub(super) fn started(&mut self, book: &Book) {
        let left = book.provisional.first().copied();
        self.hold(Invariant::I8, left.is_none(), || {
            format!("revision {left:?} is provisional after a start")
        });
    }
}
