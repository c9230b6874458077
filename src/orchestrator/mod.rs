//! The orchestrator: the running side. A data plane (the event gateway) and a control API, which
//! share one immutable configuration and never a listener.
//!
//! [`Orchestrator::start`] is all there is to it, whether `ctx serve` calls it or a rehearsal
//! does.

pub mod control;
pub mod plane;
mod start;
pub mod store;

pub use start::{Initial, Options, Orchestrator, StartError};
