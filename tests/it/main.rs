//! The integration tests: one binary, one module per story.

mod completions;
mod desk;
mod ledger;
mod plan;
mod report;
mod status;
