//! The engine: a fold and a question.
//!
//! `state = facts.fold(evolve)`, `next = decide(state)`. Both are pure: no I/O, no clock, no
//! printing. The executor is one dull loop: record the intent, act, record the outcome. Resuming
//! after a crash is the same loop, begun again from the facts.
//!
//! - [`moves`]: a phase unrolled into single changes, each with the whole document it leads to;
//! - [`state`]: what the facts of a run come to;
//! - [`decide`]: what to do next;
//! - [`protocol`]: the conversation with the orchestrator, a state machine over the two above;
//! - [`recover`]: what a request of unknown outcome came to, by the table of the protocol;
//! - [`adopt`]: a run taken over from what the orchestrator knows of it;
//! - [`draft`]: what a run would do and send, if everything goes well;
//! - [`executor`]: the loop, and the parts of the world it acts on.

pub mod adopt;
pub mod decide;
pub mod draft;
pub mod executor;
pub mod key;
pub mod moves;
pub mod protocol;
pub mod recover;
mod rollback;
pub mod state;

#[cfg(test)]
mod recovery_story;
#[cfg(test)]
mod story;
