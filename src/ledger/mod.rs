//! The ledger: an append-only, hash-chained SQLite record of everything ctx intended and did.

pub mod fact;
pub mod view;
