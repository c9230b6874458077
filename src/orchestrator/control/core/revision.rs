//! Revisions: applied provisionally, then confirmed or reverted, each at most once per key.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::draft::About;
use super::{
    Caller, Content, Core, Draft, KnownOperation, Life, MAX_CONFIRM_WITHIN, Now, Pending, Refusal,
    RevisionRow, Transition, Write, millis,
};
use crate::control::document;
use crate::control::wire::{
    AuditKind, Fence, Operation, OperationKind, ProblemCode, RevisionRequest, RevisionResult,
    RevisionStatus,
};
use crate::error::count;
use crate::ids::RunId;
use crate::rules::{Rule, holds};

/// A revision that is proposed on top of `if_match`.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    pub if_match: u64,
    pub request: &'a RevisionRequest,
}

/// What distinguishes one request from another under the same key: SHA-256 over the parts, each
/// with its length before it as 8 bytes, big-endian.
pub fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}

/// A write that passed the checks all writes share.
struct Admitted {
    draft: Draft,
    run: RunId,
    fingerprint: String,
}

/// Either the write goes on, or its key was used for it before and the answer stands.
enum Admission {
    New(Box<Admitted>),
    Replay(Box<Transition<RevisionResult>>),
}

impl Core {
    /// Puts a new document in force, provisionally.
    ///
    /// # Errors
    /// In this order: stale fence, key reused, guards armed by another run or tripped, provisional
    /// exists, head moved, invalid document.
    pub fn apply(
        &self,
        now: Now,
        caller: Caller<'_>,
        proposal: Proposal<'_>,
    ) -> Result<Transition<RevisionResult>, Refusal> {
        let Proposal { if_match, request } = proposal;
        let life = life(now, request)?;
        let hash = request.config.hash();
        let within = request.confirm_within_ms.map(u64::to_be_bytes);
        let parts: [&[u8]; 5] = [
            b"apply",
            &if_match.to_be_bytes(),
            hash.as_bytes(),
            within.as_ref().map_or(&[], |ms| ms.as_slice()),
            request.reason.as_bytes(),
        ];
        let admitted = match self.admit(now, caller, &parts)? {
            Admission::Replay(transition) => return Ok(*transition),
            Admission::New(admitted) => admitted,
        };
        let Admitted { mut draft, run, fingerprint } = *admitted;
        draft.core.not_guarded_against(&run, &hash)?;
        draft.core.no_provisional()?;
        let head = draft.core.head().rev;
        if head != if_match && holds(Rule::IfMatch) {
            return Err(Refusal::new(
                ProblemCode::HeadMoved,
                format!("the head is revision {head}, not {if_match}"),
            ));
        }
        document::check(&request.config)
            .map_err(|error| Refusal::new(ProblemCode::InvalidConfig, error.to_string()))?;
        let content = Content { rev: head + 1, config: Arc::new(request.config.clone()), hash };
        draft.write(Write::Revision(RevisionRow {
            content: content.clone(),
            status: RevisionStatus::Provisional,
            reason: request.reason.clone(),
            run: Some(run.clone()),
            at_ms: now.wall_ms,
        }));
        draft.core.pending = Some(Pending {
            content,
            run: run.clone(),
            key: caller.key.to_owned(),
            reason: request.reason.clone(),
            life,
        });
        Ok(done(draft, OperationKind::Apply, caller, &run, fingerprint, &request.reason))
    }

