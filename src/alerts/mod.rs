//! Telling people elsewhere what a run does, and what is the matter between runs.
//!
//! Law: an alert never blocks, delays or fails a run. A run's observer ([`Watching`]) makes alerts
//! of facts and puts them into bounded queues; a thread beside the run sends them, each sink by
//! itself, and is waited for at the end for a bounded time only.
//!
//! [`incidents`] is a fold over the facts of a run, without I/O: which facts are news, under which
//! key, and which of them end an incident. [`routing`] says which sinks get one, [`sinks`] what it
//! looks like there. What `ctx monitor` sees outside a phase is told by [`Outside`], what self-healing
//! cannot cure by [`Escalations`], without I/O too. [`journal`] remembers what was delivered, so that a process that takes a run
//! up sends what the one before it did not, and nothing twice. [`post`] and [`desk`] are the thin
//! edge.
//!
//! How to add a kind of sink: a variant of [`Destination`](crate::plan::alerts::Destination) with
//! its key in `plan::read::alerts`, its body in a file of [`sinks`], its arm in `post`.

pub mod alert;
pub mod incidents;
pub mod routing;
pub mod sinks;

mod command;
mod desk;
mod escalations;
mod http;
mod journal;
mod outside;
mod post;
mod reach;
mod watching;

pub use alert::{Alert, Event, Status};
pub use desk::{Desk, Voice};
pub use escalations::Escalations;
pub use incidents::Incidents;
pub use outside::Outside;
pub use post::{Unsent, send};
pub use reach::reach;
pub use watching::Watching;
