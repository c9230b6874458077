//! The orchestrator: the real core over a book in memory, killed at any point of a transaction.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::book::Book;
use super::mutants::Switch;
use super::network::{Answered, Request, What};
use super::rng::Rng;
use super::scenario;
use super::witness::{Cause, Witness};
use crate::control::armed::{Ask, AskRequest, AskResult};
use crate::control::wire::{Problem, ProblemCode, RevisionRequest, RevisionResult, State};
use crate::engine::protocol::Answer;
use crate::orchestrator::control::core::{
    Acquire, Arming, Caller, Cause as Breach, Content, Core, KnownOperation, Now, Proposal, Rebase,
    Refusal, Transition,
};

/// How long the orchestrator remembers a key where that rule is missing.
const SHORT_MEMORY: u64 = 3_000;

/// What a call meets besides the orchestrator itself.
pub(super) struct Here<'a> {
    pub(super) now: u64,
    pub(super) rng: &'a mut Rng,
    pub(super) witness: &'a mut Witness,
    /// Per mille of transactions that end with a crash.
    pub(super) kills: u64,
}

impl Here<'_> {
    fn instant(&self) -> Now {
        let wall_ms = i64::try_from(self.now).expect("a small number");
        Now { boot: Duration::from_millis(self.now), wall_ms }
    }
}

#[derive(Debug)]
pub(super) struct Server {
    /// None while it is down.
    pub(super) core: Option<Core>,
    pub(super) book: Book,
    /// What the data plane has in force.
    pub(super) active: Content,
    pub(super) copy: Option<Book>,
    /// The book before the last transaction, where a crash loses that.
    before: Option<Book>,
    pub(super) switches: Vec<Switch>,
    started: u64,
    /// A breach that the store has not taken yet.
    owed: Option<(Arc<Arming>, Breach)>,
    leases: u64,
    edits: u64,
}

