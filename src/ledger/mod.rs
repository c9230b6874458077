//! The ledger: an append-only, hash-chained SQLite record of everything ctx intended and did.
//!
//! - [`fact`]: what is recorded; [`chain`] (pure): the hash over it; [`view`]: what it comes to.
//!   [`begun`]: the first of each run; [`monitored`]: what was seen outside a phase.
//! - [`store`]: the one writer; [`reader`]: any number of readers, which change nothing.
//! - [`projection`]: one `match` from facts to the derived tables; [`verify`]: proves the chain, or finds
//!   each [`fault`].
//! - `reserve`: space for the end of a run on a full disk; `unrecorded`: a rollback on a disk that
//!   takes no writes.
//! - [`import`]: a ledger from its export, proven entry by entry.
//! - [`schema`], [`lock`], [`error`]: migrations, the writer's lock, what can go wrong.

pub mod begun;
pub mod chain;
pub mod error;
pub mod fact;
pub mod fault;
pub mod import;
pub mod lock;
pub mod monitored;
pub mod projection;
pub mod reader;
mod reserve;
mod rows;
pub mod schema;
pub mod store;
mod unrecorded;
pub mod verify;
pub mod view;

pub use error::LedgerError;
pub use reader::Reader;
pub use store::{Ledger, Of};
