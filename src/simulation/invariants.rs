//! What must hold, each under its number from the protocol.

/// The invariants of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Invariant {
    /// Each run and step is confirmed at most once.
    I1,
    /// Confirmed steps form a prefix in plan order.
    I2,
    /// Every accepted write carries the newest granted fence, and that lease lives.
    I3,
    /// Every accepted write has a prior durable intent with the same key and bytes.
    I4,
    /// The accepted base is the head at that moment.
    I5,
    /// Revisions, fences and audit numbers never repeat with other content.
    I6,
    /// A confirmation applies only to the revision whose soak the ledger recorded.
    I7,
    /// No provisional revision outlives lease expiry, deadline or restart by more than a tick;
    /// there is at most one, and what is in force is on record.
    I8,
    /// A run never alters a slot it does not own; no local act begins beside another's lease.
    I9,
    /// What the ledger says is confirmed is in the orchestrator's history; at the end they agree.
    I10,
    /// The outcome is done, rolled back to what was there before, or halted with a reason.
    I11,
    /// With one operator and nobody else, a run halts only because the state is an older one.
    I12,
    /// After faults stop, everything ends within a bound.
    I13,
    /// Both chains verify; the caller's anchor is an ancestor.
    I14,
}

/// What broke, and how.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub(super) invariant: Invariant,
    pub(super) what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}
