//! Where people are told of a migration, as a plan's `[alerts]` or a file of its own names it.
//!
//! Secrets are references, as everywhere in a plan. The address of a webhook is a secret too:
//! whoever knows it can write to the channel.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::Argv;
use crate::ids::SinkId;

/// How long one attempt may take unless the sink says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The address of PagerDuty's Events API.
pub const PAGERDUTY: &str = "https://events.pagerduty.com";

/// One place that alerts are sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertSink {
    pub id: SinkId,
    pub to: Destination,
    /// The least severity that is sent there.
    pub from: Severity,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// What is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// A chat: JSON as Slack takes it.
    Webhook {
        /// A reference to the address.
        address: String,
    },
    /// Alertmanager's API v2.
    Alertmanager {
        url: String,
        /// A reference to a bearer token.
        token: Option<String>,
    },
    /// PagerDuty's Events API v2.
    Pagerduty {
        /// A reference to the routing key.
        key: String,
        url: String,
    },
    /// A program, which reads the alert as JSON from its stdin.
    Command { argv: Argv },
}

/// How much an alert matters; the words are those of PagerDuty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// All is well: a milestone, the end of a phase.
    Info,
    /// Somebody may want to look.
    Warning,
    /// The phase fails, and ctx deals with it.
    Error,
    /// A person is needed.
    Critical,
}

impl Severity {
    /// The words of a plan, the least first.
    pub const ALL: [(&'static str, Self); 4] = [
        ("info", Self::Info),
        ("warning", Self::Warning),
        ("error", Self::Error),
        ("critical", Self::Critical),
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

impl Destination {
    /// The key that a plan names it by.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Alertmanager { .. } => "alertmanager",
            Self::Pagerduty { .. } => "pagerduty",
            Self::Command { .. } => "command",
        }
    }
}
