//! Extensions as programs that the orchestrator runs, from outside.

mod canary;
mod command;
mod embedded;
mod ending;
mod example;
mod healing;
mod limits;
mod plan;
mod running;
mod scaling;
mod swap;
mod world;
