//! Extensions as programs that the orchestrator runs, from outside.

mod command;
mod embedded;
mod ending;
mod limits;
mod running;
mod swap;
mod world;
