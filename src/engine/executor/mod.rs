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
mod stop;
mod undo;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::clock::{Clock, Tempo};
use crate::control::client::Client;
use crate::control::wire::{Fence, State};
use crate::error::Failure;
use crate::ids::{BackupId, MilestoneId, RunId, random_hex};
use crate::ledger::Ledger;
use crate::ledger::fact::{By, Fact, Outcome, RunBegun};
use crate::progress::{Observer, Tick};

use super::decide::{Next, decide};
use super::recover::{Finding, open_key, recover};
use super::state::{Backup, RunState};
use lease::Lease;
use watch::Watch;

pub use criteria::judge_now;
pub use hands::{Approval, BackupTaken, Hands, SuiteResult, Target};
pub use lease::Stopper;
pub use stop::{Signal, Stop};

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
        let lease = Lease::acquire(&world, &run, None, 0).await;
        let mut lease = lease.map_err(Stop::before_the_run)?;
        let begun = match world.client.state().await {
            Ok(there) => prepare(&there.body).map_err(Stop::Failed),
            Err(error) => Err(Stop::Lost(error).before_the_run()),
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
