//! The control plane: who may change the configuration, and how.
//!
//! - [`core`]: the protocol as a state machine without I/O.
//! - [`audit`]: the hash chain that every transition appends to.
//! - [`desk`]: decide, commit, put in force.
//! - [`server`]: the same over HTTP.

pub mod audit;
pub mod core;
pub mod desk;
pub mod server;
