//! The loop: record the intent, act, record the outcome.
//!
//! Everything that was begun is either found finished or done again, so the loop needs no memory
//! of its own besides the lease and the guards' streaks. It stops at safe points only: when a
//! person interrupts it, the provisional revision is taken back first; when the process is killed,
//! the orchestrator takes it back when the lease lapses, and the next process finds out.

mod criteria;
mod hands;
mod lease;
mod local;
mod requests;
mod soak;
mod undo;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::clock::{Clock, Tempo, rfc3339};
use crate::control::client::{Client, ControlError};
use crate::control::wire::{Fence, LeaseView, State};
use crate::error::{Code, Failure};
use crate::ids::{BackupId, MilestoneId, RunId, random_hex};
use crate::ledger::fact::{By, Fact, HaltReason, Outcome, RunBegun};
use crate::ledger::{Ledger, LedgerError};
use crate::progress::{Observer, Tick};

use super::decide::{Next, decide};
use super::recover::{Finding, open_key, recover};
use super::state::{Backup, RunState, StateError};
use lease::Lease;
use watch::Watch;

pub use criteria::judge_now;
pub use hands::{Approval, BackupTaken, Hands, SuiteResult, Target};
pub use lease::Stopper;

/// Why the loop came back.
#[derive(Debug)]
pub enum Stop {
    /// The run has ended; the sentence says how.
    Ended(Outcome, String),
    /// A person must approve first.
    Awaiting(String),
    /// A signal asked it to stop, and it stopped at a safe point.
    Interrupted(Signal),
    /// It cannot go on by itself.
    Halted(HaltReason, String),
    /// Somebody else holds the lease.
    Held(Box<LeaseView>),
    /// The orchestrator did not answer for too long.
    Lost(ControlError),
    /// The orchestrator refused something that it should not have.
    Refused(ControlError),
    /// Refused before anything was recorded.
    Failed(Failure),
    Ledger(LedgerError),
    State(StateError),
}

/// The signals that ask a run to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, SIGHUP, or a closed terminal.
    Terminate,
}

impl Signal {
    /// The signal's name, as people know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// What a run acts with.
#[derive(Debug)]
pub struct World<'a, H> {
    pub ledger: &'a mut Ledger,
    pub client: &'a Client,
    pub observer: &'a mut dyn Observer,
    pub hands: &'a mut H,
    pub clock: Arc<dyn Clock>,
    pub stopper: Stopper,
    /// Programs and requests to other services are named, not sent.
    pub rehearsal: bool,
}

/// One process's work on one run.
#[derive(Debug)]
pub struct Executor<'a, H> {
    world: World<'a, H>,
    state: RunState,
    tempo: Tempo,
    lease: Lease,
    watch: Watch,
    /// Milestones whose conditions did not hold when they were due.
    missed: BTreeSet<MilestoneId>,
    /// How often a change came to nothing in this process.
    voids: u32,
}

/// After so many changes that came to nothing, the phase fails instead of trying for ever.
const MOST_VOIDS: u32 = 3;

impl<'a, H: Hands> Executor<'a, H> {
    /// Begins a new run: takes the lease, reads where the orchestrator stands, records the run.
    ///
    /// The read follows the grant, so nothing that an older lease sent can still change what it
    /// says. `prepare` makes the run's first fact from it, or refuses.
    ///
    /// # Errors
    /// When the ledger, the orchestrator or `prepare` refuses; nothing was recorded then.
    pub async fn begin(
        world: World<'a, H>,
        prepare: impl FnOnce(&State) -> Result<RunBegun, Failure>,
    ) -> Result<Self, Stop> {
        let run = RunId::random();
        let mut lease = Lease::acquire(&world, &run, None, 0).await?;
        let begun = match world.client.state().await.map_err(Stop::Lost) {
            Ok(there) => prepare(&there.body).map_err(Stop::Failed),
            Err(stop) => Err(stop),
        };
        let begun = match begun {
            Ok(begun) => begun,
            Err(stop) => {
                lease.release(world.client).await;
                return Err(stop);
            }
        };
        let fact = Fact::RunBegun(Box::new(begun.clone()));
        let recorded = world.ledger.append(Some(&run), &fact, world.clock.wall())?;
        world.observer.fact(&recorded);
        let state = RunState::begin(run, begun)?;
        let mut executor = Self::new(world, state, lease);
        executor.record_lease()?;
        Ok(executor)
    }

