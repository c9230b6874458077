//! The integration tests: one binary, one module per story.

mod ledger;
mod plan;
mod gateway;
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of this crate is tests")]

mod support;

mod fastapi;
mod load;
