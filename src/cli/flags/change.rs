//! Changes to the flags in force: under a lease, as one revision, kept at once.

use crate::cli::Context;
use crate::cli::session::{block_on, confirm, under_lease};
use crate::clock::{Clock, SystemClock};
use crate::control::client::{Client, ControlError, Write};
use crate::control::config::Config;
use crate::control::document::check;
use crate::control::failure::control_failure;
use crate::control::wire::{Fence, RevisionRequest, State};
use crate::engine::executor::Stop;
use crate::error::{Code, Failure, Result};
use crate::ids::random_hex;

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
    under_lease(client, async |_, fence| {
        keep(client, fence, head, request).await.map_err(|error| control_failure(&error))
    })
    .await
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
