//! Guards by query, and guards outside a phase.

mod approving;
mod criteria;
mod monitored;
mod odd;
mod queried;
mod throughout;