    /// Takes up a run that an earlier process left, whatever it left it at.
    ///
    /// # Errors
    /// When the ledger is not a run's, or the orchestrator refuses.
    pub async fn resume(world: World<'a, H>, run: RunId) -> Result<Self, Stop> {
        let facts = world.ledger.facts(&run)?;
        let state = RunState::fold(&run, facts.iter().map(|recorded| &recorded.fact))?;
        world.observer.resumed(&facts);
        let token = state.fence.as_ref().map_or(0, |fence| fence.counter);
        let lease = match Lease::acquire(&world, &run, state.anchor.clone(), token).await {
            Ok(lease) => lease,
            Err(Stop::Halted(reason, detail)) => {
                let fact = Fact::Halted { reason, detail: detail.clone() };
                let recorded = world.ledger.append(Some(&run), &fact, world.clock.wall())?;
                world.observer.fact(&recorded);
                return Err(Stop::Halted(reason, detail));
            }
            Err(stop) => return Err(stop),
        };
        let mut executor = Self::new(world, state, lease);
        executor.record_lease()?;
        executor.reconcile().await?;
        Ok(executor)
    }

    fn new(world: World<'a, H>, state: RunState, lease: Lease) -> Self {
        let tempo = Tempo::new(state.begun.tempo).unwrap_or_default();
        let watch = Watch::new(&state.begun.guards, tempo);
        let missed = BTreeSet::new();
        Self { world, state, tempo, lease, watch, missed, voids: 0 }
    }

    /// The id of the run.
    pub fn run(&self) -> &RunId {
        &self.state.run
    }

    /// Undoes the phase because a person asked for it.
    ///
    /// # Errors
    /// When the ledger refuses.
    pub fn ask_for_rollback(&mut self, by: &By) -> Result<(), Stop> {
        if self.state.rollback.is_none() && self.state.ended.is_none() {
            let why = by.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            self.record(&Fact::RollbackBegun { cause: format!("asked for by {}{why}", by.user) })?;
        }
        Ok(())
    }

    /// Works until there is nothing left to do, or something stands in the way.
    pub async fn work(&mut self) -> Stop {
        let stop = loop {
            match self.advance().await {
                Ok(()) => {}
                Err(Stop::Ended(outcome, summary)) => break Stop::Ended(outcome, summary),
                Err(stop) => break self.leave(stop).await,
            }
        };
        self.lease.release(self.world.client).await;
        stop
    }

    /// Does the one next thing.
    async fn advance(&mut self) -> Result<(), Stop> {
        if self.lease.is_lost() {
            self.retake().await?;
        }
        let next = decide(&self.state);
        if self.state.rollback.is_none()
            && !matches!(next, Next::Ended(_) | Next::End { .. })
            && let Some(signal) = self.world.stopper.asked()
        {
            return Err(Stop::Interrupted(signal));
        }
        match next {
            Next::Backup => self.backup().await,
            Next::Begin { index, attempt } => self.begin_change(index, attempt).await,
            Next::SendChange { index } => self.send_change(index).await,
            Next::Soak { index } => self.soak(index).await,
            Next::BeginConfirm { index, rev } => self.begin_confirm(index, rev),
            Next::SendConfirm { index } => self.send_confirm(index).await,
            Next::Local { index } => self.local(index).await,
            Next::Judge => self.judge_phase().await,
            Next::BeginRollback { cause } => self.record(&Fact::RollbackBegun { cause }),
            Next::BeginRevert { rev } => self.begin_revert(rev),
            Next::SendRevert { rev } => self.send_revert(rev).await,
            Next::BeginRestore { attempt } => self.begin_restore(attempt).await,
            Next::SendRestore => self.send_restore().await,
            Next::BeginRestoreConfirm { rev } => self.begin_restore_confirm(rev),
            Next::SendRestoreConfirm => self.send_restore_confirm().await,
            Next::Undo { index } => self.undo(index).await,
            Next::ReadBack => self.read_back().await,
            Next::End { outcome, summary } => {
                if outcome == Outcome::Done {
                    self.milestones().await?;
                }
                self.record(&Fact::RunEnded { outcome, summary })
            }
            Next::Ended(outcome) => {
                let summary = self.state.ended.as_ref().map(|(_, s)| s.clone());
                Err(Stop::Ended(outcome, summary.unwrap_or_default()))
            }
        }
    }

    /// Makes the stop safe: nothing provisional stays behind an operator who walked away.
    async fn leave(&mut self, stop: Stop) -> Stop {
        if let Stop::Interrupted(signal) = stop {
            if let Some((_, rev)) = self.state.provisional()
                && let Err(worse) = self.take_back(rev).await
            {
                // The orchestrator takes it back itself when the lease lapses.
                tracing::warn!(?worse, "could not take back revision {rev}");
            }
            if let Err(worse) = self.record(&Fact::Interrupted { by: signal.name().to_owned() }) {
                return worse;
            }
        }
        if let Stop::Halted(reason, detail) = &stop {
            let fact = Fact::Halted { reason: *reason, detail: detail.clone() };
            if let Err(worse) = self.record(&fact) {
                return worse;
            }
        }
        stop
    }

