//! `ctx rollback` needs the ledger and the orchestrator's control API, and nothing else: not the
//! plan, not the metrics, not the app, not a gateway that works.

mod soon;

use ctx::control::config::CacheMode;
use ctx::control::observe::Status;
use ctx::error::Code;
use ctx::ledger::fact::{Fact, Outcome};
use ctx::rehearsal::legacy::Legacy;

use crate::shop::{PLAN_FILE, operator, plan, wait_for};
use crate::support::proxy::Proxy;
use crate::support::serve::Serve;
use crate::support::{Test, until};

/// An orchestrator in front of an app that can be stopped, and a project with a plan for it.
struct Scene {
    serve: Serve,
    legacy: Option<Legacy>,
    /// Between `ctx` and the control API.
    proxy: Proxy,
    test: Test,
}

impl Scene {
    /// With something in between that answers 503 for these paths of the control API.
    fn with(broken: &'static [&'static str]) -> Self {
        let (test, legacy) = (operator(), Legacy::start().unwrap());
        let serve = Serve::start(&test, &legacy.url());
        let proxy = Proxy::to(&serve.control, broken);
        test.write(PLAN_FILE, &plan(&format!("http://{}", proxy.addr)));
        Self { serve, legacy: Some(legacy), proxy, test }
    }

    /// Two phases confirmed, and the configuration before them.
    fn migrated(&self) -> String {
        let before = self.serve.state().config_hash;
        self.test.run(&["migrate", "all", "--yes"]).exits(Code::Done);
        assert_ne!(self.serve.state().config_hash, before);
        before
    }

    /// A first phase that soaks, left by a `ctx` that was killed; and the configuration before.
    fn left_half_way(&self) -> String {
        let before = self.serve.state().config_hash;
        let slow = plan(&format!("http://{}", self.proxy.addr));
        self.test.write(PLAN_FILE, &slow.replace("soak = \"10ms\"\n", "soak = \"60s\"\n"));
        let running = self.test.spawn(&["migrate", "phase", "1", "--yes"]);
        self.test.until_recorded(1, "soak_begun");
        assert_eq!(self.serve.state().config.cache.mode, CacheMode::Read);
        running.kill();
        before
    }

    /// Rolls everything back and checks that nothing is left of it.
    #[track_caller]
    fn rolls_back_to(&self, before: &str) {
        self.test.run(&["rollback", "--to", "start", "--yes"]).exits(Code::Done);
        let state = self.serve.state();
        assert_eq!(
            (state.config_hash.as_str(), state.provisional, state.lease),
            (before, None, None)
        );
        let facts = self.test.facts();
        let Some(Fact::RunEnded { outcome, .. }) = facts.last() else { panic!("{facts:#?}") };
        // Of a run that was in flight, or of one that did nothing else.
        assert!(matches!(outcome, Outcome::RolledBack | Outcome::Done), "{outcome:?}");
        self.test.run(&["ledger", "verify"]).exits(Code::Done);
    }
}

#[test]
fn without_the_plan_file() {
    let scene = Scene::with(&[]);
    let before = scene.migrated();
    std::fs::remove_dir_all(scene.test.path("plans")).unwrap();
    scene.rolls_back_to(&before);

    let scene = Scene::with(&[]);
    let before = scene.left_half_way();
    std::fs::remove_dir_all(scene.test.path("plans")).unwrap();
    scene.rolls_back_to(&before);
}

#[test]
fn with_a_plan_file_that_is_none_any_more() {
    let scene = Scene::with(&[]);
    let before = scene.migrated();
    scene.test.write(PLAN_FILE, "[[[ not a plan");
    scene.rolls_back_to(&before);
}

#[test]
fn without_metrics_and_health() {
    const BROKEN: &[&str] = &["/v1/metrics", "/v1/health", "/metrics"];
    let scene = Scene::with(BROKEN);
    let before = scene.left_half_way();
    scene.rolls_back_to(&before);
    let asked = scene.proxy.seen();
    assert!(asked.iter().any(|call| call.contains("/v1/revisions")), "{asked:?}");

    let scene = Scene::with(BROKEN);
    let before = scene.migrated();
    scene.rolls_back_to(&before);
}

#[test]
fn without_the_legacy_app() {
    let mut scene = Scene::with(&[]);
    let before = scene.migrated();
    scene.legacy.take().unwrap().stop();
    scene.rolls_back_to(&before);

    let mut scene = Scene::with(&[]);
    let before = scene.left_half_way();
    scene.legacy.take().unwrap().stop();
    scene.rolls_back_to(&before);
}

#[test]
fn with_a_gateway_that_is_unhealthy() {
    // Health is watched every 100 ms, the app is dead, and whoever asks is told so.
    let mut scene = Scene::with(&[]);
    let before = scene.serve.state().config_hash;
    let watched = r#"
[[phase]]
id    = "health"
title = "Health checks"

  [[phase.step]]
  id   = "checks"
  set  = { "health.enabled" = true, "health.interval" = "100ms" }
  soak = "10ms"
"#;
    let plan = plan(&format!("http://{}", scene.proxy.addr));
    scene.test.write(PLAN_FILE, &format!("{plan}{watched}"));
    scene.test.run(&["migrate", "all", "--yes"]).exits(Code::Done);
    scene.legacy.take().unwrap().stop();
    let client = scene.serve.client();
    until("the gateway is unhealthy", || {
        let health = wait_for(client.health()).unwrap();
        (health.status == Status::Unhealthy).then_some(())
    });
    scene.rolls_back_to(&before);
}

#[test]
fn all_of_it_at_once() {
    let mut scene = Scene::with(&["/v1/metrics", "/v1/health"]);
    let before = scene.left_half_way();
    scene.legacy.take().unwrap().stop();
    std::fs::remove_dir_all(scene.test.path("plans")).unwrap();
    scene.rolls_back_to(&before);
}

#[test]
fn with_nothing_to_roll_back_a_sentence_says_so() {
    let scene = Scene::with(&[]);
    let rollback = || scene.test.run(&["rollback", "--yes"]).exits(Code::Done);
    rollback().warns(&["nothing to roll back: there is no ledger at `.ctx/ledger.sqlite3`"]);
    assert!(!scene.test.path(".ctx").exists(), "asking makes no ledger");
    let before = scene.migrated();
    scene.rolls_back_to(&before);
    let anchor = scene.serve.state().anchor;
    rollback().warns(&["nothing to roll back: no phase is in force"]);
    // Nothing to do needs nobody: not even an orchestrator.
    let Scene { mut serve, test, .. } = scene;
    assert_eq!(serve.state().anchor, anchor, "and changes nothing");
    serve.kill();
    test.run(&["rollback"]).exits(Code::Done).warns(&["nothing to roll back"]);
}
