//! The integration tests: one binary, one module per story.

#![expect(clippy::unwrap_used, reason = "all of this crate is tests")]

mod support;

mod architecture;
mod backup;
mod completions;
mod control;
mod desk;
mod fastapi;
mod gateway;
mod help;
mod ledger;
mod load;
mod plan;
mod readme;
mod report;
mod status;
mod tour;
