//! The first fact of a run: all that it needs to know.
//!
//! Law: from here on a run depends on no file that a person may edit. The phase, its guards, its
//! suites and what was in force before are the run's own, so that it can be taken up, and taken
//! back, when the plan is gone.

use serde::{Deserialize, Serialize};

use crate::control::config::Config;
use crate::control::wire::Anchor;
use crate::ids::{PhaseId, PlanName};
use crate::plan::model::{Guard, Milestone, Phase, Step, Suite};

/// Everything a run needs to know, so that it needs neither the plan file nor anything else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunBegun {
    pub kind: RunKind,
    pub plan: PlanName,
    pub plan_title: String,
    /// As the operator named it.
    pub plan_file: String,
    /// SHA-256 of the file's bytes.
    pub file_hash: String,
    /// SHA-256 of the phase's meaning: comments and white space do not count.
    pub phase_hash: String,
    /// How many phases the plan has.
    pub phases: u32,
    pub phase: Phase,
    pub guards: Vec<Guard>,
    pub suites: Vec<Suite>,
    /// The milestones of this phase.
    pub milestones: Vec<Milestone>,
    pub base: Base,
    pub by: By,
    /// Plan time per real time; 1 outside a rehearsal.
    pub tempo: f64,
}

/// What a run is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RunKind {
    Migrate,
    /// Undoes phases: the content of `to` is written back, then `undo` is done in order.
    Rollback {
        phases: Vec<PhaseId>,
        to: Box<Config>,
        undo: Vec<Undo>,
    },
}

/// A step outside the configuration that a rollback undoes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    pub phase: PhaseId,
    pub step: Step,
}

/// The orchestrator as the run found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// The address of its control API.
    pub orchestrator: String,
    /// A reference to its token, never the token.
    pub token: Option<String>,
    pub state_uuid: String,
    pub rev: u64,
    pub config_hash: String,
    pub config: Config,
    pub anchor: Anchor,
}

/// Who began a run, where, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    pub user: String,
    pub host: String,
    pub ctx_version: String,
    pub reason: Option<String>,
}
