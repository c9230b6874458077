//! The integration tests: one binary, one module per story.

mod control;
mod gateway;
