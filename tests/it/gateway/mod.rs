//! The gateway over real sockets: what goes in, what the upstream sees, what comes back.

mod harness;
mod pass_through;
