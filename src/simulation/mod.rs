//! A world in which everything goes wrong, driven by a seed: the protocol's own two cores, with
//! neither a socket nor a disk between them.
//!
//! Law: the same seed gives the same history, to the last message. Whatever happens, the
//! invariants hold after every event, and once the faults stop every run comes to an end.
//!
//! The server is [`crate::orchestrator::control::core::Core`] over a book in memory; a client is
//! [`crate::engine::protocol::Protocol`] over a list of facts. What is modelled is what stands
//! between them: messages that are lost, late or doubled; processes that are killed between any
//! two things they do, on both sides; two operators; people who edit the configuration, restore
//! an older state, or change their mind.
//!
//! - [`rng`], [`world`]: chance, virtual time, the queue of events;
//! - [`network`]: requests and replies on their way;
//! - [`book`], [`server`]: the orchestrator and what its disk holds;
//! - [`scenario`], [`operator`]: the people, what they want done, their ledgers;
//! - [`process`], [`soaks`], [`leaving`]: a command line at work, and what it does last;
//! - [`invariants`], [`witness`], [`claims`]: what must hold, and who checks it after every event;
//! - [`mutants`]: what happens without one of the rules;
//! - [`seeds`]: the tests.
//!
//! A seed that fails says how to run it again: `CTX_SEED=N cargo test --lib one_seed --
//! --ignored --nocapture` prints its whole history.

mod book;
mod claims;
mod invariants;
mod leaving;
mod mutants;
mod network;
mod operator;
mod process;
mod rng;
mod scenario;
mod seeds;
mod server;
mod soaks;
mod witness;
mod world;
