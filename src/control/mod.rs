//! The control API's shared types, and the client that speaks them.
//!
//! Both sides use these types and nothing else of each other: the engine never imports the
//! orchestrator. Names on the wire are the names in code, plan and ledger.

pub mod armed;
pub mod client;
pub mod config;
pub mod document;
pub mod extensions;
pub mod failure;
pub mod flags;
pub mod host;
pub mod inbox;
pub mod observe;
pub mod origin;
mod problem;
pub mod wire;
