//! What self-healing can do.

use std::fmt;

use crate::units::Percent;

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Drops idle connections, which may lead to a server that is gone.
    RebuildPool { upstream: String },
    /// Starts an extension's replicas anew, one after the other.
    RestartExtension { extension: String },
    /// Leaves an upstream alone for a while, then asks it again little by little.
    OpenBreaker { upstream: String },
    /// Sets the canary's share to zero, until a revision sets the canary anew.
    WithdrawCanary { upstream: String },
    /// Leaves the extension's events to whoever handles them without it.
    FallBack { extension: String },
    /// Ends that.
    GiveBack { extension: String },
    /// Refuses this share of new events.
    ShedLoad { share: Percent },
    /// Refuses no more than this share any longer.
    Admit { share: Percent },
    /// Tells a person, because nothing has helped.
    Escalate { what: String },
}

/// An action, and the evidence for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    pub action: Action,
    pub because: String,
}

impl Action {
    /// What cooldown and limit are counted for: the kind of action, and its target. `None` for
    /// what only ends or goes on with another one.
    pub(super) fn counted_as(&self) -> Option<String> {
        match self {
            Self::GiveBack { .. } | Self::Admit { .. } => None,
            Self::ShedLoad { share } => (*share <= SHED_STEP).then(|| "shed load".to_owned()),
            Self::RebuildPool { .. }
            | Self::RestartExtension { .. }
            | Self::OpenBreaker { .. }
            | Self::WithdrawCanary { .. }
            | Self::FallBack { .. }
            | Self::Escalate { .. } => Some(self.to_string()),
        }
    }
}

/// By how much the share of refused events is raised and lowered.
pub(super) const SHED_STEP: Percent = Percent::whole(20);

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RebuildPool { upstream } => write!(f, "rebuild pool of upstream {upstream}"),
            Self::RestartExtension { extension } => write!(f, "restart extension {extension}"),
            Self::OpenBreaker { upstream } => write!(f, "open breaker of upstream {upstream}"),
            Self::WithdrawCanary { upstream } => write!(f, "take canary {upstream} to 0%"),
            Self::FallBack { extension } => {
                write!(f, "fall back to legacy for extension {extension}")
            }
            Self::GiveBack { extension } => write!(f, "give events back to extension {extension}"),
            Self::ShedLoad { share } => write!(f, "shed {share} of new events"),
            Self::Admit { share } if *share == Percent::ZERO => write!(f, "admit all events again"),
            Self::Admit { share } => write!(f, "shed no more than {share} of new events"),
            Self::Escalate { what } => write!(f, "tell a person about {what}"),
        }
    }
}
