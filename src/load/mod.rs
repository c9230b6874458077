//! Load: an open-loop generator, realistic webhooks for it to send, and a plan's test suites.
//!
//! - [`source`]: what is sent next, as a trait; [`webhooks`] is the realistic one.
//! - [`run`]: sends at a constant arrival rate and measures from the intended start.
//! - [`drive`]: the fast one of `ctx load`, with stages, thresholds and threads.
//! - [`counters`]: what happened so far, readable while it runs.
//! - [`suites`]: a plan's test cases, and what came of them.
//! - [`sign`]: signatures and delivery ids as each platform makes them.

pub mod client;
pub mod counters;
pub mod dice;
pub mod drive;
pub mod generator;
mod pacer;
pub mod sign;
pub mod source;
pub mod suites;
pub mod webhooks;

pub use client::Address;
pub use counters::{Counters, FailureKind, Outcome};
pub use generator::{Observer, Rate, Scenario, run};
pub use source::{Outgoing, Source};

#[cfg(test)]
mod tests;
