//! A world for stories about the core: a hand-moved clock, a store in memory, operators with
//! short names; and the laws, checked after every step.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Acquire, Arming, Caller, Cause, Core, Durable, Interrupted, KnownOperation, Now, Proposal,
    Rebase, Refusal, RevisionRow, Transition, Write,
};
use crate::clock::ManualClock;
use crate::control::armed::{ArmRequest, ArmedGuard, Ask, AskRequest, AskResult, Bound};
use crate::control::config::{CacheMode, Config};
use crate::control::wire::{
    Anchor, AuditKind, AuditRow, Fence, LeaseBreak, LeaseBroken, LeaseRequest, ProblemCode,
    RevisionRequest, RevisionResult, RevisionStatus,
};
use crate::ids::RunId;
use crate::orchestrator::control::audit;

/// How long a lease of these stories lives.
pub(super) const TTL: Duration = Duration::from_secs(30);

/// What a store would hold.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) fence: u64,
    pub(super) revisions: BTreeMap<u64, RevisionRow>,
    pub(super) operations: BTreeMap<String, KnownOperation>,
    pub(super) audit: Vec<AuditRow>,
    pub(super) armed: Option<Arming>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) core: Core,
    pub(super) book: Book,
    pub(super) clock: ManualClock,
    /// The store fails while this is set.
    pub(super) broken: bool,
    leases: u64,
}

pub(super) fn run(name: char) -> RunId {
    let hex = format!("{:02x}", u32::from(name)).repeat(16);
    RunId::try_from(hex).expect("32 hex digits")
}

/// A document that differs from others by `n`.
pub(super) fn document(n: u64) -> Config {
    let mut config = Config::legacy("http://127.0.0.1:8000");
    config.cache.mode = CacheMode::Read;
    config.cache.capacity = n;
    config
}

/// The request that arms a phase with one guard.
pub(super) fn phase(name: &str) -> ArmRequest {
    ArmRequest {
        plan: "plan".parse().expect("a name"),
        phase: name.parse().expect("a name"),
        guards: vec![ArmedGuard {
            id: "error-rate".parse().expect("a name"),
            metric: "error_rate".to_owned(),
            query: None,
            limit: Bound::AtMost(0.05),
            breaches: 1,
            min_samples: 20,
            every_ms: 1000,
            patience_ms: None,
        }],
        canaries: Vec::new(),
        record: "{}".to_owned(),
    }
}

impl World {
    pub(super) fn new() -> Self {
        let clock = ManualClock::default();
        let config = Config::legacy("http://127.0.0.1:8000");
        let birth = Core::birth(Now::of(&clock), "uuid", config, "first start");
        let core = birth.next.clone();
        let mut world = Self { core, book: Book::default(), clock, broken: false, leases: 0 };
        world.take(birth);
        world
    }

    pub(super) fn now(&self) -> Now {
        Now::of(&self.clock)
    }

    pub(super) fn wait(&mut self, time: Duration) -> &mut Self {
        self.clock.advance(time);
        self
    }

    /// What the orchestrator's timer does.
    pub(super) fn tick(&mut self) {
        let transition = self.core.expire(self.now());
        self.take(transition);
    }

    pub(super) fn request(name: char) -> LeaseRequest {
        LeaseRequest {
            run: run(name),
            holder: name.to_string(),
            host: "host".to_owned(),
            pid: 1,
            ttl_ms: 30_000,
            min_token: 0,
            last_anchor: None,
        }
    }

    pub(super) fn lease(&mut self, name: char) -> Result<Fence, ProblemCode> {
        self.acquire(&Self::request(name))
    }

    pub(super) fn acquire(&mut self, request: &LeaseRequest) -> Result<Fence, ProblemCode> {
        self.leases += 1;
        let id = format!("{:016x}", self.leases);
        let anchor_known = request.last_anchor.as_ref().is_none_or(|a| self.book.knows(a));
        let acquire = Acquire { request, id: &id, anchor_known };
        let result = self.core.acquire(self.now(), acquire);
        self.answer(result).map(|grant| grant.fence)
    }

    pub(super) fn renew(&mut self, name: char, fence: &Fence) -> Result<(), ProblemCode> {
        let result = self.core.renew(self.now(), fence, &Self::request(name));
        self.answer(result).map(|_| ())
    }

    pub(super) fn release(&mut self, fence: &Fence) -> Result<(), ProblemCode> {
        let result = self.core.release(self.now(), fence);
        self.answer(result)
    }

    /// Another operator ends the lease with this counter.
    pub(super) fn break_lease(&mut self, counter: u64) -> Result<LeaseBroken, ProblemCode> {
        let request = Self::breaking(counter);
        let result = self.core.break_lease(self.now(), &request);
        self.answer(result)
    }

