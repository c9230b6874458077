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
mod program;
mod requests;
mod soak;
mod stop;
mod undo;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Tempo};
use crate::control::client::{Client, ControlError};
use crate::control::wire::{Fence, ProblemCode, Provisional, State};
use crate::error::{Code, Failure};
use crate::ids::{BackupId, MilestoneId, RunId, random_hex};
use crate::ledger::Ledger;
use crate::ledger::fact::{By, Fact, Outcome, RunBegun};
use crate::progress::{Observer, Tick};

use super::decide::Next;
use super::protocol::{Protocol, Want};
use super::state::{Backup, RunState};
use lease::Lease;

pub use criteria::judge_now;
pub use hands::{Approval, BackupTaken, Hands, SuiteResult, Target};
pub use lease::{Stopper, lease_request};
pub use stop::{Left, Signal, Stop};
pub use watch::{Breach, Watch};

/// How long to wait for somebody else's provisional revision to go, between two looks.
const WAIT: Duration = Duration::from_millis(500);

/// How long a process that was asked to stop tries to take back what is provisional; with the
/// lease given back after it, ten seconds are not exceeded.
const LEAVE: Duration = Duration::from_secs(6);

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
    pub attendance: Attendance,
}

/// Who watches the soaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attendance {
    /// Whoever did when the run was last worked on; this process, if it is new.
    #[default]
    AsBefore,
    /// This process.
    Attend,
    /// The orchestrator: the process leaves, and this long after each soak there is time to
    /// confirm.
    Detach(Duration),
}

