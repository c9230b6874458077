//! Changing the configuration: intent, request, outcome.

use std::future::Future;
use std::time::Duration;

use super::{Executor, Hands, Stop};
use crate::control::client::{ControlError, Write};
use crate::control::config::Config;
use crate::control::wire::{Operation, OperationKind, ProblemCode, RevisionRequest};
use crate::engine::key::key;
use crate::engine::moves::Act;
use crate::engine::state::{MoveState, Restore};
use crate::ledger::fact::{At, Fact, HaltReason};

/// The position under which a rollback's restore is keyed.
const RESTORE: &str = "(restore)";
/// How long to go on without an answer before the run is left for later. A rollback insists
/// longer: it is what everybody waits for.
const PATIENCE: Duration = Duration::from_secs(60);
const ROLLBACK_PATIENCE: Duration = Duration::from_secs(600);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl<H: Hands> Executor<'_, H> {
    /// Judges what the move requires, and if it holds, records the intent to make the change.
    pub(super) async fn begin_change(&mut self, index: usize, attempt: u32) -> Result<(), Stop> {
        let at = self.state.moves[index].at.clone();
        if !self.requirements_hold(index).await? {
            return Ok(());
        }
        // The base is what the orchestrator has now; a change by somebody else shows as drift.
        let there = self.there().await?;
        if there.provisional.is_some() || there.config_hash != self.state.expected().hash() {
            return self.reconcile().await;
        }
        let key = self.key(&at.to_string(), attempt, OperationKind::Apply);
        let target_hash = self.target(index).hash();
        self.record(&Fact::ChangeIntended { at, attempt, key, if_match: there.head, target_hash })
    }

    pub(super) async fn send_change(&mut self, index: usize) -> Result<(), Stop> {
        let MoveState::Intended { key, if_match, .. } = self.state.at[index].clone() else {
            return Ok(());
        };
        let at = self.state.moves[index].at.clone();
        let request = RevisionRequest {
            config: self.target(index),
            confirm_within_ms: None,
            reason: self.reason(&at),
        };
        let (client, fence) = (self.world.client, self.fence());
        let write = Write { fence: &fence, key: &key };
        match self.insist(|| client.apply(write, if_match, &request)).await {
            Ok(reply) => {
                let rev = reply.body.rev;
                self.record(&Fact::ChangeApplied { at, rev, anchor: reply.anchor })?;
                self.watch.begin(client).await;
                Ok(())
            }
            Err(stop) => self.answer(stop, Some(at)).await,
        }
    }

    pub(super) fn begin_confirm(&mut self, index: usize, rev: u64) -> Result<(), Stop> {
        let at = self.state.moves[index].at.clone();
        let attempt = match &self.state.at[index] {
            MoveState::Soaked { attempt, .. } => *attempt,
            _ => 1,
        };
        let key = self.key(&at.to_string(), attempt, OperationKind::Confirm);
        self.record(&Fact::ConfirmIntended { at, rev, key })
    }

    pub(super) async fn send_confirm(&mut self, index: usize) -> Result<(), Stop> {
        let MoveState::Confirming { rev, key, .. } = self.state.at[index].clone() else {
            return Ok(());
        };
        let at = self.state.moves[index].at.clone();
        let (client, fence) = (self.world.client, self.fence());
        let write = Write { fence: &fence, key: &key };
        match self.insist(|| client.confirm(write, rev)).await {
            Ok(reply) => {
                let (rev, anchor) = (reply.body.rev, reply.anchor);
                self.record(&Fact::ChangeConfirmed { at, rev, anchor })?;
                self.milestones().await
            }
            Err(stop) => self.answer(stop, None).await,
        }
    }

    pub(super) fn begin_revert(&mut self, rev: u64) -> Result<(), Stop> {
        let key = self.key(&format!("(revert {rev})"), 1, OperationKind::Revert);
        self.record(&Fact::RevertIntended { rev, key })
    }

    pub(super) async fn send_revert(&mut self, rev: u64) -> Result<(), Stop> {
        let Some((_, key)) = self.state.rollback.as_ref().and_then(|r| r.reverting.clone()) else {
            return Ok(());
        };
        let (client, fence) = (self.world.client, self.fence());
        let write = Write { fence: &fence, key: &key };
        match self.insist(|| client.revert(write, rev)).await {
            Ok(reply) => self.record(&Fact::Reverted { rev, head: reply.body.rev }),
            Err(stop) => self.answer(stop, None).await,
        }
    }

    /// Takes the provisional revision back outside a rollback: a person asked the run to stop.
    pub(super) async fn take_back(&mut self, rev: u64) -> Result<(), Stop> {
        let key = self.key(&format!("(revert {rev})"), 1, OperationKind::Revert);
        self.record(&Fact::RevertIntended { rev, key: key.clone() })?;
        let fence = self.fence();
        let write = Write { fence: &fence, key: &key };
        let reply = self.world.client.revert(write, rev).await.map_err(Stop::Lost)?;
        self.record(&Fact::Reverted { rev, head: reply.body.rev })
    }

    /// Records the intent to write the target back, unless it is already in force.
    pub(super) async fn begin_restore(&mut self, attempt: u32) -> Result<(), Stop> {
        let there = self.there().await?;
        if let Some(provisional) = there.provisional {
            let waiting = format!("revision {} is provisional and not ours", provisional.rev);
            return self.pause(Duration::from_millis(500), waiting).await;
        }
        let target_hash = self.state.target().hash();
        if there.config_hash == target_hash {
            let (rev, anchor) = (there.head, Some(there.anchor));
            return self.record(&Fact::RestoreConfirmed { rev, anchor });
        }
        let key = self.key(RESTORE, attempt, OperationKind::Apply);
        let if_match = there.head;
        self.record(&Fact::RestoreIntended { attempt, key, if_match, target_hash })
    }

    pub(super) async fn send_restore(&mut self) -> Result<(), Stop> {
        let Some(Restore::Intended { key, if_match, .. }) = self.restoring() else {
            return Ok(());
        };
        let request = RevisionRequest {
            config: self.state.target().clone(),
            confirm_within_ms: None,
            reason: format!("phase {}, rollback", self.state.begun.phase.id),
        };
        let (client, fence) = (self.world.client, self.fence());
        let write = Write { fence: &fence, key: &key };
        match self.insist(|| client.apply(write, if_match, &request)).await {
            Ok(reply) => self.record(&Fact::RestoreApplied { rev: reply.body.rev }),
            Err(stop) => self.answer(stop, None).await,
        }
    }

    pub(super) fn begin_restore_confirm(&mut self, rev: u64) -> Result<(), Stop> {
        let attempt = self.restoring().map_or(1, |restore| restore.attempt());
        let key = self.key(RESTORE, attempt, OperationKind::Confirm);
        self.record(&Fact::RestoreConfirmIntended { rev, key })
    }

    pub(super) async fn send_restore_confirm(&mut self) -> Result<(), Stop> {
        let Some(Restore::Confirming { rev, key }) = self.restoring() else { return Ok(()) };
        let (client, fence) = (self.world.client, self.fence());
        let write = Write { fence: &fence, key: &key };
        match self.insist(|| client.confirm(write, rev)).await {
            Ok(reply) => {
                let (rev, anchor) = (reply.body.rev, reply.anchor);
                self.record(&Fact::RestoreConfirmed { rev, anchor })
            }
            Err(stop) => self.answer(stop, None).await,
        }
    }

    /// Reads the configuration back and compares it, byte for byte in canonical form.
    pub(super) async fn read_back(&mut self) -> Result<(), Stop> {
        let there = self.there().await?;
        let equal = there.config.canonical() == self.state.target().canonical();
        let (rev, config_hash) = (there.head, there.config.hash());
        self.record(&Fact::ReadBack { rev, config_hash, equal })
    }

    /// Asks what became of a request.
    pub(super) async fn operation(&mut self, key: &str) -> Result<Option<Operation>, Stop> {
        let client = self.world.client;
        self.insist(|| client.operation(key)).await
    }

    /// Sends a request, and sends it again while nobody knows what became of it.
    ///
    /// The same key and bytes make that safe. Any definite refusal comes back at once.
    pub(super) async fn insist<T, F>(&mut self, mut send: impl FnMut() -> F) -> Result<T, Stop>
    where
        F: Future<Output = Result<T, ControlError>>,
    {
        let began = self.world.clock.boot();
        let mut pause = Duration::from_millis(50);
        loop {
            let error = match send().await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_transient() => error,
                Err(error) => return Err(Stop::Refused(error)),
            };
            let rolling_back = self.state.rollback.is_some();
            let patience = if rolling_back { ROLLBACK_PATIENCE } else { PATIENCE };
            if self.world.clock.boot().saturating_sub(began) > patience {
                return Err(Stop::Lost(error));
            }
            let what = if rolling_back { "rollback pending: " } else { "" };
            self.pause(pause, format!("{what}{error}; trying again")).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A refusal is never improvised around: what can be known is found out, and the loop decides
    /// again.
    async fn answer(&mut self, stop: Stop, at: Option<At>) -> Result<(), Stop> {
        let Stop::Refused(error) = stop else { return Err(stop) };
        match (error.code(), at) {
            (Some(ProblemCode::StaleFence), _) => self.retake().await,
            (Some(ProblemCode::KeyReused), _) => {
                Err(Stop::Halted(HaltReason::Tampered, error.to_string()))
            }
            (Some(ProblemCode::InvalidConfig), Some(at)) => {
                let why = error.to_string();
                self.record(&Fact::ChangeVoid { at: at.clone(), why: why.clone() })?;
                self.record(&Fact::StepFailed { at, why })
            }
            (
                Some(
                    ProblemCode::HeadMoved
                    | ProblemCode::ProvisionalExists
                    | ProblemCode::NotProvisional,
                ),
                _,
            ) => self.reconcile().await,
            _ => Err(Stop::Refused(error)),
        }
    }

    pub(super) fn key(&self, position: &str, attempt: u32, kind: OperationKind) -> String {
        key(&self.state.begun.phase_hash, &self.state.run, position, attempt, kind)
    }

    fn target(&self, index: usize) -> Config {
        match &self.state.moves[index].act {
            Act::Change { target } => (**target).clone(),
            Act::Local(_) => self.state.expected().clone(),
        }
    }

    fn restoring(&self) -> Option<Restore> {
        self.state.rollback.as_ref().map(|rollback| rollback.restore.clone())
    }

    fn reason(&self, at: &At) -> String {
        format!("phase {}, step {at}", self.state.begun.phase.id)
    }
}
