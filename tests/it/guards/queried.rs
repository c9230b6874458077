//! A guard that asks a real Prometheus, which scrapes the orchestrator.

use ctx::control::armed::{GuardLook, LookOutcome};
use ctx::error::Code;
use ctx::ledger::fact::Fact;
use ctx::rehearsal::legacy::Faults;
use ctx::units::Percent;

use crate::resume::Scene;
use crate::support::prometheus::Prometheus;
use crate::support::{block_on, until};

/// The share of answers that are errors, as a query.
const QUERY: &str = r#"
query = '''
  (sum(rate(ctx_requests_total{code_class="5xx"}[1s])) or vector(0))
    / sum(rate(ctx_requests_total[1s]))
'''
max   = "5%"
for   = 2
"#;

/// One change, under the guard by query alone.
const PHASE: &str = r#"
[[phase]]
id    = "health"
title = "Health checks"
without_guards = ["error-rate"]

  [[phase.step]]
  id   = "checks"
  set  = { "health.enabled" = true, "health.interval" = "1s" }
  soak = "1h"
"#;

fn scene() -> Option<(Scene, Prometheus)> {
    let scene = Scene::new(&[]);
    let prometheus = Prometheus::of(&scene.test, &scene.serve)?;
    scene.plan(&[&prometheus.table(), "[guards.errors]", QUERY, PHASE]);
    Some((scene, prometheus))
}

/// Waits until the orchestrator has seen the guard so.
#[track_caller]
fn until_seen(scene: &Scene, what: &str, holds: impl Fn(&GuardLook) -> bool) {
    let client = scene.serve.client();
    until(what, || {
        let view = block_on(client.guards()).ok()?;
        view.looks.iter().any(&holds).then_some(())
    });
}

#[test]
fn errors_that_prometheus_counts_roll_the_phase_back() {
    let Some((scene, _prometheus)) = scene() else { return };
    let before = scene.config();
    let run = scene.begin("1");
    until_seen(&scene, "the guard holds", |look| look.held);
    scene.legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
    let ran = run.ends().exits(Code::RolledBack);
    scene.legacy.inject(Faults::default());
    ran.warns(&["guard `errors`", "prom `(sum(rate(ctx_requests_total", "limit at most 5%"]);
    assert_eq!(scene.config(), before);
    scene.ends();
}

#[test]
fn the_orchestrator_asks_while_nobody_watches() {
    let Some((scene, _prometheus)) = scene() else { return };
    let before = scene.config();
    let detached = scene.test.run(&["migrate", "phase", "1", "--yes", "--detach"]);
    detached.exits(Code::Awaiting);
    until_seen(&scene, "the guard holds", |look| look.held);
    scene.legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
    let tripped = scene.serve.until("the trip", |state| {
        state.armed.as_ref().is_some_and(|armed| armed.tripped.is_some())
    });
    assert_eq!((tripped.config_hash, tripped.provisional), (before, None));
    scene.legacy.inject(Faults::default());
    scene.test.run(&["resume"]).exits(Code::RolledBack).warns(&["guard `errors`"]);
    scene.ends();
}

#[test]
fn an_outage_of_prometheus_is_no_failure_and_nothing_advances_meanwhile() {
    let Some((scene, prometheus)) = scene() else { return };
    let run = scene.begin("1");
    until_seen(&scene, "the guard holds", |look| look.held);
    prometheus.hang();
    until_seen(&scene, "the outage is seen", |look| {
        look.outcome == LookOutcome::Waiting && look.why.contains("does not answer within 5s")
    });
    let state = scene.serve.state();
    assert!(state.provisional.is_some() && state.armed.is_some_and(|a| a.tripped.is_none()));
    assert_eq!(scene.test.count("soak_ended"), 0);
    prometheus.go_on();
    until_seen(&scene, "it holds again", |look| look.outcome == LookOutcome::Held);
    scene.test.run(&["confirm", "--yes"]).exits(Code::Done);
    run.ends().exits(Code::Done);
    scene.ends_undisturbed();
}

#[test]
fn a_misspelt_metric_is_refused_before_anything_is_recorded() {
    let Some((scene, prometheus)) = scene() else { return };
    let misspelt = QUERY.replace("(ctx_requests_total[1s])", "(ctx_request_total[1s])");
    scene.plan(&[&prometheus.table(), "[guards.errors]", &misspelt, PHASE]);
    let before = scene.serve.state();
    let said = ["no metric `ctx_request_total`", "did you mean `ctx_requests_total`?"];
    scene.migrate("1").exits(Code::Refused).warns(&said);
    scene.test.run(&["plan", "check", "--live"]).exits(Code::Refused).warns(&said);
    assert_eq!(scene.test.facts(), Vec::<Fact>::new());
    let after = scene.serve.state();
    assert_eq!((after.head, after.armed, after.lease), (before.head, None, None));
    // Nor is one that the server cannot parse, or that comes to many numbers.
    for (query, said) in [
        ("sum(rate(ctx_requests_total[2s])", "refuses the query"),
        ("ctx_requests_total", "series match where one is needed"),
        ("ctx_requests_total[1m]", "comes to a matrix"),
    ] {
        let guard = format!("[guards.errors]\nquery = \"{query}\"\nmax = 1");
        scene.plan(&[&prometheus.table(), &guard, PHASE]);
        if query.starts_with("ctx_requests_total") && query.len() < 20 {
            // One series is one number: another class of answers makes it two.
            scene.legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
            until("many series", || {
                scene.test.run(&["plan", "check", "--live"]).is(Code::Refused).then_some(())
            });
        }
        scene.test.run(&["plan", "check", "--live"]).exits(Code::Refused).warns(&[said]);
    }
    scene.plan(&[&prometheus.table(), "[guards.errors]", QUERY, PHASE]);
    scene.test.run(&["plan", "check", "--live"]).exits(Code::Done).says(&["1 query answered"]);
}

/// The orchestrator asks over TLS, and ctx does; who is not trusted is not believed.
#[test]
fn a_server_behind_tls_is_trusted_by_its_own_authority() {
    let scene = Scene::new(&[]);
    let Some(prometheus) = Prometheus::over_tls(&scene.test, &scene.serve) else { return };
    let table = prometheus.table();
    let trusted = format!("{table}ca = \"file:prometheus/ca.pem\"\n");
    scene.plan(&[&trusted, "[guards.errors]", QUERY, PHASE]);
    let check = || scene.test.run(&["plan", "check", "--live"]);
    until("it answers", || check().is(Code::Done).then_some(()));
    let run = scene.begin("1");
    until_seen(&scene, "the guard holds", |look| look.guard.as_str() == "errors" && look.held);
    scene.test.run(&["confirm", "--yes"]).exits(Code::Done);
    run.ends().exits(Code::Done);
    // An authority that nobody has named.
    scene.plan(&[&table, "[guards.errors]", QUERY, PHASE]);
    check().exits(Code::Refused).warns(&["is not trusted", "https://127.0.0.1:"]);
    scene.test.write("prometheus/ca.pem", "none");
    scene.plan(&[&trusted, "[guards.errors]", QUERY, PHASE]);
    check().exits(Code::Refused).warns(&["file:prometheus/ca.pem: there is no certificate in it"]);
    scene.ends_undisturbed();
}
