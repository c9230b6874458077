//! Guards by query, and guards outside a phase.

mod monitored;
mod odd;
mod queried;
mod throughout;
