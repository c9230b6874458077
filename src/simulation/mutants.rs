//! The protocol without one of its rules, or on disks that forget.

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
