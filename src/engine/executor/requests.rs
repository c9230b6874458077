//! Sending: each request again and again, while nobody knows what became of it.

use std::future::Future;
use std::time::Duration;

use super::lease::Lease;
use super::{Executor, Hands, Stop};
use crate::control::client::{ControlError, Write};
use crate::control::wire::{OperationKind, State};
use crate::engine::decide::{Next, decide};
use crate::engine::protocol::{Answer, Call};

/// How long to go on without an answer before the run is left for later. A rollback insists
/// longer: it is what everybody waits for.
const PATIENCE: Duration = Duration::from_secs(60);
const ROLLBACK_PATIENCE: Duration = Duration::from_secs(600);
/// How long somebody who only just came waits for a lease whose request got lost.
const FIRST_PATIENCE: Duration = Duration::from_millis(350);
/// The first pause between two tries, and the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How often something was tried, and since when.
struct Tries {
    began: Duration,
    pause: Duration,
}

impl<H: Hands> Executor<'_, H> {
    /// Sends what the protocol wants sent, until it has an answer.
    pub(super) async fn send(&mut self, call: Call) -> Result<(), Stop> {
        let mut tries = self.tries();
        let answer = loop {
            match self.perform(&call).await {
                Ok(answer) => break answer,
                Err(error) => self.try_again(error, &mut tries).await?,
            }
        };
        self.arrived = true;
        let applied = matches!(answer, Answer::Changed { .. })
            && matches!(decide(self.state()), Next::SendChange { .. });
        self.protocol.heard(answer);
        if applied {
            // From here on, samples are of the new configuration only.
            self.watch.begin(self.world.client).await;
        }
        Ok(())
    }

    /// Sends a request once.
    ///
    /// # Errors
    /// When there is no definite answer from an orchestrator.
    pub(super) async fn perform(&mut self, call: &Call) -> Result<Answer, ControlError> {
        match self.exchange(call).await {
            Err(ControlError::Refused(problem)) if problem.status < 500 => {
                Ok(Answer::Refused(*problem))
            }
            other => other,
        }
    }

    async fn exchange(&mut self, call: &Call) -> Result<Answer, ControlError> {
        let (client, fence) = (self.world.client, self.fence());
        let write = |key| Write { fence: &fence, key };
        let changed = match call {
            Call::Acquire { min_token, last_anchor } => {
                let lease = Lease::acquire(
                    client,
                    &self.world.clock,
                    self.run(),
                    last_anchor.clone(),
                    *min_token,
                );
                let lease = self.lease.insert(lease.await?);
                let (fence, anchor) = (lease.fence().clone(), lease.anchor());
                return Ok(Answer::Granted { fence, anchor });
            }
            Call::State => {
                let reply = match self.lease {
                    // Ordered after the grant, and refused when the lease is gone.
                    Some(_) => client.state_under(&fence).await?,
                    None => client.state().await?,
                };
                return Ok(Answer::State(Box::new(reply.body)));
            }
            Call::Operation { key } => {
                return client.operation_under(&fence, key).await.map(Answer::Operation);
            }
            Call::Arm(request) => {
                let reply = client.arm(&fence, request).await?;
                return Ok(Answer::Armed { target: reply.body.target, anchor: reply.anchor });
            }
            Call::Disarm { taken_back } => {
                return client.disarm(&fence, *taken_back).await.map(|_| Answer::Disarmed);
            }
            Call::Apply { key, if_match, request } => {
                client.apply(write(key), *if_match, request).await?
            }
            Call::Confirm { key, rev } => client.confirm(write(key), *rev).await?,
            Call::Revert { key, rev } => client.revert(write(key), *rev).await?,
        };
        Ok(Answer::Changed { rev: changed.body.rev, anchor: changed.anchor })
    }

    /// Where the orchestrator stands, however long it takes to answer.
    pub(super) async fn there(&mut self) -> Result<State, Stop> {
        let client = self.world.client;
        self.insist(|| client.state()).await.map(|reply| reply.body)
    }

    /// Reads something outside the protocol, and again while there is no answer.
    pub(super) async fn insist<T, F>(&mut self, mut read: impl FnMut() -> F) -> Result<T, Stop>
    where
        F: Future<Output = Result<T, ControlError>>,
    {
        let mut tries = self.tries();
        loop {
            match read().await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.try_again(error, &mut tries).await?,
            }
        }
    }

    fn tries(&self) -> Tries {
        Tries { began: self.world.clock.boot(), pause: PAUSE }
    }

    /// Waits before the next try, longer each time; or gives up.
    ///
    /// The same key and bytes make it safe to send a request again.
    async fn try_again(&mut self, error: ControlError, tries: &mut Tries) -> Result<(), Stop> {
        if !error.is_transient() {
            return Err(Stop::Refused(error));
        }
        let rolling_back = self.state().rollback.is_some();
        let patience = match (self.arrived, rolling_back) {
            // Whoever only just came wants to know at once that nobody is there.
            (false, _) if !matches!(error, ControlError::Unknown { .. }) => Duration::ZERO,
            (false, _) => FIRST_PATIENCE,
            (true, false) => PATIENCE,
            (true, true) => ROLLBACK_PATIENCE,
        };
        if self.world.clock.boot().saturating_sub(tries.began) >= patience {
            return Err(Stop::Lost(error));
        }
        let what = if rolling_back { "rollback pending: " } else { "" };
        self.pause(tries.pause, format!("{what}{error}; trying again")).await?;
        tries.pause = (tries.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }

    pub(super) fn key(&self, position: &str, attempt: u32, kind: OperationKind) -> String {
        self.protocol.key(position, attempt, kind)
    }
}
