//! Plans: TOML with spans in, a valid [`Plan`] or all faults at once out.
//!
//! [`parse()`] is pure and reads in four passes (see there). A plan's text is read once; what
//! comes out is typed, resolved and never checked again. Keys and their kinds stand in shapes
//! beside the readers, which the JSON Schema is made from too.

pub mod alerts;
pub mod effect;
pub mod model;
pub mod preview;
pub mod render;

mod cap;
mod draft;
mod fault;
mod hash;
mod load;
mod parse;
mod read;
#[cfg(test)]
mod reference;
mod rules;
mod scalar;
mod schema;
mod shape;
mod source;
mod table;
mod usual;

pub use fault::Fault;
pub use hash::{file_hash, phase_hash};
pub use load::{LoadError, Loaded, check, load, load_alerts, manifest, manifest_failure};
pub use model::Plan;
pub use parse::{MAX_BYTES, parse, parse_alerts};
pub use schema::schema;