    /// Makes a fact durable, then lets the state and the observer know.
    fn record(&mut self, fact: &Fact) -> Result<(), Stop> {
        let at = self.world.clock.wall();
        let recorded = self.world.ledger.append(Some(&self.state.run), fact, at)?;
        self.state.evolve(fact)?;
        self.world.observer.fact(&recorded);
        Ok(())
    }

    fn record_lease(&mut self) -> Result<(), Stop> {
        let (fence, anchor) = (self.lease.fence().clone(), self.lease.anchor());
        self.record(&Fact::LeaseTaken { fence, anchor, pid: std::process::id() })
    }

    fn fence(&self) -> Fence {
        self.lease.fence().clone()
    }

    /// Takes the lease again after it was lost, if nobody else has it, and finds out what the
    /// world came to meanwhile.
    async fn retake(&mut self) -> Result<(), Stop> {
        let token = self.lease.fence().counter;
        let anchor = self.state.anchor.clone();
        self.lease = Lease::acquire(&self.world, &self.state.run, anchor, token).await?;
        self.record_lease()?;
        self.reconcile().await
    }

    /// Compares the ledger's tail with the orchestrator until they agree.
    async fn reconcile(&mut self) -> Result<(), Stop> {
        loop {
            let there = self.there().await?;
            let op = match open_key(&self.state).map(str::to_owned) {
                Some(key) => self.operation(&key).await?,
                None => None,
            };
            match recover(&self.state, op.as_ref(), &there) {
                Finding::GoOn => return Ok(()),
                Finding::Record(fact) => {
                    self.count_void(&fact)?;
                    self.record(&fact)?;
                }
                Finding::Wait { rev } => {
                    let waiting = format!("revision {rev} is provisional and not ours");
                    self.pause(std::time::Duration::from_millis(500), waiting).await?;
                }
                Finding::Halt { reason, detail } => return Err(Stop::Halted(reason, detail)),
            }
        }
    }

    /// A change that keeps coming to nothing fails the phase.
    fn count_void(&mut self, fact: &Fact) -> Result<(), Stop> {
        if let Fact::ChangeVoid { at, why } = fact {
            self.voids += 1;
            if self.voids >= MOST_VOIDS {
                let why = format!("came to nothing {} times; last: {why}", self.voids);
                self.record(&Fact::StepFailed { at: at.clone(), why })?;
            }
        }
        Ok(())
    }

    /// Where the orchestrator stands, however long it takes to answer.
    async fn there(&mut self) -> Result<State, Stop> {
        let client = self.world.client;
        self.insist(|| client.state()).await.map(|reply| reply.body)
    }

    /// Sleeps a little, letting the observer know why, and comes back early on a signal.
    async fn pause(&mut self, by: std::time::Duration, waiting: String) -> Result<(), Stop> {
        let at_ms = self.world.clock.wall().timestamp_millis();
        self.world.observer.tick(&Tick { at_ms, waiting: Some(waiting), ..Tick::default() });
        tokio::time::sleep(by).await;
        match self.world.stopper.asked() {
            Some(signal) if self.state.rollback.is_none() => Err(Stop::Interrupted(signal)),
            _ => Ok(()),
        }
    }

    /// The backup that a phase begins with.
    async fn backup(&mut self) -> Result<(), Stop> {
        let id = match &self.state.backup {
            // Half done by an earlier process: without a manifest it does not count. A new one.
            Backup::Needed | Backup::Intended(_) => backup_id(&*self.world.clock),
            Backup::Taken(_) => return Ok(()),
        };
        self.record(&Fact::BackupIntended { backup: id.clone() })?;
        let run = self.state.run.clone();
        match self.world.hands.backup(self.world.client, &id, Some(&run)).await {
            Ok(taken) => self.record(&Fact::BackupDone {
                backup: id,
                path: taken.path,
                bytes: taken.bytes,
                manifest_hash: taken.manifest_hash,
            }),
            Err(failure) => {
                let summary = format!("no backup, so nothing was changed: {}", chain(&failure));
                self.record(&Fact::RunEnded { outcome: Outcome::Held, summary })
            }
        }
    }
}

/// A new id for a backup: the time, and four digits against two in one second.
pub fn backup_id(clock: &dyn Clock) -> BackupId {
    let time = clock.wall().format("%Y%m%dt%H%M%S");
    let id = format!("b-{time}-{}", random_hex::<2>());
    id.parse().expect("a time and hex digits make a name")
}

