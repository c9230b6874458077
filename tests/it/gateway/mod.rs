//! The gateway over real sockets: what goes in, what the upstream sees, what comes back.

#![expect(clippy::unwrap_used, reason = "a test whose world cannot be set up has failed")]

mod breakers;
mod caching;
mod carrying;
mod events;
mod harness;
mod limits;
mod pass_through;
mod pools;
mod reads;
mod short_way;
mod smuggling;
