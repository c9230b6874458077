//! A criterion that asks a real Prometheus, which scrapes the orchestrator.

use ctx::error::Code;
use ctx::judge::Verdict;
use ctx::ledger::fact::Fact;
use ctx::rehearsal::legacy::Faults;
use ctx::units::Percent;

use crate::resume::{HEALTH, Scene};
use crate::support::prometheus::Prometheus;
use crate::support::until;

const CRITERION: &str = r#"
  [[phase.criterion]]
  id       = "few-errors"
  title    = "Few answers are errors"
  category = "reliability"
  max      = "5%"
  query    = '''
    (sum(rate(ctx_requests_total{code_class="5xx"}[1s])) or vector(0))
      / sum(rate(ctx_requests_total[1s]))
  '''
"#;

fn scene() -> Option<(Scene, Prometheus)> {
    let scene = Scene::new(&[]);
    let prometheus = Prometheus::of(&scene.test, &scene.serve)?;
    scene.plan(&[&prometheus.table(), HEALTH, CRITERION]);
    Some((scene, prometheus))
}

#[test]
fn what_prometheus_counts_decides_and_an_outage_of_it_does_not() {
    let Some((scene, prometheus)) = scene() else { return };
    scene.migrate("1").exits(Code::Done);
    scene.test.run(&["validate"]).exits(Code::Done).says(&[
        "reliability: met",
        "prom `(sum(rate(ctx_requests_total",
        "at most 5%",
        "few-errors: Few answers are errors",
        "asked of http://127.0.0.1:",
        ", within 1s",
    ]);
    let report = scene.test.run(&["report", "--json"]).exits(Code::Done);
    report.says(&["Few answers are errors", "asked of http://127.0.0.1:"]);

    // The errors are older than the guards: nobody watches any more.
    scene.legacy.inject(Faults { errors: Percent::whole(50), ..Faults::default() });
    let failed = until("the errors are seen", || {
        let ran = scene.test.run(&["validate"]);
        ran.is(Code::CriteriaNotMet).then_some(ran)
    });
    failed.says(&["reliability: NOT MET", "NO "]).warns(&["1 criterion not met", "`few-errors`"]);
    scene.legacy.inject(Faults::default());

    drop(prometheus);
    let unknown = scene.test.run(&["validate"]).exits(Code::CriteriaNotMet);
    let unknown = unknown.says(&["reliability: inconclusive", "cannot be reached", "no data"]);
    unknown.warns(&["1 criterion cannot be judged yet"]);
    let json = scene.test.run(&["validate", "--json"]).exits(Code::CriteriaNotMet).json();
    assert_eq!(json["verdict"], "inconclusive", "{json}");
}

/// Nothing is known, so nothing is confirmed as good: the phase is undone, and the reason is the
/// server, not the service.
#[test]
fn a_phase_whose_criterion_cannot_be_judged_is_taken_back() {
    let Some((scene, prometheus)) = scene() else { return };
    let long = HEALTH.replace(r#"soak = "300ms""#, r#"soak = "5s""#);
    scene.plan(&[&prometheus.table(), &long, CRITERION]);
    let before = scene.config();
    let running = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    drop(prometheus);
    let ended = running.ends().exits(Code::RolledBack);
    ended.warns(&["few-errors", "cannot be reached"]);
    assert_eq!(scene.config(), before);
    let judged = scene.test.facts().into_iter().find_map(|fact| match fact {
        Fact::CriterionJudged(judged) => Some(judged.verdict),
        _ => None,
    });
    assert!(matches!(judged, Some(Verdict::Inconclusive(_))), "{judged:?}");
    scene.ends_undisturbed();
}

#[test]
fn a_misspelt_metric_is_refused_before_the_phase_begins() {
    let Some((scene, prometheus)) = scene() else { return };
    let misspelt = CRITERION.replace("(ctx_requests_total[1s])", "(ctx_request_total[1s])");
    scene.plan(&[&prometheus.table(), HEALTH, &misspelt]);
    let before = scene.serve.state();
    let said = [
        "1 criterion cannot be judged",
        "criterion `few-errors`: prom: there is no metric `ctx_request_total`",
        "did you mean `ctx_requests_total`?",
    ];
    scene.migrate("1").exits(Code::Refused).warns(&said);
    scene.test.run(&["plan", "check", "--live"]).exits(Code::Refused).warns(&said);
    assert_eq!(scene.test.facts(), Vec::<Fact>::new());
    assert_eq!(scene.serve.state().head, before.head);
}
