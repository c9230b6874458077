//! A change of extensions that is kept when they come up, and taken back when they do not.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::cli::session::under_lease;
use crate::control::client::{Client, Write};
use crate::control::config::{Config, Extension};
use crate::control::failure::control_failure;
use crate::control::observe::{ExtensionState, ExtensionView};
use crate::control::wire::{Fence, LeaseRequest, RevisionRequest, State};
use crate::error::{Code, Failure, Result};
use crate::ids::{ExtensionId, random_hex};
use crate::units::duration;

/// Time between two looks at the extensions, and between two renewals of the lease.
const LOOK: Duration = Duration::from_millis(100);
const RENEW: Duration = Duration::from_secs(10);
/// How many starts a program gets before the change is taken back.
const STARTS: u32 = 3;
/// What comes on top of that.
const SLACK: Duration = Duration::from_secs(5);

/// A change that was agreed to.
pub(super) struct Rollout {
    pub(super) what: &'static str,
    /// Those it is about.
    pub(super) order: Vec<ExtensionId>,
    /// Where the orchestrator stood before.
    pub(super) now: State,
    pub(super) config: Config,
}

/// What was seen of an extension.
enum Seen {
    Up,
    Coming,
    Down(String),
}

impl Rollout {
    /// Puts the change in force, watches, and keeps it or takes it back; returns its revision.
    pub(super) async fn run(&self, client: &Client, reason: String) -> Result<u64> {
        under_lease(client, async |lease, fence| self.under(client, lease, fence, reason).await)
            .await
    }

    async fn under(
        &self,
        client: &Client,
        lease: &LeaseRequest,
        fence: &Fence,
        reason: String,
    ) -> Result<u64> {
        let keys = [random_hex::<16>(), random_hex::<16>()];
        let request =
            RevisionRequest { config: self.config.clone(), confirm_within_ms: None, reason };
        let write = |key| Write { fence, key };
        let applied = client.apply(write(&keys[0]), self.now.head, &request).await;
        let rev = applied.map_err(|error| control_failure(&error))?.body.rev;
        match self.watch(client, lease, fence).await? {
            Ok(()) => {
                let kept = client.confirm(write(&keys[1]), rev).await;
                kept.map_err(|error| control_failure(&error))?;
                Ok(rev)
            }
            Err(why) => {
                let reverted = client.revert(write(&keys[1]), rev).await;
                reverted.map_err(|error| control_failure(&error))?;
                let what = format!("the {} was taken back", self.what);
                Err(Failure::new(Code::RolledBack, what)
                    .why(why)
                    .hint("everything is as it was before; the orchestrator's log says more"))
            }
        }
    }

    /// Waits until all of them run; the inner error says which does not.
    async fn watch(
        &self,
        client: &Client,
        lease: &LeaseRequest,
        fence: &Fence,
    ) -> Result<std::result::Result<(), String>> {
        let (began, patience) = (Instant::now(), self.patience());
        let mut renewed = began;
        loop {
            let list = client.extensions().await.map_err(|error| control_failure(&error))?;
            let mut waits = None;
            for id in &self.order {
                let wanted = self.config.extensions.get(id);
                let view = list.extensions.iter().find(|view| view.id == id.as_str());
                match look(wanted, view) {
                    Seen::Up => {}
                    Seen::Coming => waits = Some(id),
                    Seen::Down(why) => return Ok(Err(format!("`{id}`: {why}"))),
                }
            }
            let Some(id) = waits else { return Ok(Ok(())) };
            if began.elapsed() > patience {
                let patience = duration::format(patience);
                return Ok(Err(format!("`{id}` did not come up within {patience}")));
            }
            if renewed.elapsed() > RENEW {
                renewed = Instant::now();
                client.renew(lease, fence).await.map_err(|error| control_failure(&error))?;
            }
            sleep(LOOK).await;
        }
    }

    fn patience(&self) -> Duration {
        let starts = self.order.iter().filter_map(|id| {
            let process = self.config.extensions.get(id)?.process()?;
            Some(process.start_timeout + process.limits.timeout)
        });
        starts.sum::<Duration>() * STARTS + SLACK
    }
}

fn look(wanted: Option<&Extension>, view: Option<&ExtensionView>) -> Seen {
    let (wanted, view) = match (wanted, view) {
        // Taken out: nothing is left to wait for.
        (None, _) => return Seen::Up,
        (Some(_), None) => return Seen::Coming,
        (Some(wanted), Some(view)) => (wanted, view),
    };
    if view.version != wanted.version {
        return Seen::Coming;
    }
    match view.state {
        ExtensionState::Running if view.replicas >= view.wanted => Seen::Up,
        ExtensionState::Failed => Seen::Down(view.detail.clone()),
        ExtensionState::Waiting if view.restarts >= u64::from(STARTS) => {
            Seen::Down(view.detail.clone())
        }
        ExtensionState::Running | ExtensionState::Waiting | ExtensionState::Starting => {
            Seen::Coming
        }
    }
}
