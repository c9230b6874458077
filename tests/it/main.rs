//! The integration tests: one binary, one module per story.

mod ledger;
mod plan;
mod gateway;
