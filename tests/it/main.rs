//! The integration tests: one binary, one module per story.

#![expect(clippy::unwrap_used, reason = "all of this crate is tests")]

mod support;

mod architecture;
mod backup;
mod bad_input;
mod completions;
mod control;
mod desk;
mod fastapi;
mod gateway;
mod help;
mod kills;
mod ledger;
mod load;
mod migration;
mod openapi;
mod plan;
mod readme;
mod rehearse;
mod report;
mod resume;
mod shop;
mod status;
mod suites;
mod taking_up;
mod tour;