    pub(super) fn breaking(counter: u64) -> LeaseBreak {
        LeaseBreak {
            counter,
            by: "grace".to_owned(),
            host: "kestrel".to_owned(),
            reason: "her laptop burned".to_owned(),
        }
    }

    /// Applies document `n` on top of `if_match`.
    pub(super) fn apply(
        &mut self,
        fence: &Fence,
        key: &str,
        if_match: u64,
        n: u64,
        within: Option<Duration>,
    ) -> Result<RevisionResult, ProblemCode> {
        let request = RevisionRequest {
            config: document(n),
            confirm_within_ms: within.map(super::millis),
            reason: "a step".to_owned(),
        };
        self.propose(fence, key, if_match, &request)
    }

    pub(super) fn propose(
        &mut self,
        fence: &Fence,
        key: &str,
        if_match: u64,
        request: &RevisionRequest,
    ) -> Result<RevisionResult, ProblemCode> {
        let known = self.book.operations.get(key).cloned();
        let caller = Caller { fence, key, known: known.as_ref() };
        let result = self.core.apply(self.now(), caller, Proposal { if_match, request });
        self.answer(result)
    }

    pub(super) fn confirm(
        &mut self,
        fence: &Fence,
        key: &str,
        rev: u64,
    ) -> Result<RevisionResult, ProblemCode> {
        let known = self.book.operations.get(key).cloned();
        let caller = Caller { fence, key, known: known.as_ref() };
        let result = self.core.confirm(self.now(), caller, rev);
        self.answer(result)
    }

    pub(super) fn revert(
        &mut self,
        fence: &Fence,
        key: &str,
        rev: u64,
    ) -> Result<RevisionResult, ProblemCode> {
        let known = self.book.operations.get(key).cloned();
        let caller = Caller { fence, key, known: known.as_ref() };
        let result = self.core.revert(self.now(), caller, rev);
        self.answer(result)
    }

    pub(super) fn cleanup(
        &mut self,
        fence: &Fence,
        key: &str,
    ) -> Result<RevisionResult, ProblemCode> {
        let known = self.book.operations.get(key).cloned();
        let caller = Caller { fence, key, known: known.as_ref() };
        let result = self.core.cleanup(self.now(), caller);
        self.answer(result)
    }

    pub(super) fn arm(&mut self, fence: &Fence, request: &ArmRequest) -> Result<(), ProblemCode> {
        let result = self.core.arm(self.now(), fence, request);
        self.answer(result).map(|_| ())
    }

    pub(super) fn disarm(&mut self, fence: &Fence) -> Result<(), ProblemCode> {
        let result = self.core.disarm(self.now(), fence, true);
        self.answer(result)
    }

    /// As a run that has not heard of a trip.
    pub(super) fn disarm_unaware(&mut self, fence: &Fence) -> Result<(), ProblemCode> {
        let result = self.core.disarm(self.now(), fence, false);
        self.answer(result)
    }

    /// The guard of [`phase`] is breached.
    pub(super) fn breach(&mut self, name: char) {
        let guard = "error-rate".parse().expect("a name");
        let why = "error_rate 25%, limit at most 5%".to_owned();
        let cause = Cause::Breach { guard: Some(guard), why };
        let phase = self.core.armed().map(|armed| armed.phase.clone());
        let phase = phase.unwrap_or_else(|| "one".parse().expect("a name"));
        let transition = self.core.trip(self.now(), &run(name), &phase, cause);
        let _ = self.answer(Ok(transition));
    }

    /// Ann asks something of a run.
    pub(super) fn ask(&mut self, name: char, ask: Ask) -> Result<AskResult, ProblemCode> {
        let request = AskRequest {
            run: run(name),
            ask,
            by: "ann".to_owned(),
            host: "desk".to_owned(),
            reason: Some("too slow".to_owned()),
        };
        let result = self.core.ask(self.now(), &request);
        self.answer(result)
    }

    pub(super) fn rebase(&mut self, rebase: Rebase) {
        let transition = self.core.rebase(self.now(), rebase, "the legacy app has moved");
        self.take(transition);
    }

    /// A proposal of revision 1's content.
    pub(super) fn original(&self) -> RevisionRequest {
        let config = Config::clone(&self.book.revisions[&1].content.config);
        RevisionRequest { config, confirm_within_ms: None, reason: "back".to_owned() }
    }

    /// Forgets everything that is not in the book, as a crash does, and starts again.
    pub(super) fn restart(&mut self) {
        let durable = self.book.load(self.core.uuid());
        let boot = Core::boot(self.now(), durable);
        self.core = boot.next.clone();
        self.take(boot);
    }