    /// Makes the provisional revision `rev` permanent.
    ///
    /// # Errors
    /// In this order: stale fence, key reused, tripped, not provisional (any more), of another run.
    pub fn confirm(
        &self,
        now: Now,
        caller: Caller<'_>,
        rev: u64,
    ) -> Result<Transition<RevisionResult>, Refusal> {
        let admitted = match self.admit(now, caller, &[b"confirm", &rev.to_be_bytes()])? {
            Admission::Replay(transition) => return Ok(*transition),
            Admission::New(admitted) => admitted,
        };
        let Admitted { mut draft, run, fingerprint } = *admitted;
        let pending = draft.core.pending.as_ref();
        let hash = pending.map_or("", |pending| &pending.content.hash);
        draft.core.not_guarded_against(&run, hash)?;
        draft.core.provisional_is(rev, &run)?;
        let pending = draft.core.pending.take().expect("it was just checked");
        draft.write(Write::Status { rev, status: RevisionStatus::Confirmed });
        draft.core.predecessor = Some(draft.core.confirmed.rev);
        draft.core.confirmed = pending.content;
        // What was asked about this revision is done, or has come too late.
        draft.forget_asked(&run);
        Ok(done(draft, OperationKind::Confirm, caller, &run, fingerprint, &pending.reason))
    }

    /// Takes the provisional revision `rev` out of force.
    ///
    /// # Errors
    /// In this order: stale fence, key reused, not provisional (any more), of another run.
    pub fn revert(
        &self,
        now: Now,
        caller: Caller<'_>,
        rev: u64,
    ) -> Result<Transition<RevisionResult>, Refusal> {
        let admitted = match self.admit(now, caller, &[b"revert", &rev.to_be_bytes()])? {
            Admission::Replay(transition) => return Ok(*transition),
            Admission::New(admitted) => admitted,
        };
        let Admitted { mut draft, run, fingerprint } = *admitted;
        draft.core.provisional_is(rev, &run)?;
        draft.revert(&about(caller, &run), "asked for by its run");
        let result = record(&mut draft, OperationKind::Revert, caller, fingerprint);
        Ok(draft.finish(result))
    }

    /// Deletes the content of revisions older than the confirmed one's predecessor, and than the
    /// target of an armed phase. Nothing brings it back.
    ///
    /// # Errors
    /// In this order: stale fence, key reused, provisional exists.
    pub fn cleanup(
        &self,
        now: Now,
        caller: Caller<'_>,
    ) -> Result<Transition<RevisionResult>, Refusal> {
        let admitted = match self.admit(now, caller, &[b"cleanup"])? {
            Admission::Replay(transition) => return Ok(*transition),
            Admission::New(admitted) => admitted,
        };
        let Admitted { mut draft, run, fingerprint } = *admitted;
        draft.core.no_provisional()?;
        let kept = draft.core.predecessor.unwrap_or(draft.core.confirmed.rev);
        let target = draft.core.armed.as_ref().map_or(kept, |armed| armed.target.rev);
        let below = kept.min(target);
        draft.write(Write::Forget { below });
        let detail =
            format!("cleared the cache and deleted the content of revisions below {below}");
        Ok(done(draft, OperationKind::Cleanup, caller, &run, fingerprint, &detail))
    }

    /// Records that the cache is about to be filled from a snapshot.
    ///
    /// # Errors
    /// [`ProblemCode::StaleFence`] when the lease is not the caller's any more.
    pub fn cache_restored(
        &self,
        now: Now,
        fence: &Fence,
        entries: usize,
    ) -> Result<Transition<()>, Refusal> {
        let run = self.holder(now, fence)?.run.clone();
        let mut draft = Draft::new(self, now);
        let about = About { run: Some(&run), fence: Some(fence.counter), key: None };
        let detail = format!("accepted a cache snapshot of {}", count(entries, "answer"));
        draft.audit(AuditKind::CacheRestore, &about, detail);
        Ok(draft.finish(()))
    }

    /// Records that the inbox is about to be given events out of a backup.
    ///
    /// # Errors
    /// [`ProblemCode::StaleFence`] when the lease is not the caller's any more.
    pub fn inbox_restored(
        &self,
        now: Now,
        fence: &Fence,
        events: usize,
    ) -> Result<Transition<()>, Refusal> {
        let run = self.holder(now, fence)?.run.clone();
        let mut draft = Draft::new(self, now);
        let about = About { run: Some(&run), fence: Some(fence.counter), key: None };
        let detail = format!("accepted {} of a backup for the inbox", count(events, "event"));
        draft.audit(AuditKind::InboxRestore, &about, detail);
        Ok(draft.finish(()))
    }

