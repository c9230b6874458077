//! What becomes of a phase that is killed, interrupted, or fails: on the real binary, with the
//! built-in legacy app behind it and traffic all the time.

mod failing;
mod interrupted;
mod killed;
mod programs;
mod undone;

use std::collections::BTreeSet;
use std::time::Duration;

use ctx::error::Code;
use ctx::ledger::fact::Fact;
use ctx::load::sign::Secrets;
use ctx::load::webhooks::Mix;
use ctx::rehearsal::legacy::Legacy;

use crate::support::serve::{Serve, TOKEN};
use crate::support::traffic::{Report, Traffic};
use crate::support::{Ran, Running, Test};

const HEAD: &str = r#"
schema = 1

[plan]
name  = "small"
title = "A small migration"

[orchestrator]
url   = "http://CONTROL"
token = "env:CTX_TOKEN"

[guards.error-rate]
metric      = "error_rate"
max         = "5%"
for         = 2
min_samples = 20
every       = "200ms"
"#;

/// Three changes with a soak each.
pub(crate) const POOLING: &str = r#"
[[phase]]
id    = "pooling"
title = "Pooled connections"

  [[phase.step]]
  id   = "pool-ramp"
  ramp = { flag = "connection_pooling", to = ["25%", "100%"], soak = "1500ms" }

  [[phase.step]]
  id   = "pool-limits"
  set  = { "pool.max_idle" = 128 }
  soak = "1500ms"
"#;

/// One change with a short soak.
pub(crate) const HEALTH: &str = r#"
[[phase]]
id    = "health"
title = "Health checks"

  [[phase.step]]
  id   = "checks"
  set  = { "health.enabled" = true, "health.interval" = "1s" }
  soak = "300ms"
"#;

/// A service with a plan, an orchestrator in front of it, and traffic.
pub(crate) struct Scene {
    /// Ends before the servers do.
    pub(crate) traffic: Traffic,
    pub(crate) serve: Serve,
    pub(crate) legacy: Legacy,
    pub(crate) test: Test,
}

impl Scene {
    /// With a plan of these phases.
    #[track_caller]
    pub(crate) fn new(phases: &[&str]) -> Self {
        let test = Test::new().env("CTX_TOKEN", TOKEN);
        let legacy = Legacy::start().unwrap();
        let serve = Serve::start(&test, &legacy.url());
        let traffic = Traffic::start(serve.address(), 100.0, Mix::default(), Secrets::default());
        let scene = Self { traffic, serve, legacy, test };
        scene.plan(phases);
        scene
    }

    /// Writes the plan.
    pub(crate) fn plan(&self, phases: &[&str]) {
        self.plan_for(&self.test, phases);
    }

    /// Writes a plan for this orchestrator into a project.
    pub(crate) fn plan_for(&self, test: &Test, phases: &[&str]) {
        let plan = [&[HEAD], phases].concat().concat().replace("CONTROL", &self.serve.control);
        test.write("plans/small.toml", &plan);
    }

    /// `ctx migrate phase N`, to its end.
    #[track_caller]
    pub(crate) fn migrate(&self, phase: &str) -> Ran {
        self.begin(phase).ends()
    }

    /// `ctx migrate phase N`, begun.
    pub(crate) fn begin(&self, phase: &str) -> Running {
        self.test.spawn(&["migrate", "phase", phase, "--yes"])
    }

    /// The configuration in force.
    #[track_caller]
    pub(crate) fn config(&self) -> String {
        self.serve.state().config_hash
    }

    /// Checks what [`Scene::ends`] does, and that every request got the answer that the app
    /// itself would have given.
    #[track_caller]
    pub(crate) fn ends_undisturbed(self) {
        self.ends().is_undisturbed();
    }

    /// Checks that the ledger is whole, that nothing was confirmed twice, and that no event was
    /// lost.
    #[track_caller]
    pub(crate) fn ends(self) -> Report {
        self.test.run(&["ledger", "verify"]).exits(Code::Done);
        let mut confirmed = BTreeSet::new();
        for fact in self.test.facts() {
            if let Fact::ChangeConfirmed { rev, .. } = fact {
                assert!(confirmed.insert(rev), "revision {rev} was confirmed twice");
            }
        }
        let report = self.traffic.stop();
        let acknowledged = report.acknowledged.iter().cloned();
        let lost = self.legacy.handled().await_all(acknowledged, Duration::from_secs(10));
        assert_eq!(lost, Vec::<String>::new(), "of {}", report.acknowledged.len());
        report
    }
}
