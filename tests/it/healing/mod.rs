//! Self-healing and scaling, from outside: a real orchestrator, upstreams that fall sick, and what
//! its clients and its metrics see of it.

mod breaker;
mod canary;
mod escalation;
mod extension;
mod fastapi;
mod load;
mod scaling;
mod world;
