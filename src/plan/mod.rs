//! Plans: TOML with spans in, a valid [`Plan`] or all faults at once out.

pub mod model;

pub use model::Plan;
