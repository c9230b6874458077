//! A transition in the making: the state after, and the writes that lead there.

use super::{Content, Core, Life, Now, Pending, RevisionRow, Transition, Write};
use crate::control::wire::{AuditKind, AuditRow, RevisionStatus};
use crate::ids::RunId;
use crate::orchestrator::control::audit;
use crate::rules::{Rule, holds};

/// Who or what a row of the audit chain is about, beyond the state it leaves behind.
#[derive(Debug, Default)]
pub(super) struct About<'a> {
    pub(super) run: Option<&'a RunId>,
    pub(super) fence: Option<u64>,
    pub(super) key: Option<&'a str>,
}

pub(super) struct Draft {
    pub(super) core: Core,
    pub(super) now: Now,
    writes: Vec<Write>,
}

impl Draft {
    /// Begins with whatever time alone has brought about, so that no call ever sees a
    /// provisional revision or a lease past its end.
    pub(super) fn new(core: &Core, now: Now) -> Self {
        let mut draft = Self::untimed(core, now);
        if holds(Rule::ExpireFirst) {
            draft.expire();
        }
        draft
    }

    /// Begins with the state as it is.
    pub(super) fn untimed(core: &Core, now: Now) -> Self {
        Self { core: core.clone(), now, writes: Vec::new() }
    }

    pub(super) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    pub(super) fn finish<T>(self, reply: T) -> Transition<T> {
        Transition { next: self.core, writes: self.writes, reply }
    }

    /// Appends to the audit chain; after the change it records.
    pub(super) fn audit(&mut self, kind: AuditKind, about: &About<'_>, detail: String) {
        if kind == AuditKind::Confirm && !holds(Rule::AuditConfirm) {
            return;
        }
        let head = self.core.head();
        let mut row = AuditRow {
            seq: self.core.tip.seq + 1,
            at_ms: self.now.wall_ms,
            kind,
            run: about.run.cloned(),
            rev: head.rev,
            config_hash: head.hash.clone(),
            fence: about.fence,
            key: about.key.map(str::to_owned),
            detail,
            hash: String::new(),
        };
        row.hash = audit::hash(&self.core.tip.hash, &row);
        self.core.tip.seq = row.seq;
        self.core.tip.hash.clone_from(&row.hash);
        self.write(Write::Audit(row));
    }

    /// Puts a new confirmed revision in force.
    pub(super) fn confirm_content(&mut self, content: Content, run: Option<RunId>, reason: String) {
        self.write(Write::Revision(RevisionRow {
            content: content.clone(),
            status: RevisionStatus::Confirmed,
            reason,
            run,
            at_ms: self.now.wall_ms,
        }));
        self.core.predecessor = Some(self.core.confirmed.rev);
        self.core.confirmed = content;
    }

    /// Brings the confirmed content back under a new number, where a provisional revision is
    /// there; returns the number that was taken out of force.
    pub(super) fn revert(&mut self, about: &About<'_>, why: &str) -> Option<u64> {
        let Pending { content, run, .. } = self.core.pending.take()?;
        self.write(Write::Status { rev: content.rev, status: RevisionStatus::Reverted });
        let rev = if holds(Rule::FreshNumber) { content.rev + 1 } else { self.core.confirmed.rev };
        let back = Content { rev, ..self.core.confirmed.clone() };
        let text = format!(
            "revision {} reverted to the content of {}: {why}",
            content.rev, self.core.confirmed.rev
        );
        let about = About { run: about.run.or(Some(&run)), ..*about };
        self.confirm_content(back, Some(run.clone()), text.clone());
        self.audit(AuditKind::Revert, &about, text);
        Some(content.rev)
    }

    /// Ends a lease; what lives with it ends too.
    pub(super) fn end_lease(&mut self, kind: AuditKind, why: &str) {
        let Some(lease) = self.core.lease.take() else { return };
        let about = About { run: Some(&lease.run), fence: Some(lease.fence.counter), key: None };
        self.audit(kind, &about, format!("the lease of {}@{} {why}", lease.holder, lease.host));
        let ends = |pending: &Pending| matches!(pending.life, Life::Lease);
        if self.core.pending.as_ref().is_some_and(ends) && holds(Rule::RevertWithLease) {
            self.revert(&about, &format!("its lease {why}"));
        }
        self.settle_asked(&lease.run);
    }

    /// Ends what time has ended.
    pub(super) fn expire(&mut self) {
        let now = self.now.boot;
        if self.core.lease.as_ref().is_some_and(|lease| now >= lease.expires) {
            self.end_lease(AuditKind::Expiry, "expired");
        }
        let passed = self.core.pending.as_ref().is_some_and(
            |pending| matches!(pending.life, Life::Until(deadline) if now >= deadline),
        );
        if passed && holds(Rule::Deadline) {
            self.revert(&About::default(), "its deadline passed");
        }
    }
}
