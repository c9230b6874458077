//! The protocol without one of its rules, or on disks that forget: each is caught.
//!
//! A rule that stands alone is caught when it is removed. Where two rules back each other up, the
//! removal of either shows nothing, and that of both is caught: both are kept, because each is
//! what is left when the other has a fault.
//!
//! How to add one: a line in [`caught`] or in [`masked`].

use super::seeds::{Tally, first_violation};
use crate::rules::{Rule, without};

/// A promise of the world around the cores that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    /// The fence counter does not survive a restart.
    VolatileFence,
    /// A crash takes the orchestrator's last transaction with it.
    LosesTransaction,
    /// A key is forgotten after a few seconds.
    ShortMemory,
    /// Nobody can ask what became of a key.
    NoOperations,
    /// The desk does not first do what time alone brings about.
    NoSettling,
    /// A configuration is put in force before it is committed.
    ActivateFirst,
    /// An anchor is known by its number, whatever its hash.
    AnchorByNumber,
    /// A crash takes up to two rows of the ledger with it.
    LosesRows,
    /// An intent is only durable when its answer is there.
    IntentAfterSend,
    /// Each try of a request has a key of its own.
    FreshKeys,
    /// A client that hears nothing goes on as if it had its lease.
    NoSelfFence,
}

/// The most seeds that a mutant may survive.
const MOST: u64 = 20_000;
/// So many seeds do not notice the removal of a rule that another one masks.
const FEW: u64 = 400;

/// Looks for the first seed that notices.
fn hunt(most: u64, rules: &[Rule], switches: &[Switch]) -> Option<String> {
    let mut tally = Tally::default();
    let found = without(rules, || first_violation(0..most, switches, &mut tally));
    let (seed, violation) = found?;
    Some(format!("{rules:?} {switches:?}: seed {seed}, {violation}"))
}

macro_rules! caught {
    ($($name:ident: [$($rule:ident),*] [$($switch:ident),*];)*) => {$(
        #[test]
        fn $name() {
            match hunt(MOST, &[$(Rule::$rule),*], &[$(Switch::$switch),*]) {
                Some(how) => println!("{how}"),
                None => panic!("{MOST} seeds did not notice"),
            }
        }
    )*};
}

/// Two rules that back each other up: neither is missed alone.
macro_rules! masked {
    ($($name:ident: $($single:ident)::+ with $($other:ident)::+;)*) => {$(
        #[test]
        fn $name() {
            let singles = [Broken::from($($single)::+), Broken::from($($other)::+)];
            for single in &singles {
                let noticed = hunt(FEW, &single.rules, &single.switches);
                assert_eq!(noticed, None, "this rule is missed alone: move it to `caught`");
            }
            let [a, b] = singles;
            let (rules, switches) = ([a.rules, b.rules].concat(), [a.switches, b.switches].concat());
            match hunt(MOST, &rules, &switches) {
                Some(how) => println!("{how}"),
                None => panic!("{MOST} seeds did not notice"),
            }
        }
    )*};
}

/// One thing that is broken.
struct Broken {
    rules: Vec<Rule>,
    switches: Vec<Switch>,
}

impl From<Rule> for Broken {
    fn from(rule: Rule) -> Self {
        Self { rules: vec![rule], switches: Vec::new() }
    }
}

impl From<Switch> for Broken {
    fn from(switch: Switch) -> Self {
        Self { rules: Vec::new(), switches: vec![switch] }
    }
}

caught! {
    without_fences: [Fence] [];
    two_holders_of_the_lease: [OneHolder] [];
    without_anchors: [Regression] [];
    a_change_outlives_its_lease: [RevertWithLease] [];
    a_deadline_is_not_honoured: [Deadline] [];
    a_change_outlives_a_restart: [RevertOnRestart] [];
    a_revert_reuses_the_old_number: [FreshNumber] [];
    only_new_revisions_are_audited: [AuditConfirm] [];
    resuming_without_the_table: [Table] [];
    without_looking_for_drift: [Drift] [];
    an_old_soak_counts: [SoakAgain] [];
    a_key_is_used_for_the_next_attempt: [FreshAttempt] [];
    two_phases_in_flight: [OnePhase] [];
    a_trip_restores_nothing: [TripRestores] [];
    a_run_ends_unaware_of_a_trip: [KnownTrip] [];
    the_fence_is_not_durable: [] [VolatileFence];
    the_orchestrator_loses_a_transaction: [] [LosesTransaction];
    the_ledger_loses_rows: [] [LosesRows];
    an_intent_follows_its_request: [] [IntentAfterSend];
    keys_are_forgotten_early: [] [ShortMemory];
    nobody_can_ask_about_a_key: [] [NoOperations];
    active_before_committed: [] [ActivateFirst];
    an_anchor_is_only_a_number: [] [AnchorByNumber];
    a_key_for_each_try: [] [FreshKeys];
    without_self_fencing: [] [NoSelfFence];
}

masked! {
    neither_if_match_nor_replay: Rule::IfMatch with Rule::Replay;
    neither_the_desk_nor_the_core_looks_at_the_clock: Rule::ExpireFirst with Switch::NoSettling;
}
