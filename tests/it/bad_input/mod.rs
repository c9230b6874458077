//! Bad input, one story each: it ends in a clear error, with the right exit code, and with nothing
//! half done.
//!
//! Each story snapshots the whole of stderr, so that what a person reads is reviewed with the code.

mod command_line;
mod disk;
mod ledger;
mod messages;
mod operators;
mod orchestrator;
mod phases;
mod plan_file;
mod reading;
