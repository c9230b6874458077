//! A running orchestrator as the source of a backup and the sink of a restore.
//!
//! A restore is a write like any other: it holds the lease from before the safety backup until
//! the last part is back, so that nobody changes in between what a person was shown.

use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::create::{Captured, Source};
use super::error::EdgeError;
use super::restore::Sink;
use super::{archive, blocking, sqlite};
use crate::control::client::{Client, ControlError, Write};
use crate::control::config::Config;
use crate::control::inbox::{InboxEvents, InboxRestored};
use crate::control::observe::CacheSnapshot;
use crate::control::wire::{Fence, LeaseRequest, RevisionRequest};
use crate::ids::{RunId, random_hex};
use crate::ledger::view::OrchestratorRow;

/// How long the lease lives without a renewal.
const TTL: Duration = Duration::from_secs(30);

/// How often a write is sent whose answer did not arrive.
const TRIES: u32 = 5;

/// About how many bytes of events go into one request; no event has more than 25 MiB, which are 50
/// in hex, and a request may have 64.
const REQUEST: usize = 8 << 20;

/// Time from one try to the next.
const PAUSE: Duration = Duration::from_millis(200);

/// An orchestrator that can be asked for its parts.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    pub client: &'a Client,
}

impl Source for Live<'_> {
    async fn config(&self) -> Result<Captured, EdgeError> {
        let state = self.client.state().await?.body;
        Ok(Captured {
            url: self.client.url().to_owned(),
            state_uuid: state.state_uuid,
            rev: state.head,
            config: state.config,
            config_hash: state.config_hash,
        })
    }

    async fn database(&self, into: &Path) -> Result<(), EdgeError> {
        let bytes = self.client.database().await?;
        let into = into.to_path_buf();
        Ok(blocking(move || std::fs::write(into, bytes)).await?)
    }

    async fn inbox(&self, into: &Path) -> Result<bool, EdgeError> {
        let Some(bytes) = self.client.inbox_database().await? else { return Ok(false) };
        let into = into.to_path_buf();
        let write = move || archive::new_file(&into).and_then(|mut file| file.write_all(&bytes));
        blocking(write).await?;
        Ok(true)
    }

    async fn cache(&self) -> Result<CacheSnapshot, EdgeError> {
        Ok(self.client.cache().await?)
    }
}

/// An orchestrator whose lease is held, so that its parts can be put back.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    pub client: &'a Client,
    pub fence: &'a Fence,
}

impl Sink for Held<'_> {
    async fn config(&self, config: Config, reason: &str) -> Result<(), EdgeError> {
        let head = self.client.state().await?.body.head;
        let request =
            RevisionRequest { config, confirm_within_ms: None, reason: reason.to_owned() };
        // One key for each write: sent again, it is answered again and not done again.
        let (apply, confirm) = (random_hex::<32>(), random_hex::<32>());
        let write = |key| Write { fence: self.fence, key };
        let applied = answered(|| self.client.apply(write(&apply), head, &request)).await?;
        answered(|| self.client.confirm(write(&confirm), applied.body.rev)).await?;
        Ok(())
    }

    async fn cache(&self, cache: CacheSnapshot) -> Result<(), EdgeError> {
        Ok(answered(|| self.client.restore_cache(self.fence, &cache)).await?)
    }

    async fn inbox(&self, restored: PathBuf) -> Result<InboxRestored, EdgeError> {
        let (mut after, mut sum) = (0, InboxRestored::default());
        loop {
            let path = restored.clone();
            let next = blocking(move || sqlite::inbox_events(&path, after, REQUEST)).await?;
            let Some((last, events)) = next else { return Ok(sum) };
            let request = InboxEvents { begins: after == 0, events };
            // Not sent again by itself: what was taken is known, but the first would be refused.
            let done = self.client.restore_inbox(self.fence, &request).await?;
            sum.restored += done.restored;
            sum.known += done.known;
            after = last;
        }
    }
}

/// Sends a write until it is answered.
async fn answered<T, F>(send: impl Fn() -> F) -> Result<T, ControlError>
where
    F: Future<Output = Result<T, ControlError>>,
{
    let mut tries = 1;
    loop {
        match send().await {
            Err(error) if error.is_transient() && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// Does something while holding the orchestrator's lease, and gives it back afterwards.
///
/// `seen` is what the ledger last saw of this orchestrator. When the lease is lost, `work` is
/// dropped where it stands.
///
/// # Errors
/// What `work` fails with; or when the lease is somebody else's or is lost.
pub async fn with_lease<T, E: From<ControlError>>(
    client: &Client,
    seen: Option<OrchestratorRow>,
    work: impl AsyncFnOnce(&Fence) -> Result<T, E>,
) -> Result<T, E> {
    let request = LeaseRequest {
        run: RunId::random(),
        holder: crate::settings::user(),
        host: crate::settings::host(),
        pid: std::process::id(),
        ttl_ms: u64::try_from(TTL.as_millis()).expect("a small number"),
        min_token: seen.as_ref().map_or(0, |seen| seen.fence),
        last_anchor: seen.map(|seen| seen.anchor),
    };
    let fence = client.acquire(&request).await?.body.fence;
    let renewal = LeaseRequest { last_anchor: None, ..request };
    let result = tokio::select! {
        done = work(&fence) => done,
        lost = keep(client, &renewal, &fence) => Err(lost.into()),
    };
    if let Err(error) = client.release(&fence).await {
        tracing::debug!(%error, "the lease was not given back; it lapses by itself");
    }
    result
}

/// Renews every third of the lease's life, until it is refused.
async fn keep(client: &Client, request: &LeaseRequest, fence: &Fence) -> ControlError {
    loop {
        tokio::time::sleep(TTL / 3).await;
        match client.renew(request, fence).await {
            Err(error) if !error.is_transient() => return error,
            Err(error) => tracing::debug!(%error, "the lease was not renewed"),
            Ok(_) => {}
        }
    }
}
