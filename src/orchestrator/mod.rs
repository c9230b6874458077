//! The orchestrator: the running side. A data plane (the event gateway) and a control API, which
//! share one immutable configuration and never a listener.

pub mod cache;
pub mod flags;
pub mod gateway;
pub mod metrics;
pub mod plane;
pub mod pool;
pub mod split;
