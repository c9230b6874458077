//! ctx: a migration control plane in one binary.
//!
//! In reading order:
//!
//! - [`units`], [`ids`], [`clock`], [`error`]: the small words everything else is said in.
//! - [`trust`]: whom a TLS connection trusts.
//! - [`failpoint`], [`rules`]: instants and rules with names, for tests to kill at and to remove.
//! - [`plan`] (pure): TOML with spans becomes a valid plan, or all its faults at once.
//! - [`judge`] (pure): guards and criteria as functions from samples to three-valued verdicts.
//! - [`ledger`]: facts, the hash chain over them (pure), the SQLite store, its projections.
//! - [`control`]: the types both sides of the control API share, and its client.
//! - [`prometheus`]: a query to a Prometheus server comes to one number, or to a reason.
//! - [`engine`]: `state = facts.fold(evolve)`, `next = decide(state)`, and the one small loop that
//!   acts.
//! - [`orchestrator`]: the running side: gateway, control API, health, store.
//! - [`load`]: the open-loop load generator, signed webhooks, test suites.
//! - [`rehearsal`]: a whole plan against an embedded orchestrator, in compressed time.
//! - [`progress`], [`report`]: how a run is shown while it happens, and afterwards.
//! - [`alerts`]: what people elsewhere are told of a run, and how it gets there.
//! - [`backup`]: configuration, databases and cache at one instant, verified by restoring them.
//! - [`settings`], [`secret`], [`ui`], [`cli`]: the edge that joins them.

pub mod alerts;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod control;
pub mod engine;
pub mod error;
pub mod failpoint;
pub mod ids;
pub mod judge;
#[cfg(test)]
mod kept;
pub mod ledger;
pub mod load;
pub mod orchestrator;
pub mod plan;
pub mod progress;
pub mod prometheus;
pub mod rehearsal;
pub mod report;
pub mod rules;
pub mod secret;
pub mod settings;
#[cfg(test)]
mod simulation;
pub mod trust;
pub mod ui;
pub mod units;
