//! One piece of news: about a run, about guards outside a run, or about the service.

use serde::Serialize;

use crate::clock::WallMs;
use crate::ids::{PhaseId, PlanName, RunId};
use crate::plan::alerts::Severity;
use crate::secret::redacted;

/// One piece of news, the same for every sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The fact it was made of, and which incident it belongs to: the same news has the same id,
    /// whichever process tells it.
    pub id: String,
    /// The same for everything about one incident.
    pub key: String,
    pub event: Event,
    pub status: Status,
    pub severity: Severity,
    /// What it is, in a few words.
    pub title: String,
    /// The fact as a sentence.
    pub detail: String,
    /// What to do next, where there is something to do.
    pub next: Option<String>,
    pub about: About,
    /// When the incident began; for a note, when it happened.
    pub began_ms: WallMs,
    pub at_ms: WallMs,
}

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub subject: Subject,
    /// The address of the control API.
    pub orchestrator: String,
}

/// What something is the matter with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A run of a phase.
    Run { run: RunId, plan: PlanName, phase: PhaseId, number: u32 },
    /// What a plan has done, outside of any run.
    Plan(PlanName),
    /// The service itself, as its orchestrator finds it.
    Service,
}

impl About {
    /// The run, where it is about one.
    pub const fn run(&self) -> Option<&RunId> {
        match &self.subject {
            Subject::Run { run, .. } => Some(run),
            Subject::Plan(_) | Subject::Service => None,
        }
    }

    /// The plan, where it is about one.
    pub const fn plan(&self) -> Option<&PlanName> {
        match &self.subject {
            Subject::Run { plan, .. } | Subject::Plan(plan) => Some(plan),
            Subject::Service => None,
        }
    }

    /// The phase and its number, where it is about one.
    pub const fn phase(&self) -> Option<(&PhaseId, u32)> {
        match &self.subject {
            Subject::Run { phase, number, .. } => Some((phase, *number)),
            Subject::Plan(_) | Subject::Service => None,
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A guard failed.
    Breach,
    /// A phase is being undone.
    Rollback,
    /// A run stands still, or a person is needed.
    Halt,
    Milestone,
    /// A run ended.
    End,
    /// Self-healing does not help.
    Escalation,
    /// `ctx alerts test`.
    Test,
}

/// Whether the news is about something that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// An incident begins, or goes on.
    Firing,
    /// It is over.
    Resolved,
    /// It happened, and that is all.
    Note,
}

impl Event {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Breach => "breach",
            Self::Rollback => "rollback",
            Self::Halt => "halt",
            Self::Milestone => "milestone",
            Self::End => "end",
            Self::Escalation => "escalation",
            Self::Test => "test",
        }
    }
}

impl Status {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Note => "note",
        }
    }
}

impl Alert {
    /// The same without the secrets that this process knows: facts quote what programs said.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.title = redacted(&self.title).into_owned();
        self.detail = redacted(&self.detail).into_owned();
        self
    }

    /// Where it is, such as "contexten, phase 2", with the phase's id.
    pub fn place(&self) -> String {
        match &self.about.subject {
            Subject::Run { plan, number, phase, .. } => format!("{plan}, phase {number} `{phase}`"),
            Subject::Plan(plan) => format!("{plan}, outside a phase"),
            Subject::Service => format!("the service at {}", self.about.orchestrator),
        }
    }
}
