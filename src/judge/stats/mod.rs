//! The statistics behind a canary's verdict: tests that are exact where counts are small, scale
//! free, deterministic, and valid however often one looks.
//!
//! - [`rank`]: are the canary's latencies larger? Mann-Whitney, with an effect size.
//! - [`tail`]: are more of the slowest answers the canary's?
//! - [`fisher`]: does the canary fail more often? Fisher's exact test.
//! - [`looks`]: how much evidence a look needs, so that many looks do not add up to false alarms.

pub mod fisher;
pub mod looks;
pub mod rank;
pub mod tail;
