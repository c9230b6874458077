//! ctx: a migration control plane in one binary.
//!
//! In reading order:
//!
//! - [`units`], [`ids`], [`clock`], [`error`]: the small words everything else is said in.
//! - [`plan`] (pure): TOML with spans becomes a valid plan, or all its faults at once.
//! - [`judge`] (pure): guards and criteria as functions from samples to three-valued verdicts.
//! - [`ledger`]: facts, the hash chain over them (pure), the SQLite store, its projections.
//! - [`control`]: the types both sides of the control API share, and its client.
//! - [`engine`]: `state = facts.fold(evolve)`, `action = decide(state, now)`, and the one small
//!   loop that acts.
//! - [`report`]: what is told about a migration: status, history, report.
//! - [`progress`]: how a run is shown while it happens.
//! - [`orchestrator`]: the running side: gateway, control API, health, store.
//! - [`settings`], [`secret`], [`ui`], [`cli`]: the edge that joins them.

pub mod cli;
pub mod clock;
pub mod control;
pub mod engine;
pub mod error;
pub mod ids;
pub mod judge;
pub mod ledger;
pub mod orchestrator;
pub mod plan;
pub mod progress;
pub mod report;
pub mod secret;
pub mod settings;
pub mod ui;
pub mod units;
