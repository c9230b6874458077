//! Changes to the flags in force: under a lease, as one revision, kept at once.

use crate::cli::Context;
use crate::cli::session::{block_on, confirm};
use crate::clock::{Clock, SystemClock};
use crate::control::client::{Client, ControlError, Write};
use crate::control::config::Config;
use crate::control::document::check;
use crate::control::failure::control_failure;
use crate::control::wire::{Fence, LeaseRequest, RevisionRequest, State};
use crate::engine::executor::Stop;
use crate::error::{Code, Failure, Result};
use crate::ids::{RunId, random_hex};
use crate::settings;

/// How long a change may take before it lapses by itself.
const TTL_MS: u64 = 30_000;

/// Puts a document in force once a person has confirmed; returns its revision.
///
/// # Errors
/// When it is none, somebody else is at work, nobody confirms, or the orchestrator refuses.
pub(super) fn put(
    context: &Context,
    client: &Client,
    now: &State,
    config: Config,
    (question, reason): (&str, String),
) -> Result<u64> {
    check(&config).map_err(|error| {
        Failure::new(Code::Refused, "the flags cannot be like that").because(&error)
    })?;
    free(now)?;
    confirm(context, question)?;
    let reason = context.reason.clone().unwrap_or(reason);
    let request = RevisionRequest { config, confirm_within_ms: None, reason };
    block_on(apply(client, now.head, &request))
}

/// Makes sure that nobody else is at work.
pub(in crate::cli) fn free(state: &State) -> Result<()> {
    if let Some(lease) = &state.lease {
        return Stop::Held(Box::new(lease.clone()))
            .into_result("ctx status", SystemClock.wall())
            .map(drop);
    }
    if state.provisional.is_some() || state.armed.is_some() {
        return Err(Failure::new(Code::Refused, "a phase is in flight")
            .why("a change of yours would be taken back with it")
            .hint("`ctx status --live` says where it is; `ctx abort` takes it back"));
    }
    Ok(())
}

/// Puts a document in force and keeps it; returns its revision.
async fn apply(client: &Client, head: u64, request: &RevisionRequest) -> Result<u64> {
    let lease = LeaseRequest {
        run: RunId::random(),
        holder: settings::user(),
        host: settings::host(),
        pid: std::process::id(),
        ttl_ms: TTL_MS,
        min_token: 0,
        last_anchor: None,
    };
    let granted = client.acquire(&lease).await.map_err(|error| control_failure(&error))?;
    let fence = granted.body.fence;
    let kept = keep(client, &fence, head, request).await;
    // What was not kept lives and dies with the lease.
    let released = client.release(&fence).await;
    let rev = kept.map_err(|error| control_failure(&error))?;
    released.map_err(|error| control_failure(&error))?;
    Ok(rev)
}

async fn keep(
    client: &Client,
    fence: &Fence,
    head: u64,
    request: &RevisionRequest,
) -> std::result::Result<u64, ControlError> {
    let keys = [random_hex::<16>(), random_hex::<16>()];
    let rev = client.apply(Write { fence, key: &keys[0] }, head, request).await?.body.rev;
    client.confirm(Write { fence, key: &keys[1] }, rev).await?;
    Ok(rev)
}
