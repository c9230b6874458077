//! `ctx load`: as much load as a core can make, honestly measured.
//!
//! The law: every request of the schedule is accounted for once, and its latency counts from when
//! it was due, not from when a connection was free for it. What a service keeps waiting it pays
//! for. Without a schedule (a closed loop) there is no due time, and the latencies are named what
//! they are: service times.
//!
//! - [`schedule`]: when the n-th request is due, over stages that hold a rate or ramp to one.
//! - [`wire`]: a request as bytes, made once; where an answer ends, without keeping its body.
//! - [`desk`]: which connection takes the next request.
//! - [`link`]: one kept connection, one request at a time.
//! - [`poller`]: waits for sockets and for what is due.
//! - [`worker`]: one thread of them, that never waits for anything else.
//! - [`tally`] and [`summary`]: what was counted, and what it says.
//! - [`threshold`]: what the summary must keep to.
//! - [`fleet`]: all threads, nothing shared between them.
//!
//! The threads do without the runtime that everything else here runs on, without its tasks and
//! wakers: what is left is the system's, the two calls of each request (`benches/load.rs`).
//!
//! [`super::generator`] is its sibling for suites and rehearsals, which need to know each delivery.
//! The schedule is wrk2's idea, thresholds are k6's, the attack's shape is vegeta's.

mod desk;
pub mod fleet;
mod link;
mod poller;
pub mod schedule;
pub mod summary;
pub mod tally;
pub mod threshold;
pub mod wire;
mod worker;

pub use fleet::{Drive, Pace, Supply, apply};
pub use schedule::{Schedule, Stage};
pub use summary::Summary;
pub use tally::Tally;
pub use threshold::{Judged, Threshold};
