//! Holding the lease: taken before anything is written, renewed in the background, given back at
//! the end.
//!
//! The executor fences itself: when two thirds of the lease's life have passed without an answer
//! it stops sending changes, a good while before the orchestrator would take the lease away.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Signal;
use crate::clock::Clock;
use crate::control::client::{Client, ControlError};
use crate::control::wire::{Anchor, Fence, LeaseRequest};
use crate::ids::RunId;

/// How long a lease lives without a renewal.
const TTL: Duration = Duration::from_secs(30);
/// The longest time until a lost lease is noticed.
const STRIDE: Duration = Duration::from_millis(200);

/// A lease that is held, and the task that keeps it.
#[derive(Debug)]
pub(super) struct Lease {
    fence: Fence,
    anchor: Option<Anchor>,
    health: watch::Receiver<Health>,
    clock: Arc<dyn Clock>,
    keeper: JoinHandle<()>,
}

/// What the keeper knows.
#[derive(Clone, Copy, Debug)]
struct Health {
    /// When the orchestrator last agreed, on the monotonic clock.
    agreed: Duration,
    /// It said that the lease is somebody else's, or nobody's.
    refused: bool,
}

/// Lets the loop see that somebody asked it to stop.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Receiver<Option<Signal>>);

impl Stopper {
    pub fn new(signals: watch::Receiver<Option<Signal>>) -> Self {
        Self(signals)
    }

    /// The signal that asked, if one did.
    pub fn asked(&self) -> Option<Signal> {
        *self.0.borrow()
    }

    /// Waits for a signal; for ever, if nobody can send one any more.
    pub async fn wait(&self) -> Signal {
        let mut signals = self.0.clone();
        if let Ok(signal) = signals.wait_for(Option::is_some).await
            && let Some(signal) = *signal
        {
            return signal;
        }
        std::future::pending().await
    }
}

/// What a run asks for when it asks for the lease.
pub fn lease_request(run: &RunId, last_anchor: Option<Anchor>, min_token: u64) -> LeaseRequest {
    LeaseRequest {
        run: run.clone(),
        holder: crate::settings::user(),
        host: crate::settings::host(),
        pid: std::process::id(),
        ttl_ms: u64::try_from(TTL.as_millis()).expect("a small number"),
        min_token,
        last_anchor,
    }
}

impl Lease {
    /// Takes the lease for `run`, asking once; the same run takes its own lease over.
    pub(super) async fn acquire(
        client: &Client,
        clock: &Arc<dyn Clock>,
        run: &RunId,
        last_anchor: Option<Anchor>,
        min_token: u64,
    ) -> Result<Self, ControlError> {
        let request = lease_request(run, last_anchor, min_token);
        // Counted from before the request: the orchestrator cannot have agreed any earlier.
        let agreed = clock.boot();
        let grant = client.acquire(&request).await?;
        let fence = grant.body.fence;
        let (tell, health) = watch::channel(Health { agreed, refused: false });
        let keeper = tokio::spawn(keep(
            client.clone(),
            LeaseRequest { last_anchor: None, ..request },
            fence.clone(),
            Arc::clone(clock),
            tell,
        ));
        Ok(Self { fence, anchor: grant.anchor, health, clock: Arc::clone(clock), keeper })
    }

    pub(super) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// The anchor that came with the grant.
    pub(super) fn anchor(&self) -> Option<Anchor> {
        self.anchor.clone()
    }

    /// Whether changes must not be sent any more.
    pub(super) fn is_lost(&self) -> bool {
        let health = *self.health.borrow();
        let silent = self.clock.boot().saturating_sub(health.agreed);
        health.refused || silent > TTL * 2 / 3
    }

    /// Waits until changes must not be sent any more.
    pub(super) async fn lost(&self) {
        while !self.is_lost() {
            tokio::time::sleep(STRIDE).await;
        }
    }

    /// Gives the lease back; a lease that cannot be given back lapses.
    pub(super) async fn release(&mut self, client: &Client) {
        self.keeper.abort();
        if let Err(error) = client.release(&self.fence).await {
            tracing::debug!(%error, "the lease was not given back; it lapses by itself");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Renews every third of the lease's life, until it is refused.
async fn keep(
    client: Client,
    request: LeaseRequest,
    fence: Fence,
    clock: Arc<dyn Clock>,
    tell: watch::Sender<Health>,
) {
    loop {
        tokio::time::sleep(TTL / 3).await;
        let (mut health, asked) = (*tell.borrow(), clock.boot());
        match client.renew(&request, &fence).await {
            Ok(_) => health.agreed = asked,
            Err(ControlError::Refused(problem)) if problem.status < 500 => health.refused = true,
            Err(error) => tracing::debug!(%error, "the lease was not renewed"),
        }
        if tell.send(health).is_err() || health.refused {
            return;
        }
    }
}
