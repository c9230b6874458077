//! The orchestrator: the running side. A data plane (the event gateway) and a control API, which
//! share one immutable configuration and never a listener.
//!
//! [`Orchestrator::start`] is all there is to it, whether `ctx serve` calls it or a rehearsal
//! does. In reading order:
//!
//! - [`plane`]: what both sides share.
//! - [`gateway`], with [`flags`], [`split`], [`pool`] over [`berths`], [`cache`] and [`metrics`]: the data plane.
//! - [`control`] over [`store`]: who may change the configuration, and how.
//! - [`handover`]: how a new process takes the place of an old one.
//! - [`guarding`], [`health`], [`healing`], [`scaling`]: what the orchestrator does by itself.

pub mod berths;
pub mod breaker;
pub mod cache;
pub mod control;
pub mod extensions;
pub mod flags;
pub mod gateway;
pub mod guarding;
pub mod handover;
pub mod healing;
pub mod health;
pub mod inbox;
pub mod metrics;
mod office;
pub mod parity;
pub mod plane;
pub mod pool;
pub mod scaling;
pub mod split;
mod start;
pub mod store;

pub use start::{Initial, Options, Orchestrator, StartError};
