//! Phases that need no terminal: soaks left to the orchestrator, asks from elsewhere, and a run
//! taken over without its ledger.

mod adopted;
mod asked;
mod damaged;
mod left;

use ctx::error::Code;

use crate::resume::Scene;
use crate::support::{Ran, until};

impl Scene {
    /// `ctx migrate phase 1 --detach`, which leaves at the first soak.
    #[track_caller]
    fn detach(&self, more: &[&str]) -> Ran {
        let args = [&["migrate", "phase", "1", "--yes", "--detach"], more].concat();
        self.test.run(&args).exits(Code::Awaiting)
    }

    /// `ctx resume`, again and again as a scheduled job does, until it ends with something else
    /// than "still soaking".
    #[track_caller]
    fn come_back(&self) -> Ran {
        until("the run to end", || {
            let ran = self.test.run(&["resume"]);
            (!ran.is(Code::Awaiting)).then_some(ran)
        })
    }
}
