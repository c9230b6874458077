//! Judgement: pure functions from samples to three-valued verdicts.
//!
//! A verdict passes, fails, or is inconclusive with a reason. Inconclusive never advances a
//! phase. Nothing in here does I/O or reads a clock.

pub mod armed;
pub mod arms;
pub mod canary;
pub mod criterion;
pub mod evidence;
pub mod guard;
pub mod limit;
pub mod measure;
pub mod metric;
#[cfg(test)]
mod odds;
pub mod promql;
pub mod stats;
pub mod verdict;

pub use limit::Limit;
pub use measure::Measure;
pub use metric::{Metric, Unit};
pub use verdict::Verdict;