    fn answer<T>(&mut self, result: Result<Transition<T>, Refusal>) -> Result<T, ProblemCode> {
        let transition = result.map_err(|refusal| refusal.code)?;
        if self.broken && !transition.writes.is_empty() {
            return Err(ProblemCode::StoreFailed);
        }
        Ok(self.take(transition))
    }

    fn take<T>(&mut self, Transition { next, writes, reply }: Transition<T>) -> T {
        for write in writes {
            self.book.write(write);
        }
        self.core = next;
        self.check();
        reply
    }

    /// The laws that hold after every transition.
    fn check(&self) {
        let (core, book) = (&self.core, &self.book);
        let provisional = book.with(RevisionStatus::Provisional);
        assert!(provisional.len() <= 1, "more than one provisional revision");
        let head = core.head();
        assert_eq!(book.revisions.keys().next_back(), Some(&head.rev), "the head is the newest");
        assert_eq!(book.with(RevisionStatus::Confirmed).last(), Some(&core.confirmed.rev));
        assert_eq!(provisional.first(), core.pending.as_ref().map(|p| &p.content.rev));
        let stored = &book.revisions[&head.rev].content;
        assert_eq!(stored.hash, head.config.hash(), "what is stored is what is in force");
        assert_eq!(core.fence, book.fence, "the fence is durable");
        let tip = audit::verify(audit::genesis(), book.audit.iter().cloned());
        assert_eq!(tip.as_ref(), Ok(&core.tip), "the audit chain verifies");
        let last = book.audit.last().expect("the birth is on record");
        assert_eq!((last.rev, &last.config_hash), (head.rev, &head.hash), "and is up to date");
        assert_eq!(core.armed.as_deref(), book.armed.as_ref(), "what is armed is durable");
        if let (Some(armed), Some(pending)) = (&core.armed, &core.pending)
            && armed.tripped.is_some()
            && armed.run == pending.run
        {
            assert_eq!(pending.content.hash, armed.target.hash, "a tripped run goes on");
        }
    }
}

impl Book {
    pub(super) fn kinds(&self) -> Vec<AuditKind> {
        self.audit.iter().map(|row| row.kind).collect()
    }

    pub(super) fn with(&self, status: RevisionStatus) -> Vec<u64> {
        let with = self.revisions.values().filter(|row| row.status == status);
        with.map(|row| row.content.rev).collect()
    }

    pub(super) fn knows(&self, anchor: &Anchor) -> bool {
        self.audit.iter().any(|row| row.seq == anchor.seq && row.hash == anchor.hash)
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Birth { .. } | Write::Forget { .. } => {}
            Write::Fence(counter) => {
                assert!(counter > self.fence, "a fence only grows");
                self.fence = counter;
            }
            Write::Revision(row) => {
                let rev = row.content.rev;
                let newest = self.revisions.keys().next_back().copied().unwrap_or(0);
                assert_eq!(rev, newest + 1, "numbers grow without gaps");
                self.revisions.insert(rev, row);
            }
            Write::Status { rev, status } => {
                let row = self.revisions.get_mut(&rev).expect("it was inserted before");
                assert_eq!(row.status, RevisionStatus::Provisional, "an end is final");
                row.status = status;
            }
            Write::Operation(known) => {
                let before = self.operations.insert(known.operation.key.clone(), known);
                assert_eq!(before, None, "a key has one effect");
            }
            Write::Arm(arming) => self.armed = Some(Arming::clone(&arming)),
            Write::Rearm(arming) => {
                let before = self.armed.as_ref().expect("it was armed before");
                assert_eq!((&before.run, &before.record), (&arming.run, &arming.record));
                self.armed = Some(Arming::clone(&arming));
            }
            Write::Disarm => {
                assert!(self.armed.take().is_some(), "only what is armed is disarmed");
            }
            Write::Audit(row) => self.audit.push(row),
        }
    }

    fn load(&self, uuid: &str) -> Durable {
        let confirmed = self.with(RevisionStatus::Confirmed);
        let (current, before) = confirmed.split_last().expect("revision 1 is confirmed");
        let interrupted = self.with(RevisionStatus::Provisional).pop().map(|rev| {
            let row = self.revisions[&rev].clone();
            let run = row.run.expect("a run made it");
            Interrupted { content: row.content, run, reason: row.reason }
        });
        let tip = self.audit.last().expect("the birth is on record");
        Durable {
            uuid: uuid.to_owned(),
            fence: self.fence,
            tip: Anchor { seq: tip.seq, hash: tip.hash.clone() },
            confirmed: self.revisions[current].content.clone(),
            predecessor: before.last().copied(),
            interrupted,
            armed: self.armed.clone(),
        }
    }
}
