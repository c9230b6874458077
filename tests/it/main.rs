//! The integration tests: one binary, one module per story.

#![expect(clippy::unwrap_used, reason = "all of this crate is tests")]

mod support;

mod architecture;
mod backup;
mod bad_input;
mod canary;
mod canary_steps;
mod compatibility;
mod completions;
mod control;
mod cut_off;
mod desk;
mod detached;
mod drill;
mod everyday;
mod extensions;
mod failure_model;
mod fastapi;
mod flags;
mod fuzz;
mod gateway;
mod healing;
mod help;
mod in_flight;
mod inbox;
mod iofault;
mod kills;
mod ledger;
mod load;
mod lock;
mod migration;
mod observability;
mod openapi;
mod pages;
mod plan;
mod prometheus;
mod readme;
mod rehearse;
mod report;
mod resume;
mod rollback;
mod secrets;
mod shadow;
mod shop;
mod signals;
mod status;
mod suites;
mod taking_up;
mod tour;
mod transport;