/// One process's work on one run.
#[derive(Debug)]
pub struct Executor<'a, H> {
    world: World<'a, H>,
    protocol: Protocol,
    tempo: Tempo,
    /// The lease that the conversation is held under, while there is one.
    lease: Option<Lease>,
    /// The orchestrator has answered this process before.
    arrived: bool,
    watch: Watch,
    /// Milestones whose conditions did not hold when they were due.
    missed: BTreeSet<MilestoneId>,
}

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
        let run = plan_run(world.ledger, &*world.clock)?;
        let mut lease = Lease::acquire(world.client, &world.clock, &run, None, 0).await;
        if let Some(ended) = lease.as_ref().err().and_then(|e| left_over(world.ledger, e)) {
            let old = Lease::acquire(world.client, &world.clock, &ended, None, 0).await;
            if let Ok(mut old) = old {
                old.release(world.client).await;
            }
            lease = Lease::acquire(world.client, &world.clock, &run, None, 0).await;
        }
        let mut lease = lease.map_err(|error| Stop::of(error).before_the_run())?;
        let begun = match world.client.state_under(lease.fence()).await {
            Ok(there) => in_flight(&there.body, &run)
                .and_then(|()| nothing_provisional(&there.body))
                .and_then(|()| prepare(&there.body))
                .map_err(Stop::Failed),
            Err(error) => Err(Stop::of(error).before_the_run()),
        };
        let begun = match begun {
            Ok(begun) => begun,
            Err(stop) => {
                lease.release(world.client).await;
                return Err(stop);
            }
        };
        let fact = Fact::RunBegun(Box::new(begun.clone()));
        let recorded = match world.ledger.append(Some(&run), &fact, world.clock.wall()) {
            Ok(recorded) => recorded,
            Err(error) => {
                lease.release(world.client).await;
                return Err(error.into());
            }
        };
        world.observer.fact(&recorded);
        let state = RunState::begin(run, begun)?;
        let (fence, anchor) = (lease.fence().clone(), lease.anchor());
        let protocol = Protocol::granted(state, std::process::id(), fence, anchor);
        Self { lease: Some(lease), arrived: true, ..Self::new(world, protocol) }.agreed().await
    }

    /// Takes up a run that an earlier process left, whatever it left it at.
    ///
    /// # Errors
    /// When the ledger is not a run's, or the orchestrator refuses.
    pub async fn resume(world: World<'a, H>, run: RunId) -> Result<Self, Stop> {
        let facts = world.ledger.facts(&run)?;
        let state = RunState::fold(&run, facts.iter().map(|recorded| &recorded.fact))?;
        world.observer.resumed(&facts);
        let protocol = Protocol::new(state, std::process::id());
        Self::new(world, protocol).agreed().await
    }

    /// Brings ledger and orchestrator together, and says who is going to watch.
    async fn agreed(mut self) -> Result<Self, Stop> {
        let attended = match self.agree().await {
            Ok(()) => self.attend(),
            Err(stop) => Err(stop),
        };
        match attended {
            Ok(()) => Ok(self),
            Err(stop) => Err(self.leave(stop).await),
        }
    }

    fn new(world: World<'a, H>, protocol: Protocol) -> Self {
        let begun = &protocol.state.begun;
        let tempo = Tempo::new(begun.tempo).unwrap_or_default();
        let watch = Watch::new(&begun.guards, tempo);
        Self { world, protocol, tempo, lease: None, arrived: false, watch, missed: BTreeSet::new() }
    }

    /// The id of the run.
    pub fn run(&self) -> &RunId {
        &self.protocol.state.run
    }

    /// Undoes the phase because a person asked for it.
    ///
    /// # Errors
    /// When the ledger refuses.
    pub fn ask_for_rollback(&mut self, by: &By) -> Result<(), Stop> {
        if self.state().rollback.is_none() && self.state().ended.is_none() {
            let why = by.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            self.record(&Fact::RollbackBegun { cause: format!("asked for by {}{why}", by.user) })?;
        }
        Ok(())
    }

    /// Works until there is nothing left to do, or something stands in the way.
    pub async fn work(&mut self) -> Stop {
        loop {
            if let Err(stop) = self.advance().await {
                return self.leave(stop).await;
            }
        }
    }

    /// Does the one next thing.
    async fn advance(&mut self) -> Result<(), Stop> {
        let want = self.want();
        let ending = matches!(want, Want::Act(Next::Ended(_) | Next::End { .. }));
        if self.state().rollback.is_none()
            && !ending
            && let Some(signal) = self.world.stopper.asked()
        {
            return Err(Stop::Interrupted(signal));
        }
        match want {
            Want::Act(next) => self.act(next).await,
            want => self.converse(want).await,
        }
    }

    /// What the protocol wants now.
    fn want(&mut self) -> Want {
        if self.lease.as_ref().is_some_and(Lease::is_lost) {
            self.lose_lease();
        }
        self.protocol.next()
    }

    /// Takes the lease again before anything else is sent, if nobody else has it.
    fn lose_lease(&mut self) {
        self.lease = None;
        self.protocol.lease_lost();
    }

    /// Converses until ledger and orchestrator agree.
    async fn agree(&mut self) -> Result<(), Stop> {
        loop {
            let want = self.want();
            if self.protocol.is_settled() {
                return Ok(());
            }
            self.converse(want).await?;
        }
    }

    /// Does what is the protocol's own business.
    async fn converse(&mut self, want: Want) -> Result<(), Stop> {
        match want {
            Want::Record(fact) => self.record(&fact),
            Want::Send(call) => self.send(call).await,
            Want::Wait { why } => {
                self.pause(WAIT, why).await?;
                self.protocol.waited();
                Ok(())
            }
            Want::Halt { reason, detail } => Err(Stop::Halted(reason, detail)),
            Want::GiveUp(problem) => Err(Stop::of(ControlError::Refused(Box::new(problem)))),
            Want::Act(_) => Ok(()),
        }
    }

    /// Does what only the run itself can do.
    async fn act(&mut self, next: Next) -> Result<(), Stop> {
        match next {
            Next::Backup => self.backup().await,
            Next::Begin { index, attempt } => {
                if self.requirements_hold(index).await? {
                    self.protocol.begin_change(index, attempt);
                }
                Ok(())
            }
            Next::Soak { index } => self.soak(index).await,
            Next::Local { index } => self.local(index).await,
            Next::Judge => self.judge_phase().await,
            Next::Undo { index } => self.undo(index).await,
            Next::End { outcome, summary } => {
                if outcome == Outcome::Done {
                    self.milestones().await?;
                }
                self.record(&Fact::RunEnded { outcome, summary })
            }
            Next::Ended(outcome) => {
                let summary = self.state().ended.as_ref().map(|(_, s)| s.clone());
                Err(Stop::Ended(outcome, summary.unwrap_or_default()))
            }
            _ => unreachable!("the protocol does the rest itself"),
        }
    }

    /// Makes the stop safe, puts it on record, and gives the lease back.
    async fn leave(&mut self, stop: Stop) -> Stop {
        let stop = self.depart(stop).await;
        if let Some(mut lease) = self.lease.take() {
            lease.release(self.world.client).await;
        }
        stop
    }

    async fn depart(&mut self, stop: Stop) -> Stop {
        let fact = match &stop {
            Stop::Interrupted(signal) => Fact::Interrupted { by: signal.name().to_owned() },
            Stop::Paused { by, .. } => Fact::Interrupted { by: by.clone() },
            Stop::Halted(reason, detail) => {
                Fact::Halted { reason: *reason, detail: detail.clone() }
            }
            _ => return stop,
        };
        // Nothing provisional stays behind an operator who walked away.
        let taken_back = matches!(stop, Stop::Halted(..))
            || matches!(tokio::time::timeout(LEAVE, self.take_back()).await, Ok(Ok(())));
        match (self.record(&fact), &stop, self.state().provisional()) {
            (Err(worse), ..) => worse,
            (Ok(()), Stop::Interrupted(signal), Some((_, rev))) if !taken_back => {
                Stop::LeftBehind(*signal, rev)
            }
            (Ok(()), ..) => stop,
        }
    }

    /// Takes what is provisional back, outside a rollback; asks only once.
    async fn take_back(&mut self) -> Result<(), Stop> {
        if !self.protocol.take_back() {
            return Ok(());
        }
        while self.protocol.is_taking_back() {
            match self.want() {
                Want::Record(fact) => self.record(&fact)?,
                Want::Send(call) => {
                    let answer = self.perform(&call).await.map_err(Stop::Lost)?;
                    self.protocol.heard(answer);
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Makes a fact durable, then lets the state and the observer know.
    fn record(&mut self, fact: &Fact) -> Result<(), Stop> {
        let at = self.world.clock.wall();
        let run = &self.protocol.state.run;
        let recorded = self.world.ledger.append(Some(run), fact, at)?;
        self.protocol.recorded(fact)?;
        self.world.observer.fact(&recorded);
        Ok(())
    }

    fn state(&self) -> &RunState {
        &self.protocol.state
    }

    /// The fence that writes outside the protocol carry; none is live without a lease.
    fn fence(&self) -> Fence {
        let lease = self.lease.as_ref().map(|lease| lease.fence().clone());
        lease.or_else(|| self.state().fence.clone()).unwrap_or_default()
    }

    /// Records who watches from here on, where that changes.
    fn attend(&mut self) -> Result<(), Stop> {
        let grace = match self.world.attendance {
            Attendance::AsBefore => return Ok(()),
            Attendance::Attend => None,
            Attendance::Detach(grace) => Some(grace),
        };
        if self.state().detach == grace || self.state().rollback.is_some() {
            return Ok(());
        }
        let ms = |grace: Duration| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.record(&Fact::Detach { grace_ms: grace.map(ms) })
    }

    /// Sleeps a little, letting the observer know why, and comes back early on a signal.
    async fn pause(&mut self, by: Duration, waiting: String) -> Result<(), Stop> {
        let at_ms = self.world.clock.wall().timestamp_millis();
        self.world.observer.tick(&Tick { at_ms, waiting: Some(waiting), ..Tick::default() });
        tokio::time::sleep(by).await;
        match self.world.stopper.asked() {
            Some(signal) if self.state().rollback.is_none() => Err(Stop::Interrupted(signal)),
            _ => Ok(()),
        }
    }

    /// The backup that a phase begins with.
    async fn backup(&mut self) -> Result<(), Stop> {
        let id = match &self.state().backup {
            // Half done by an earlier process: without a manifest it does not count. A new one.
            Backup::Needed | Backup::Intended(_) => backup_id(&*self.world.clock),
            Backup::Taken(_) | Backup::Elsewhere => return Ok(()),
        };
        self.record(&Fact::BackupIntended { backup: id.clone() })?;
        let run = self.run().clone();
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

/// The run of ours that has ended and whose process was killed before it gave the lease back.
///
/// Whoever holds the ledger's lock knows that no process of its runs is alive.
fn left_over(ledger: &Ledger, error: &ControlError) -> Option<RunId> {
    let ControlError::Refused(problem) = error else { return None };
    let lease = problem.lease.as_ref().filter(|_| problem.code == ProblemCode::LeaseHeld)?;
    let runs = ledger.runs(u32::MAX).ok()?;
    let ended = runs.into_iter().find(|row| row.run == lease.run)?.outcome.is_some();
    ended.then(|| lease.run.clone())
}

/// Refuses where a phase of another run is in flight: this one could not change anything.
fn in_flight(there: &State, run: &RunId) -> Result<(), Failure> {
    let other = there.armed.as_ref().filter(|a| a.run != *run && a.tripped.is_none());
    let Some(armed) = other else { return Ok(()) };
    Err(Failure::new(Code::Refused, "a phase of another run is in flight on this orchestrator")
        .why(format!("it is phase `{}` of plan `{}`, run {}", armed.phase, armed.plan, armed.run))
        .hint("finish it where it was begun, or take it over with `ctx init --adopt --ledger NEW`")
        .hint("or take it back with `ctx abort`"))
}

/// The id of a run that is about to begin.
///
/// It is written down before the lease is asked for under it: a process that is killed in between
/// leaves a lease that the next one knows to be its own.
fn plan_run(ledger: &mut Ledger, clock: &dyn Clock) -> Result<RunId, Stop> {
    if let Some(run) = ledger.planned_run()? {
        return Ok(run);
    }
    let run = RunId::random();
    ledger.append(None, &Fact::RunPlanned { run: run.clone() }, clock.wall())?;
    Ok(run)
}

/// Refuses to begin on a change that may yet be reverted: a rollback would bring it back.
fn nothing_provisional(there: &State) -> Result<(), Failure> {
    let Some(Provisional { rev, run, .. }) = &there.provisional else { return Ok(()) };
    Err(Failure::new(Code::Locked, "somebody else's change is not decided yet")
        .why(format!("revision {rev} of run {run} is in force until it is confirmed or reverted"))
        .hint("wait for it: `ctx status`; nothing was begun"))
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