    /// The checks that every keyed write begins with: the fence, then the key.
    fn admit(&self, now: Now, caller: Caller<'_>, parts: &[&[u8]]) -> Result<Admission, Refusal> {
        let run = self.holder(now, caller.fence)?.run.clone();
        let all: Vec<&[u8]> =
            [run.as_str().as_bytes()].into_iter().chain(parts.iter().copied()).collect();
        let fingerprint = fingerprint(&all);
        let draft = Draft::new(self, now);
        match caller.known.filter(|_| holds(Rule::Replay)) {
            Some(known) if known.fingerprint == fingerprint => {
                let result = RevisionResult { replayed: true, ..known.operation.result.clone() };
                Ok(Admission::Replay(Box::new(draft.finish(result))))
            }
            Some(known) => Err(Refusal::new(
                ProblemCode::KeyReused,
                format!(
                    "the key belongs to another request; it led to revision {}",
                    known.operation.result.rev
                ),
            )),
            None => Ok(Admission::New(Box::new(Admitted { draft, run, fingerprint }))),
        }
    }

    pub(super) fn no_provisional(&self) -> Result<(), Refusal> {
        self.pending.as_ref().filter(|_| holds(Rule::OneProvisional)).map_or(Ok(()), |pending| {
            Err(Refusal::new(
                ProblemCode::ProvisionalExists,
                format!("revision {} of run {} is provisional", pending.content.rev, pending.run),
            ))
        })
    }

    fn provisional_is(&self, rev: u64, run: &RunId) -> Result<(), Refusal> {
        match &self.pending {
            Some(pending)
                if (pending.content.rev == rev || !holds(Rule::NamesRevision))
                    && pending.run == *run =>
            {
                Ok(())
            }
            // A run never touches what another one is responsible for: it waits for the deadline.
            Some(pending) if pending.content.rev == rev => self.no_provisional(),
            _ => Err(Refusal::new(
                ProblemCode::NotProvisional,
                format!("revision {rev} is not provisional, or no longer"),
            )),
        }
    }
}

/// Ends an accepted write: audit row, operation, reply.
fn done(
    mut draft: Draft,
    kind: OperationKind,
    caller: Caller<'_>,
    run: &RunId,
    fingerprint: String,
    detail: &str,
) -> Transition<RevisionResult> {
    let row = match kind {
        OperationKind::Apply => AuditKind::Apply,
        OperationKind::Confirm => AuditKind::Confirm,
        OperationKind::Revert => AuditKind::Revert,
        OperationKind::Cleanup => AuditKind::Cleanup,
    };
    draft.audit(row, &about(caller, run), detail.to_owned());
    let result = record(&mut draft, kind, caller, fingerprint);
    draft.finish(result)
}

fn record(
    draft: &mut Draft,
    kind: OperationKind,
    caller: Caller<'_>,
    fingerprint: String,
) -> RevisionResult {
    let head = draft.core.head();
    let result = RevisionResult { rev: head.rev, config_hash: head.hash.clone(), replayed: false };
    let operation = Operation { key: caller.key.to_owned(), kind, result: result.clone() };
    draft.write(Write::Operation(KnownOperation { fingerprint, operation }));
    result
}

fn about<'a>(caller: Caller<'a>, run: &'a RunId) -> About<'a> {
    About { run: Some(run), fence: Some(caller.fence.counter), key: Some(caller.key) }
}

fn life(now: Now, request: &RevisionRequest) -> Result<Life, Refusal> {
    let bad = |text: &str| Err(Refusal::new(ProblemCode::BadRequest, text));
    if request.reason.chars().count() > 2000 {
        return bad("`reason` may have at most 2,000 characters");
    }
    match request.confirm_within_ms {
        None => Ok(Life::Lease),
        Some(ms) if (1..=millis(MAX_CONFIRM_WITHIN)).contains(&ms) => {
            Ok(Life::Until(now.boot + Duration::from_millis(ms)))
        }
        Some(_) => bad("`confirm_within_ms` must be within 1..=604,800,000, which is 7 days"),
    }
}
