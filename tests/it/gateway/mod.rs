//! The gateway over real sockets: what goes in, what the upstream sees, what comes back.

mod carrying;
mod events;
mod harness;
mod limits;
mod pass_through;
mod reads;
