//! The lease: one holder at a time, proved by a fence that only grows.

use std::time::Duration;

use super::draft::About;
use super::{Core, Draft, Lease, MAX_COUNTER, Now, Refusal, Transition, Write};
use crate::control::wire::{AuditKind, Fence, LeaseGrant, LeaseRequest, ProblemCode};
use crate::rules::{Rule, holds};

/// A request for the lease, with what the core cannot know or draw by itself.
#[derive(Clone, Copy, Debug)]
pub struct Acquire<'a> {
    pub request: &'a LeaseRequest,
    /// 16 fresh random hex digits.
    pub id: &'a str,
    /// Whether the caller's last anchor is in the audit chain; true when it gave none.
    pub anchor_known: bool,
}

impl Core {
    /// Grants the lease under a new fence; a run may take over its own.
    ///
    /// # Errors
    /// [`ProblemCode::LeaseHeld`] by another run, [`ProblemCode::StateRegression`] when the
    /// caller has seen a state that this one does not descend from.
    pub fn acquire(
        &self,
        now: Now,
        acquire: Acquire<'_>,
    ) -> Result<Transition<LeaseGrant>, Refusal> {
        let Acquire { request, id, anchor_known } = acquire;
        check(request)?;
        let mut draft = Draft::new(self, now);
        if let Some(lease) = draft.core.lease.as_ref().filter(|lease| lease.run != request.run)
            && holds(Rule::OneHolder)
        {
            return Err(Refusal {
                code: ProblemCode::LeaseHeld,
                detail: format!("held by {}@{}, run {}", lease.holder, lease.host, lease.run),
                lease: draft.core.lease(now).map(Box::new),
            });
        }
        if !anchor_known && holds(Rule::Regression) {
            return Err(Refusal::new(
                ProblemCode::StateRegression,
                "the anchor is not in this orchestrator's audit chain: it was restored to an \
                 older state, or it is another orchestrator",
            ));
        }
        let seen = if holds(Rule::FenceRatchet) { request.min_token } else { 0 };
        let counter = draft.core.fence.max(seen).saturating_add(1);
        if counter > MAX_COUNTER {
            return Err(Refusal::new(ProblemCode::BadRequest, "`min_token` is too large"));
        }
        let kind = match draft.core.lease {
            Some(_) => AuditKind::Takeover,
            None => AuditKind::Grant,
        };
        let fence = Fence { counter, id: id.to_owned() };
        draft.core.fence = counter;
        draft.core.lease = Some(Lease {
            fence: fence.clone(),
            run: request.run.clone(),
            holder: request.holder.clone(),
            host: request.host.clone(),
            pid: request.pid,
            expires: now.boot + Duration::from_millis(request.ttl_ms),
            renewed: now.boot,
        });
        draft.write(Write::Fence(counter));
        // Whoever takes the run up has been told by the state.
        draft.forget_asked(&request.run);
        let about = About { run: Some(&request.run), fence: Some(counter), key: None };
        let detail =
            format!("granted to {}@{}, process {}", request.holder, request.host, request.pid);
        draft.audit(kind, &about, detail);
        let reply = draft.core.grant(fence, request.ttl_ms);
        Ok(draft.finish(reply))
    }

    /// Prolongs the lease. Nothing durable changes, and a deadline is not moved.
    ///
    /// # Errors
    /// [`ProblemCode::StaleFence`] when the lease is not the caller's any more.
    pub fn renew(
        &self,
        now: Now,
        fence: &Fence,
        request: &LeaseRequest,
    ) -> Result<Transition<LeaseGrant>, Refusal> {
        check(request)?;
        let mut draft = Draft::new(self, now);
        let stale = self.holder(now, fence).map(|lease| lease.run != request.run)?;
        if stale {
            return Err(Refusal::new(
                ProblemCode::StaleFence,
                "the fence was granted to another run",
            ));
        }
        let lease = draft.core.lease.as_mut().expect("its holder was just checked");
        lease.expires = now.boot + Duration::from_millis(request.ttl_ms);
        lease.renewed = now.boot;
        let reply = draft.core.grant(fence.clone(), request.ttl_ms);
        Ok(draft.finish(reply))
    }

    /// Gives the lease back; a provisional revision that lives with it is reverted.
    ///
    /// # Errors
    /// [`ProblemCode::StaleFence`] when the lease is not the caller's any more.
    pub fn release(&self, now: Now, fence: &Fence) -> Result<Transition<()>, Refusal> {
        self.holder(now, fence)?;
        let mut draft = Draft::new(self, now);
        draft.end_lease(AuditKind::Release, "was released");
        Ok(draft.finish(()))
    }

    fn grant(&self, fence: Fence, ttl_ms: u64) -> LeaseGrant {
        LeaseGrant { fence, ttl_ms, state_uuid: self.uuid.clone() }
    }
}

fn check(request: &LeaseRequest) -> Result<(), Refusal> {
    let bad = |text: &str| Err(Refusal::new(ProblemCode::BadRequest, text));
    if !(1000..=600_000).contains(&request.ttl_ms) {
        return bad("`ttl_ms` must be within 1,000..=600,000");
    }
    if request.holder.chars().count() > 255 || request.host.chars().count() > 255 {
        return bad("`holder` and `host` may have at most 255 characters");
    }
    Ok(())
}