/// A failure and its causes in one line.
pub fn chain(failure: &Failure) -> String {
    std::iter::once(&failure.what)
        .chain(&failure.why)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(": ")
}

impl Stop {
    /// What the process exits with, or the failure it prints.
    ///
    /// # Errors
    /// For everything that is not a plain end.
    pub fn into_result(
        self,
        again: &str,
        now: chrono::DateTime<chrono::Utc>,
    ) -> crate::error::Result<Code> {
        let resume = format!("go on with `{again}`");
        let failure = match self {
            Self::Ended(Outcome::Done, _) => return Ok(Code::Done),
            Self::Ended(Outcome::RolledBack, summary) => Failure::new(
                Code::RolledBack,
                "the phase failed and was rolled back",
            )
            .why(summary)
            .hint("the configuration is the one from before the phase, read back and compared")
            .hint("see what happened: `ctx report`"),
            Self::Ended(Outcome::Held | Outcome::Abandoned, summary) => {
                Failure::new(Code::Failed, "the phase failed and was not rolled back")
                    .why(summary)
                    .hint("undo it with `ctx rollback`, or begin it again")
            }
            Self::Ended(Outcome::RollbackIncomplete, summary) => Failure::new(
                Code::RollbackIncomplete,
                "the rollback is incomplete: a person is needed",
            )
            .why(summary)
            .hint("see what is not undone: `ctx report`"),
            Self::Awaiting(prompt) => {
                Failure::new(Code::Awaiting, "the phase waits for an approval")
                    .why(prompt)
                    .hint(format!("approve it with `{again} --yes`"))
            }
            Self::Interrupted(signal) => {
                let code = match signal {
                    Signal::Interrupt => Code::Interrupted,
                    Signal::Terminate => Code::Terminated,
                };
                Failure::new(code, format!("stopped by {} at a safe point", signal.name()))
                    .why("what was provisional was taken back; confirmed steps stay")
                    .hint(resume)
                    .hint("or undo the phase with `ctx rollback`")
            }
            Self::Halted(reason, detail) => halted(reason, detail, &resume),
            Self::Held(lease) => {
                Failure::new(Code::Locked, "somebody else is changing this orchestrator")
                    .why(format!(
                        "run {} of {}@{} (pid {}), last heard of {:.1} s ago, holds the lease \
                         until {}",
                        lease.run,
                        lease.holder,
                        lease.host,
                        lease.pid,
                        std::time::Duration::from_millis(lease.heartbeat_age_ms).as_secs_f64(),
                        rfc3339(now + std::time::Duration::from_millis(lease.expires_in_ms)),
                    ))
                    .hint("wait for it, or ask them; a dead holder's lease lapses by itself")
            }
            Self::Lost(error) => {
                Failure::new(Code::Unreachable, "the orchestrator does not answer")
                    .because(&error)
                    .hint("what is provisional is taken back by the orchestrator itself")
                    .hint(resume)
            }
            Self::Refused(error) => {
                let code = match error.code() {
                    Some(crate::control::wire::ProblemCode::StaleFence) => Code::LeaseLost,
                    _ => Code::Refused,
                };
                Failure::new(code, "the orchestrator refused").because(&error).hint(resume)
            }
            Self::Failed(failure) => failure,
            Self::Ledger(error) => error.into(),
            Self::State(error) => {
                Failure::new(Code::LedgerDamaged, "the ledger's facts do not fit together")
                    .because(&error)
                    .hint("check it with `ctx ledger verify`")
            }
        };
        Err(failure)
    }
}

fn halted(reason: HaltReason, detail: String, resume: &str) -> Failure {
    let (code, what, hint) = match reason {
        HaltReason::Drift => (
            Code::Refused,
            "halted: the configuration was changed by somebody else",
            "look at it with `ctx status`; undo the phase with `ctx rollback`",
        ),
        HaltReason::WrongOrchestrator => (
            Code::Refused,
            "halted: this is another orchestrator than the one the run began on",
            "check `--orchestrator` and the plan's `[orchestrator] url`",
        ),
        HaltReason::StateRegression => (
            Code::Refused,
            "halted: the orchestrator was restored to an older state",
            "find out who restored it; `ctx rollback` writes the configuration from before",
        ),
        HaltReason::Tampered => (
            Code::LedgerDamaged,
            "halted: the orchestrator knows a request of ours with other bytes",
            "check the ledger with `ctx ledger verify`",
        ),
        HaltReason::PlanChanged => (
            Code::PlanEdited,
            "halted: the plan was edited since the run began",
            "put the plan back, or undo the phase with `ctx rollback`",
        ),
    };
    Failure::new(code, what).why(detail).hint(hint).hint(format!("then {resume}"))
}
