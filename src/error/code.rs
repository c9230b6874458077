//! The exit codes: their numbers, their names, and what each one means for a person.
//!
//! How to add one: a variant, its row in [`Code::ALL`], and its meaning. The numbers and names
//! are fixed: scripts depend on them.

/// What a process of ctx exits with. The numbers never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Done, or nothing to do.
    Done = 0,
    /// An unclassified failure.
    Failure = 1,
    /// The command line itself is wrong.
    Usage = 2,
    /// With `--detailed-exitcode`: changes are pending.
    ChangesPending = 10,
    /// With `--detailed-exitcode`: the orchestrator differs from the ledger.
    Drift = 11,
    /// Awaiting a confirmation or an approval, or still soaking.
    Awaiting = 12,
    /// The phase failed and was rolled back; the service is as it was before.
    RolledBack = 20,
    /// The phase failed and was not rolled back; it can be resumed.
    Failed = 21,
    /// The rollback is incomplete; a person is needed.
    RollbackIncomplete = 22,
    /// Success criteria are not met; nothing was changed.
    CriteriaNotMet = 23,
    /// Somebody else holds the lease or the ledger.
    Locked = 30,
    /// The lease was lost in the middle of a run.
    LeaseLost = 31,
    /// The orchestrator does not answer.
    Unreachable = 32,
    /// The plan file has faults.
    PlanInvalid = 40,
    /// A plan that was applied has been edited since.
    PlanEdited = 41,
    /// The ledger is damaged, edited, or written by a newer ctx.
    LedgerDamaged = 42,
    /// Refused: by the orchestrator, by a precondition, or because the preview is stale.
    Refused = 43,
    /// A confirmation is needed and there is nobody to ask.
    NeedsConfirmation = 44,
    /// A bug in ctx.
    Bug = 70,
    /// Interrupted by SIGINT; the ledger is consistent.
    Interrupted = 130,
    /// Terminated by SIGTERM or SIGHUP; the ledger is consistent.
    Terminated = 143,
}

