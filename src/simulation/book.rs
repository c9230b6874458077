//! What the orchestrator's disk holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::control::wire::{Anchor, AuditRow, RevisionStatus};
use crate::orchestrator::control::core::{
    Arming, Durable, Interrupted, KnownOperation, RevisionRow, Write,
};

#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    pub(super) fence: u64,
    pub(super) revisions: BTreeMap<u64, RevisionRow>,
    /// With the time at which each was written.
    pub(super) operations: BTreeMap<String, (u64, KnownOperation)>,
    pub(super) audit: Vec<AuditRow>,
    /// The provisional revisions; at most one, unless a rule is missing.
    pub(super) provisional: Vec<u64>,
    pub(super) armed: Option<Arc<Arming>>,
}

impl Book {
    pub(super) fn write(&mut self, now: u64, write: &Write) {
        match write {
            Write::Birth { .. } | Write::Forget { .. } => {}
            Write::Fence(counter) => self.fence = *counter,
            Write::Revision(row) => {
                let rev = row.content.rev;
                if row.status == RevisionStatus::Provisional {
                    self.provisional.push(rev);
                }
                self.revisions.insert(rev, row.clone());
            }
            Write::Status { rev, status } => {
                self.provisional.retain(|provisional| provisional != rev);
                if let Some(row) = self.revisions.get_mut(rev) {
                    row.status = *status;
                }
            }
            Write::Operation(known) => {
                self.operations.insert(known.operation.key.clone(), (now, known.clone()));
            }
            Write::Arm(arming) | Write::Rearm(arming) => self.armed = Some(Arc::clone(arming)),
            Write::Disarm => self.armed = None,
            Write::Audit(row) => self.audit.push(row.clone()),
        }
    }

    /// Whether the anchor is on record; by its number alone, where that rule is missing.
    pub(super) fn knows(&self, anchor: &Anchor, by_number: bool) -> bool {
        // Rows are numbered from 1, without gaps.
        let row = anchor.seq.checked_sub(1).and_then(|i| self.audit.get(usize::try_from(i).ok()?));
        row.is_some_and(|row| by_number || row.hash == anchor.hash)
    }

    /// The confirmed revision with the largest number.
    pub(super) fn confirmed(&self) -> &RevisionRow {
        let confirmed = |row: &&RevisionRow| row.status == RevisionStatus::Confirmed;
        self.revisions.values().rev().find(confirmed).expect("revision 1 is confirmed")
    }

    pub(super) fn load(&self, uuid: &str) -> Durable {
        let interrupted = self.provisional.last().map(|rev| {
            let row = self.revisions[rev].clone();
            let run = row.run.expect("a run made it");
            Interrupted { content: row.content, run, reason: row.reason }
        });
        let tip = self.audit.last().expect("the birth is on record");
        Durable {
            uuid: uuid.to_owned(),
            fence: self.fence,
            tip: Anchor { seq: tip.seq, hash: tip.hash.clone() },
            confirmed: self.confirmed().content.clone(),
            predecessor: None,
            interrupted,
            armed: self.armed.as_deref().cloned(),
        }
    }
}
