//! What is told about a migration: one model, several renderings, and the words they share.
//!
//! - [`page`], [`words`], [`sentence`]: text that fits, quantities, and every fact in words.
//! - [`place`]: where one run stands.
//! - [`records`], [`live`]: what the ledger knows, and what the orchestrator answered.
//! - [`model`]: the report, built by [`build`] with `criteria` and `next`; [`text`] and
//!   [`markdown`] render it, JSON is the model itself.
//! - [`timeline`]: metrics and rollout over time; [`chart`] draws it, [`html`] is the page around it,
//!   [`junit`] what a pipeline reads.
//! - [`status`]: one screen, rendered by [`screen`]. [`record`]: one fact for machines.

pub mod build;
pub mod chart;
mod criteria;
#[cfg(test)]
pub(crate) mod fixture;
pub mod html;
pub mod junit;
pub mod live;
pub mod markdown;
pub mod model;
mod next;
pub mod page;
pub mod place;
pub mod record;
pub mod records;
pub mod screen;
pub mod sentence;
#[cfg(test)]
mod sentence_tests;
pub mod status;
#[cfg(test)]
mod tests;
pub mod text;
pub mod timeline;
pub mod words;

pub use build::Inputs;
pub use live::Live;
pub use model::Report;
pub use place::Place;
pub use records::Records;
pub use status::Status;
pub use timeline::Timeline;