impl Code {
    /// The number the process exits with.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name in machine-readable output, such as `PHASE_ROLLED_BACK`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "DONE",
            Self::Failure => "FAILURE",
            Self::Usage => "USAGE",
            Self::ChangesPending => "CHANGES_PENDING",
            Self::Drift => "DRIFT",
            Self::Awaiting => "AWAITING",
            Self::RolledBack => "PHASE_ROLLED_BACK",
            Self::Failed => "PHASE_FAILED",
            Self::RollbackIncomplete => "ROLLBACK_INCOMPLETE",
            Self::CriteriaNotMet => "CRITERIA_NOT_MET",
            Self::Locked => "LOCKED",
            Self::LeaseLost => "LEASE_LOST",
            Self::Unreachable => "ORCHESTRATOR_UNREACHABLE",
            Self::PlanInvalid => "PLAN_INVALID",
            Self::PlanEdited => "PLAN_EDITED",
            Self::LedgerDamaged => "LEDGER_DAMAGED",
            Self::Refused => "REFUSED",
            Self::NeedsConfirmation => "NEEDS_CONFIRMATION",
            Self::Bug => "BUG",
            Self::Interrupted => "INTERRUPTED",
            Self::Terminated => "TERMINATED",
        }
    }

    /// Every code, by its number.
    pub const ALL: [Self; 21] = [
        Self::Done,
        Self::Failure,
        Self::Usage,
        Self::ChangesPending,
        Self::Drift,
        Self::Awaiting,
        Self::RolledBack,
        Self::Failed,
        Self::RollbackIncomplete,
        Self::CriteriaNotMet,
        Self::Locked,
        Self::LeaseLost,
        Self::Unreachable,
        Self::PlanInvalid,
        Self::PlanEdited,
        Self::LedgerDamaged,
        Self::Refused,
        Self::NeedsConfirmation,
        Self::Bug,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The code with this number or name, as a person types it.
    pub fn find(given: &str) -> Option<Self> {
        let named = |code: &Self| {
            given.parse() == Ok(code.number()) || given.eq_ignore_ascii_case(code.name())
        };
        Self::ALL.into_iter().find(named)
    }

    /// In one line, what the code says.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Done => "done, or nothing to do",
            Self::Failure => "a failure that has no code of its own",
            Self::Usage => "the command line or a settings file is wrong",
            Self::ChangesPending => "changes are pending (with `--detailed-exitcode`)",
            Self::Drift => "the orchestrator is not as the ledger says",
            Self::Awaiting => "waiting for a person, or still soaking",
            Self::RolledBack => "the phase failed and was rolled back",
            Self::Failed => "the phase failed and stays as it is; it can be resumed",
            Self::RollbackIncomplete => "the rollback is incomplete: a person is needed",
            Self::CriteriaNotMet => "criteria are not met, or a test failed",
            Self::Locked => "somebody else is at work",
            Self::LeaseLost => "the lease was lost in the middle of a run",
            Self::Unreachable => "the orchestrator does not answer",
            Self::PlanInvalid => "the plan has faults",
            Self::PlanEdited => "a plan that was applied has been edited since",
            Self::LedgerDamaged => "the ledger is damaged, edited, or of a newer ctx",
            Self::Refused => "refused; nothing was changed",
            Self::NeedsConfirmation => "a confirmation is needed, and there is nobody to ask",
            Self::Bug => "a bug in ctx",
            Self::Interrupted => "interrupted by a person (SIGINT)",
            Self::Terminated => "terminated (SIGTERM or SIGHUP)",
        }
    }

    /// What the service and the record are like after a process that ended with this code.
    pub const fn state(self) -> &'static str {
        match self {
            Self::Done => "Everything that was asked for holds and is recorded.",
            Self::Failure => {
                "What was done before the failure is in the ledger; what is provisional reverts by \
                 itself."
            }
            Self::Usage | Self::PlanInvalid => "Nothing was begun.",
            Self::ChangesPending => "Nothing was changed; a phase of the plan is not in force yet.",
            Self::Drift => {
                "Nothing was changed by this command; somebody or something else has changed the \
                 configuration since the ledger's last entry about it."
            }
            Self::Awaiting => {
                "A run is in flight. What it changed is provisional, guarded by the orchestrator, \
                 and reverts at the time that `ctx status` names."
            }
            Self::RolledBack => {
                "The configuration is the one from before the phase, read back and compared byte \
                 for byte, and every step outside of it is undone."
            }
            Self::Failed => {
                "The plan says `on_failure = \"hold\"`, or the run was stopped: what is confirmed \
                 stays, what is provisional reverts."
            }
            Self::RollbackIncomplete => {
                "Part of a phase could not be undone: an undo failed, or the step has none. The \
                 rest is undone, and the ledger names the step."
            }
            Self::CriteriaNotMet => "Nothing was changed; what was found is recorded.",
            Self::Locked => "Nothing was changed by this command.",
            Self::LeaseLost => {
                "What was provisional is reverted by the orchestrator; another holder may be at \
                 work. What was confirmed stays."
            }
            Self::Unreachable => {
                "Whatever was provisional reverts by itself when the lease expires or the \
                 orchestrator starts again. Nothing that ctx is not sure of is in the ledger as \
                 done."
            }
            Self::PlanEdited => "Nothing was begun: what is in force came from another text.",
            Self::LedgerDamaged => {
                "Nothing was written. Entries before the first fault are proven; what follows it is \
                 not."
            }
            Self::Refused => "Nothing was changed by the request that was refused.",
            Self::NeedsConfirmation => "Nothing was changed.",
            Self::Bug => {
                "The ledger is consistent, because an intent is durable before it is carried out; \
                 what is provisional reverts by itself."
            }
            Self::Interrupted | Self::Terminated => {
                "The run stopped at a safe point, or at once on the second signal; either way the \
                 ledger is consistent, and what is provisional reverts by itself."
            }
        }
    }

    /// What to do next, most useful first: a command, and what it is for.
    pub const fn next(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Done => &[],
            Self::Failure => &[("ctx status", "shows where things stand")],
            Self::Usage => &[("ctx help COMMAND", "shows what a command takes")],
            Self::ChangesPending => &[
                ("ctx plan show", "previews every change and its undo"),
                ("ctx migrate next", "runs the next phase"),
            ],
            Self::Drift => &[
                ("ctx drift", "shows what differs"),
                ("ctx rollback", "brings the configuration of the ledger back"),
            ],
            Self::Awaiting => &[
                ("ctx status", "says what it waits for, and until when"),
                ("ctx confirm", "keeps the change now"),
                ("ctx resume", "goes on where it is due"),
                ("ctx abort", "takes the phase back"),
            ],
            Self::RolledBack => &[
                ("ctx report", "names the guard, criterion or step that failed, with its numbers"),
                ("ctx migrate phase N", "tries the phase again"),
            ],
            Self::Failed => &[("ctx resume", "goes on with it"), ("ctx rollback", "undoes it")],
            Self::RollbackIncomplete => &[
                ("ctx status", "names what is not undone"),
                ("ctx show RUN", "shows what its undo said"),
                ("ctx rollback", "tries the undo again once its cause is gone"),
            ],
            Self::CriteriaNotMet => &[
                ("ctx validate", "judges again, with what was found"),
                ("ctx report", "shows all criteria"),
            ],
            Self::Locked => &[
                ("ctx lock show", "names who holds it, since when, and whether they are alive"),
                ("ctx lock release", "breaks the lease of a holder who is gone"),
            ],
            Self::LeaseLost => &[
                ("ctx lock show", "names who holds it now"),
                ("ctx resume", "finds out what is in force and goes on"),
            ],
            Self::Unreachable => &[
                ("ctx doctor", "says which address was asked, and what answers there"),
                ("ctx resume", "goes on once it is back"),
            ],
            Self::PlanInvalid => &[("ctx plan check", "shows every fault with its line")],
            Self::PlanEdited => &[
                ("ctx drift", "shows which phases were edited"),
                ("ctx rollback", "undoes what was applied from the old text"),
            ],
            Self::LedgerDamaged => &[
                ("ctx ledger verify", "locates each fault"),
                ("ctx ledger rebuild", "derives the tables again, or makes a new ledger"),
            ],
            Self::Refused => &[("ctx status --live", "shows what is in force")],
            Self::NeedsConfirmation => &[("--yes", "answers every question with yes")],
            Self::Bug => &[
                ("ctx resume", "finds out what is in force and goes on"),
                ("ctx ledger verify", "proves that the record is whole"),
            ],
            Self::Interrupted | Self::Terminated => {
                &[("ctx resume", "goes on"), ("ctx rollback", "undoes the phase")]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_number_and_by_its_name() {
        for code in Code::ALL {
            assert_eq!(Code::find(&code.number().to_string()), Some(code));
            assert_eq!(Code::find(&code.name().to_lowercase()), Some(code));
        }
        assert!(Code::ALL.is_sorted(), "the list is read from top to bottom");
        assert_eq!(Code::find("3"), None);
    }
}
