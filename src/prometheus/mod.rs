//! Asking a Prometheus server: one query, one number, or the reason why there is none.
//!
//! [`answer`] reads what such a server says, without asking; [`client`] asks, over TLS where the
//! address says so. Both sides use them:
//! the orchestrator judges the guards that are armed there, ctx looks at a plan's queries before a
//! phase begins and while it monitors. Any server with the same API will do.

pub mod answer;
pub mod client;
mod tls;

pub use answer::NoNumber;
pub use client::Client;
