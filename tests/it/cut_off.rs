//! The way to the orchestrator fails: it is cut, or answered by something that is unwell; or who
//! answers is not what it was.

use std::time::Duration;

use ctx::control::wire::State;
use ctx::error::Code;
use ctx::ledger::fact::{Fact, HaltReason};
use ctx::rehearsal::legacy::Legacy;
use tokio::time::Instant;

use crate::shop::{PLAN_FILE, operator, plan};
use crate::support::proxy::Proxy;
use crate::support::serve::Serve;
use crate::support::{Running, Test, until};

/// A lease lives for 30 s, and the orchestrator looks every 200 ms.
const LAPSED: Duration = Duration::from_secs(32);

/// An orchestrator, a project with a plan for it, and a way between them.
struct Scene {
    serve: Serve,
    way: Proxy,
    test: Test,
    _legacy: Legacy,
}

impl Scene {
    /// Where each change soaks for that long, over a way that may turn against new revisions.
    fn soaking(soak: &str) -> Self {
        let (test, legacy) = (operator(), Legacy::start().unwrap());
        let serve = Serve::start(&test, &legacy.url());
        let way = Proxy::to(&serve.control, &["/v1/revisions"]);
        way.is_well(true);
        let text = plan(&format!("http://{}", way.addr));
        test.write(PLAN_FILE, &text.replace("\"10ms\"", &format!("\"{soak}\"")));
        Self { serve, way, test, _legacy: legacy }
    }

    /// The first phase in its first soak, and where the orchestrator stood before.
    fn begun(&self) -> (State, Running) {
        let before = self.serve.state();
        let running = self.test.spawn(&["migrate", "phase", "1", "--yes"]);
        self.test.until_recorded(1, "soak_begun");
        assert_ne!(self.serve.state().config_hash, before.config_hash);
        (before, running)
    }

    /// How many changes were asked for.
    fn changes(&self) -> usize {
        self.way.seen().iter().filter(|call| call.starts_with("POST /v1/revisions")).count()
    }
}

#[test]
fn a_run_that_is_cut_off_changes_nothing_more_and_what_it_did_is_taken_back() {
    let scene = Scene::soaking("3s");
    let (before, running) = scene.begun();
    scene.way.is_cut(true);
    let (cut, changes) = (Instant::now(), scene.changes());
    // Both sides give up by themselves: the orchestrator first, when the lease lapses.
    let mut there = scene.serve.state();
    while there.provisional.is_some() && cut.elapsed() < LAPSED {
        there = block(&scene.serve);
    }
    assert_eq!(
        (there.config_hash, there.provisional, there.lease),
        (before.config_hash, None, None)
    );
    running.ends().exits(Code::Unreachable).warns(&[
        "did not answer in time, or broke off",
        "what is provisional is taken back by the orchestrator itself",
        "go on with `ctx migrate phase 1`",
    ]);
    assert_eq!(scene.changes(), changes, "nothing was sent into the cut");
    scene.way.is_cut(false);
    scene.test.run(&["resume"]).exits(Code::Done);
    let void = |fact: &Fact| matches!(fact, Fact::ChangeVoid { .. });
    assert!(scene.test.facts().iter().any(void), "that it was reverted is on record");
    scene.test.run(&["ledger", "verify"]).exits(Code::Done);
}

#[test]
fn a_rollback_that_is_refused_for_a_while_is_pending_and_then_done() {
    let scene = Scene::soaking("60s");
    let (before, running) = scene.begun();
    running.kill();
    let changes = scene.changes();
    scene.way.is_well(false);
    let rollback = scene.test.spawn(&["rollback", "--yes"]);
    // With longer and longer pauses, that is more than ten seconds.
    until("many tries", || (scene.changes() >= changes + 13).then_some(()));
    scene.way.is_well(true);
    rollback.ends().exits(Code::Done).warns(&["rollback pending: ", "trying again"]);
    let state = scene.serve.state();
    assert_eq!((state.config_hash, state.provisional), (before.config_hash, None));
    assert_eq!(scene.test.count("rollback_begun"), 1);
}

#[test]
fn a_run_whose_configuration_somebody_else_has_changed_halts_and_overwrites_nothing() {
    let mut scene = Scene::soaking("60s");
    let (_, running) = scene.begun();
    running.kill();
    // Another legacy app, on the command line: a revision of its own.
    scene.serve.kill();
    let other = Legacy::start().unwrap();
    scene.serve = Serve::start(&scene.test, &other.url());
    let there = scene.serve.state();
    let url = format!("http://{}", scene.serve.control);
    let resume = ["resume", "--orchestrator", &url];
    scene.test.run(&resume).exits(Code::Refused).warns(&["was changed by somebody else"]);
    let state = scene.serve.state();
    assert_eq!((state.head, state.config_hash), (there.head, there.config_hash));
    let drift = |fact: &Fact| matches!(fact, Fact::Halted { reason: HaltReason::Drift, .. });
    assert!(scene.test.facts().iter().any(drift));
    scene.test.run(&["status"]).exits(Code::Done).says(&["HALTED", "the ledger expects"]);
}

/// Where it stands a moment later.
fn block(serve: &Serve) -> State {
    #[expect(clippy::disallowed_methods, reason = "the pause between two questions")]
    std::thread::sleep(Duration::from_millis(100));
    serve.state()
}
