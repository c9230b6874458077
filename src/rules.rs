//! The rules of the protocol that can be taken away, so that a simulation can show that each is
//! needed.
//!
//! Law: outside the crate's own tests every rule holds, and there is nothing to switch.
//! [`holds`] is constant there and costs nothing. In tests a thread may remove a rule; what the
//! protocol then does wrong, and which invariant notices, is told in `simulation::mutants`.
//!
//! How to add one: a variant, and `holds(Rule::X)` at the one place that keeps the rule.

/// A rule that the server core or the client core keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A write is only accepted under the fence of the living lease.
    Fence,
    /// A grant's counter is larger than any that its caller has seen.
    FenceRatchet,
    /// A lease is granted to one run at a time.
    OneHolder,
    /// A caller that has seen a newer state is refused.
    Regression,
    /// What lives with a lease ends with it.
    RevertWithLease,
    /// A deadline ends what was applied under it.
    Deadline,
    /// A call first brings about what time alone has ended.
    ExpireFirst,
    /// A start reverts what is provisional.
    RevertOnRestart,
    /// A phase is in flight beside no other run's changes.
    OnePhase,
    /// After a trip, the run's own changes are refused.
    TripIsFinal,
    /// A trip brings the content from before the phase back.
    TripRestores,
    /// A run that has not heard of a trip cannot disarm.
    KnownTrip,
    /// A revert makes a new number.
    FreshNumber,
    /// There is at most one provisional revision.
    OneProvisional,
    /// A confirmation or a revert is about exactly the revision it names.
    NamesRevision,
    /// A revision is applied on top of the head that its caller has seen.
    IfMatch,
    /// A key that was used is answered with what it led to.
    Replay,
    /// A confirmation appends to the audit chain, not only a new revision.
    AuditConfirm,
    /// What became of an open request decides how a run goes on.
    Table,
    /// A run that finds another configuration than the ledger's halts.
    Drift,
    /// A new process soaks again from zero.
    SoakAgain,
    /// A change that came to nothing is tried again under a new key.
    FreshAttempt,
}

/// Whether the rule holds: always, outside the crate's own tests.
#[cfg(not(test))]
#[inline]
pub const fn holds(_: Rule) -> bool {
    true
}

#[cfg(test)]
pub use removed::{holds, without};

#[cfg(test)]
mod removed {
    use std::cell::Cell;

    use super::Rule;

    thread_local! {
        static REMOVED: Cell<u64> = const { Cell::new(0) };
    }

    /// Whether the rule holds in this thread.
    pub fn holds(rule: Rule) -> bool {
        REMOVED.get() & (1 << rule as u64) == 0
    }

    /// Does something without some rules, in this thread.
    pub fn without<T>(rules: &[Rule], act: impl FnOnce() -> T) -> T {
        let before = REMOVED.get();
        REMOVED.set(rules.iter().fold(before, |set, rule| set | 1 << *rule as u64));
        let done = act();
        REMOVED.set(before);
        done
    }

    #[test]
    fn a_rule_holds_again_afterwards() {
        assert!(holds(Rule::Fence));
        without(&[Rule::Fence, Rule::Drift], || {
            assert!(!holds(Rule::Fence) && !holds(Rule::Drift) && holds(Rule::IfMatch));
        });
        assert!(holds(Rule::Fence));
    }
}
