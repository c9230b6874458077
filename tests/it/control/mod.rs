//! The control API over real HTTP: an orchestrator in this process, and operators that call it.

#![expect(clippy::unwrap_used, reason = "a test whose world cannot be set up has failed")]

mod access;
mod guards;
mod harness;
mod maintenance;
mod observe;
mod process;
mod protocol;
mod start;
