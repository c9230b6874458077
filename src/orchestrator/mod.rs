//! The orchestrator: the running side. A data plane (the event gateway) and a control API, which
//! share one immutable configuration and never a listener.

pub mod plane;
