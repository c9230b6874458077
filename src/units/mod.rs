//! Quantities that carry their unit: ratios as `25%`, durations as `1h30m`, memory as
//! `256MiB`.
//!
//! A plan, a configuration, a message and a ledger entry all write a quantity the same way, so
//! that what an operator reads in one place can be searched for in another. They parse at
//! the door and print in one canonical form.

pub mod duration;
mod percent;
pub mod size;

pub use percent::Percent;
