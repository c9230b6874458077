//! The control API over real HTTP: an orchestrator in this process, and operators that call it.

mod access;
mod harness;
mod maintenance;
mod observe;
mod process;
mod protocol;
mod start;
