//! The orchestrator: the running side. A data plane (the event gateway) and a control API, which
//! share one immutable configuration and never a listener.
//!
//! [`Orchestrator::start`] is all there is to it, whether `ctx serve` calls it or a rehearsal
//! does.

pub mod cache;
pub mod control;
pub mod flags;
pub mod gateway;
pub mod metrics;
pub mod plane;
pub mod pool;
pub mod split;
mod start;
pub mod store;

pub use start::{Initial, Options, Orchestrator, StartError};
