//! What is fuzzed: plain functions of bytes that panic when a law is broken.
//!
//! Two runners share them: the tests beside this folder (stable, seeded, bounded by a number of
//! executions) and `fuzz/` at the root (libFuzzer, by coverage). So nothing in here may use the
//! test crate; it sees `ctx` from the outside.

#![allow(unreachable_pub, dead_code, reason = "each of the two runners uses a part of it")]

pub mod backup;
pub mod control;
pub mod document;
pub mod flagd;
pub mod ledger;
pub mod plan;
pub mod webhook;
pub mod words;