/// A transaction was not carried out.
enum Failed {
    /// The process is dead; whether the transaction is on disk depends on when it died.
    Dead,
    Refused(Box<Refusal>),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl Server {
    pub(super) fn born(here: &mut Here<'_>, switches: &[Switch]) -> Self {
        let birth = Core::birth(here.instant(), "u", scenario::birth(), "");
        let mut server = Self {
            active: birth.next.head().clone(),
            core: Some(birth.next.clone()),
            book: Book::default(),
            copy: None,
            before: None,
            switches: switches.to_vec(),
            started: here.now,
            owed: None,
            leases: 0,
            edits: 0,
        };
        let calm = here.kills;
        here.kills = 0;
        let _ = server.commit(here, Cause::Start, birth);
        here.kills = calm;
        server
    }

    fn has(&self, switch: Switch) -> bool {
        self.switches.contains(&switch)
    }

    /// The next instant at which time alone does something.
    pub(super) fn wakes_at(&self) -> Option<u64> {
        let core = self.core.as_ref()?;
        if self.owed.is_some() {
            return Some(0);
        }
        let at = core.wakes_at()?;
        Some(u64::try_from(at.as_millis()).expect("a small number") + 1)
    }

    /// The process dies; the disk stays, up to the last transaction where that rule is missing.
    pub(super) fn crash(&mut self) {
        (self.core, self.owed) = (None, None);
        if let Some(before) = self.before.take() {
            self.book = before;
        }
    }

    /// The process starts on what the disk holds; with `edit`, with another configuration.
    pub(super) fn start(&mut self, here: &mut Here<'_>, edit: bool) {
        let kills = std::mem::replace(&mut here.kills, 0);
        let mut durable = self.book.load("u");
        if self.has(Switch::VolatileFence) {
            durable.fence = 0;
        }
        self.started = here.now;
        let boot = Core::boot(here.instant(), durable);
        self.active = boot.next.head().clone();
        self.core = Some(boot.next.clone());
        let _ = self.commit(here, Cause::Start, boot);
        here.witness.started(&self.book);
        if edit && let Some(core) = &self.core {
            let rebase = Rebase {
                head: Some(scenario::edited(&core.head().config)),
                target: core.armed().map(|armed| scenario::edited(&armed.target.config)),
            };
            let rebase = core.rebase(here.instant(), rebase, "");
            let _ = self.commit(here, Cause::Edit, rebase);
        }
        here.kills = kills;
    }

    /// An older state is put back while the process is down.
    pub(super) fn restore(&mut self, witness: &mut Witness) {
        if let Some(copy) = self.copy.take() {
            self.crash();
            self.book = copy;
            witness.restored(&self.book);
        }
    }

    /// Does what time alone brings about.
    pub(super) fn tick(&mut self, here: &mut Here<'_>) {
        let _ = self.settle(here);
    }

    /// Somebody else changes the configuration in the proper way, if nobody is at it.
    pub(super) fn edit(&mut self, here: &mut Here<'_>) -> bool {
        let kills = std::mem::replace(&mut here.kills, 0);
        let done = self.try_edit(here);
        here.kills = kills;
        done.is_ok()
    }

    fn try_edit(&mut self, here: &mut Here<'_>) -> Result<(), Failed> {
        self.settle(here)?;
        self.edits += 1;
        let run = scenario::run_id(99, self.edits);
        let request = crate::control::wire::LeaseRequest {
            run,
            holder: String::new(),
            host: String::new(),
            pid: 1,
            ttl_ms: 30_000,
            min_token: 0,
            last_anchor: None,
        };
        let fence = {
            let core = self.up()?;
            let config = scenario::edited(&core.head().config);
            if !self.book.provisional.is_empty() || core.armed().is_some() {
                return Err(Failed::Dead);
            }
            let id = self.lease_id();
            let acquire = Acquire { request: &request, id: &id, anchor_known: true };
            let grant = self.up()?.acquire(here.instant(), acquire)?;
            let fence = self.commit(here, Cause::Edit, grant)?.fence;
            let request =
                RevisionRequest { config, confirm_within_ms: None, reason: String::new() };
            let if_match = self.up()?.head().rev;
            let key = format!("edit {} apply", self.edits);
            let caller = Caller { fence: &fence, key: &key, known: None };
            let proposal = Proposal { if_match, request: &request };
            let applied = self.up()?.apply(here.instant(), caller, proposal)?;
            let rev = self.commit(here, Cause::Edit, applied)?.rev;
            let key = format!("edit {} confirm", self.edits);
            let caller = Caller { fence: &fence, key: &key, known: None };
            let confirmed = self.up()?.confirm(here.instant(), caller, rev)?;
            self.commit(here, Cause::Edit, confirmed)?;
            here.witness.edits += 1;
            fence
        };
        let released = self.up()?.release(here.instant(), &fence)?;
        self.commit(here, Cause::Edit, released)
    }

    /// Answers a request; or not, because that killed it.
    pub(super) fn handle(&mut self, here: &mut Here<'_>, request: &Request) -> Option<Answered> {
        if self.core.is_none() {
            return Some(Answered::Unreachable);
        }
        let answer = match self.transact(here, request) {
            Ok(answered) => return Some(answered),
            Err(Failed::Dead) => return None,
            Err(Failed::Refused(refusal)) => Answer::Refused(problem(*refusal)),
        };
        Some(Answered::Answer(Rc::new(answer)))
    }

    fn transact(&mut self, here: &mut Here<'_>, request: &Request) -> Result<Answered, Failed> {
        if !self.has(Switch::NoSettling) {
            self.settle(here)?;
        }
        let (now, cause) = (here.instant(), Cause::Request(request));
        let fence = request.fence.clone().unwrap_or_default();
        let result = match &request.what {
            What::Lease(lease) if request.fence.is_some() => {
                let renewed = self.up()?.renew(now, &fence, lease)?;
                self.commit(here, Cause::Renewal(&fence), renewed)?;
                return Ok(Answered::Fine);
            }
            What::Lease(lease) => {
                let by_number = self.has(Switch::AnchorByNumber);
                let known = |anchor| self.book.knows(anchor, by_number);
                let anchor_known = lease.last_anchor.as_ref().is_none_or(known);
                let id = self.lease_id();
                let acquire = Acquire { request: lease, id: &id, anchor_known };
                let granted = self.up()?.acquire(now, acquire)?;
                here.witness.anchored(request, &self.book);
                let fence = granted.reply.fence.clone();
                self.commit(here, Cause::Grant(request, &fence), granted)?;
                Answer::Granted { fence, anchor: self.anchor() }
            }
            What::Release => {
                let released = self.up()?.release(now, &fence)?;
                self.commit(here, cause, released)?;
                return Ok(Answered::Fine);
            }
            What::State => {
                if let Some(fence) = &request.fence {
                    self.up()?.fenced(now, fence)?;
                }
                Answer::State(Box::new(self.state(here)?))
            }
            What::Operation { key } => {
                self.up()?.fenced(now, &fence)?;
                let known = self.known(here.now, key).filter(|_| !self.has(Switch::NoOperations));
                Answer::Operation(known.map(|known| known.operation))
            }
            What::Apply { key, if_match, request } => {
                let known = self.known(here.now, key);
                let caller = Caller { fence: &fence, key, known: known.as_ref() };
                let proposal = Proposal { if_match: *if_match, request };
                let applied = self.up()?.apply(now, caller, proposal)?;
                changed(&self.commit(here, cause, applied)?, self)
            }
            What::Confirm { key, rev } => {
                let known = self.known(here.now, key);
                let caller = Caller { fence: &fence, key, known: known.as_ref() };
                let confirmed = self.up()?.confirm(now, caller, *rev)?;
                changed(&self.commit(here, cause, confirmed)?, self)
            }
            What::Revert { key, rev } => {
                let known = self.known(here.now, key);
                let caller = Caller { fence: &fence, key, known: known.as_ref() };
                let reverted = self.up()?.revert(now, caller, *rev)?;
                changed(&self.commit(here, cause, reverted)?, self)
            }
            What::Arm(request) => {
                let armed = self.up()?.arm(now, &fence, request)?;
                let target = self.commit(here, cause, armed)?.target;
                Answer::Armed { target, anchor: self.anchor() }
            }
            What::Disarm { taken_back } => {
                let disarmed = self.up()?.disarm(now, &fence, *taken_back)?;
                self.commit(here, cause, disarmed)?;
                Answer::Disarmed
            }
            What::Guards => {
                let armed = self.up()?.armed().map(|armed| Rc::new(armed.view()));
                return Ok(Answered::Guards(armed));
            }
        };
        Ok(Answered::Answer(Rc::new(result)))
    }

    fn up(&self) -> Result<&Core, Failed> {
        self.core.as_ref().ok_or(Failed::Dead)
    }

    fn anchor(&self) -> Option<crate::control::wire::Anchor> {
        self.core.as_ref().map(|core| core.anchor().clone())
    }

    fn lease_id(&mut self) -> String {
        self.leases += 1;
        format!("{:016x}", self.leases)
    }

    fn known(&self, now: u64, key: &str) -> Option<KnownOperation> {
        let (at, known) = self.book.operations.get(key)?;
        let expired = self.has(Switch::ShortMemory) && now - at > SHORT_MEMORY;
        (!expired).then(|| known.clone())
    }

    /// A guard is breached: the phase is taken back, on record or not.
    pub(super) fn breach(&mut self, here: &mut Here<'_>) {
        let Some(armed) = self.core.as_ref().and_then(Core::armed).cloned() else { return };
        let guard = Some("g".parse().expect("a name"));
        let cause = Breach::Breach { guard, why: "too much".to_owned() };
        self.owed.get_or_insert((armed, cause));
        let _ = self.settle_owed(here);
    }

    /// A person asks something of the run whose guards are armed.
    pub(super) fn ask(&mut self, here: &mut Here<'_>, ask: Ask) -> Option<AskResult> {
        self.settle(here).ok()?;
        let core = self.core.as_ref()?;
        let request = AskRequest {
            run: core.armed()?.run.clone(),
            ask,
            by: String::new(),
            host: String::new(),
            reason: None,
        };
        let asked = core.ask(here.instant(), &request).ok()?;
        self.commit(here, Cause::Person, asked).ok()
    }

    fn settle_owed(&mut self, here: &mut Here<'_>) -> Result<(), Failed> {
        let Some((armed, cause)) = self.owed.clone() else { return Ok(()) };
        let tripped = self.up()?.trip(here.instant(), &armed.run, &armed.phase, cause);
        match self.commit(here, Cause::Person, tripped) {
            Err(Failed::Refused(refusal)) => {
                if self.up()?.head().hash != armed.target.hash {
                    self.active = armed.target.clone();
                }
                Err(Failed::Refused(refusal))
            }
            Err(dead) => Err(dead),
            Ok(()) => {
                self.owed = None;
                Ok(())
            }
        }
    }

    fn settle(&mut self, here: &mut Here<'_>) -> Result<(), Failed> {
        self.settle_owed(here)?;
        let Some(core) = &self.core else { return Err(Failed::Dead) };
        let now = here.instant();
        if core.wakes_at().is_none_or(|at| now.boot < at) {
            return Ok(());
        }
        let expired = core.expire(now);
        let confirmed = core.confirmed().clone();
        match self.commit(here, Cause::Time, expired) {
            Err(Failed::Refused(refusal)) => {
                // Falling back does not depend on a disk.
                self.active = confirmed;
                Err(Failed::Refused(refusal))
            }
            other => other,
        }
    }

    /// Commits, and only then takes over and puts in force; or dies before, between or after.
    fn commit<T>(
        &mut self,
        here: &mut Here<'_>,
        cause: Cause<'_>,
        transition: Transition<T>,
    ) -> Result<T, Failed> {
        let Transition { next, writes, reply } = transition;
        let hazard = if writes.is_empty() { 1000 } else { here.rng.within(0, 1000) };
        if self.has(Switch::ActivateFirst) {
            self.active = next.head().clone();
        }
        if hazard < here.kills / 2 {
            return Err(Refusal::new(ProblemCode::StoreFailed, "").into());
        }
        if hazard < here.kills {
            self.crash();
            return Err(Failed::Dead);
        }
        if self.has(Switch::LosesTransaction) && !writes.is_empty() && here.kills > 0 {
            self.before = Some(self.book.clone());
        }
        here.witness.committing(cause, self.core.as_ref(), &writes);
        for write in &writes {
            self.book.write(here.now, write);
        }
        if hazard < here.kills * 2 {
            self.crash();
            return Err(Failed::Dead);
        }
        if next.head().rev != self.active.rev {
            self.active = next.head().clone();
        }
        self.core = Some(next);
        Ok(reply)
    }

    fn state(&self, here: &Here<'_>) -> Result<State, Failed> {
        let (core, now) = (self.up()?, here.instant());
        let head = core.head();
        Ok(State {
            state_uuid: core.uuid().to_owned(),
            version: String::new(),
            head: head.rev,
            confirmed: core.confirmed().rev,
            provisional: core.provisional(now),
            lease: core.lease(now),
            anchor: core.anchor().clone(),
            config: Clone::clone(&head.config),
            config_hash: head.hash.clone(),
            data_addr: String::new(),
            up_ms: here.now - self.started,
            life: core.life(),
            armed: core.armed().map(|armed| armed.view()),
            origins: Vec::new(),
        })
    }
}

fn changed(result: &RevisionResult, server: &Server) -> Answer {
    Answer::Changed { rev: result.rev, anchor: server.anchor() }
}

fn problem(refusal: Refusal) -> Problem {
    let Refusal { code, detail, lease } = refusal;
    Problem {
        kind: String::new(),
        title: code.title().to_owned(),
        status: code.status(),
        detail,
        code,
        lease: lease.map(|lease| *lease),
    }
}
