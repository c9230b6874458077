//! Whether the two histories are possible ones, and tell the same story.
//!
//! The invariants of the protocol, read off what was recorded: fences and revisions only grow;
//! every write carries the newest fence; nothing provisional outlives a start; what is confirmed
//! is what was provisional; and every write had its intent in the ledger, under the same key,
//! before it was accepted.

use std::collections::{BTreeMap, BTreeSet};

use ctx::control::wire::{AuditKind, AuditRow};
use ctx::ids::RunId;
use ctx::ledger::fact::Fact;

/// What the ledger says that a run has meant to do, and knows that it did.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The keys of its intents.
    intended: BTreeSet<String>,
    /// The revisions that it holds for confirmed.
    confirmed: BTreeSet<u64>,
}

/// Reads what the runs of a ledger tell.
///
/// # Panics
/// When a part of a step was confirmed twice.
pub(super) fn told(ledger: &ctx::ledger::Reader) -> BTreeMap<RunId, Told> {
    let mut runs = BTreeMap::new();
    for row in ledger.runs(u32::MAX).unwrap() {
        let mut told = Told::default();
        let mut parts = BTreeSet::new();
        for recorded in ledger.facts(&row.run).unwrap() {
            match recorded.fact {
                Fact::ChangeIntended { key, .. }
                | Fact::ConfirmIntended { key, .. }
                | Fact::RevertIntended { key, .. }
                | Fact::RestoreIntended { key, .. }
                | Fact::RestoreConfirmIntended { key, .. } => {
                    told.intended.insert(key);
                }
                Fact::ChangeConfirmed { at, rev, .. } => {
                    assert!(parts.insert(at.clone()), "`{at}` was confirmed twice");
                    assert!(told.confirmed.insert(rev), "revision {rev} was confirmed twice");
                }
                Fact::RestoreConfirmed { rev, .. } => {
                    told.confirmed.insert(rev);
                }
                _ => {}
            }
        }
        runs.insert(row.run, told);
    }
    runs
}

/// Checks all rows of an audit chain, which verifies, against each other and the ledger.
///
/// # Panics
/// At the first row that cannot be.
pub(super) fn check(rows: &[AuditRow], runs: &BTreeMap<RunId, Told>) {
    let (mut rev, mut provisional) = (0, None);
    let (mut newest, mut lease) = (0, None);
    let mut keys = BTreeSet::new();
    let mut started = false;
    for row in rows {
        let said = || format!("{row:#?} in {rows:#?}");
        assert!(row.rev >= rev, "revisions only grow: {}", said());
        let told = row.run.as_ref().and_then(|run| runs.get(run));
        if let Some(key) = &row.key {
            assert!(keys.insert(key), "a key has one effect: {}", said());
            assert_eq!(row.fence, lease, "a write carries the newest fence: {}", said());
            // The calls of a plan have keys too, but change no revision.
            let meant = told.is_none_or(|told| told.intended.contains(key));
            assert!(meant || row.rev == rev, "nobody meant to: {}", said());
        }
        if std::mem::take(&mut started) && provisional.is_some() {
            assert_eq!(row.kind, AuditKind::Revert, "a start reverts: {}", said());
        }
        match row.kind {
            AuditKind::Boot => (lease, started) = (None, true),
            AuditKind::Grant | AuditKind::Takeover => {
                let fence = row.fence.expect("a grant has a fence");
                assert!(fence > newest, "fences only grow: {}", said());
                (newest, lease) = (fence, Some(fence));
            }
            AuditKind::Release | AuditKind::Expiry => lease = None,
            AuditKind::Apply => {
                assert_eq!((provisional, row.rev), (None, rev + 1), "{}", said());
                provisional = Some(row.rev);
            }
            AuditKind::Confirm => {
                assert_eq!(provisional.take(), Some(row.rev), "{}", said());
                let known = told.is_none_or(|told| told.confirmed.contains(&row.rev));
                assert!(known, "the run does not know that it confirmed: {}", said());
            }
            AuditKind::Revert => {
                assert_eq!(provisional.take(), Some(row.rev - 1), "{}", said());
            }
            // What else brings a revision takes the place of a provisional one.
            _ if row.rev > rev => provisional = None,
            _ => {}
        }
        rev = row.rev;
    }
    assert_eq!(provisional, None, "after the last row");
}
