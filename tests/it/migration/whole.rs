//! All four phases of the strategy and the way back, under load.

use std::collections::BTreeSet;

use ctx::error::Code;
use ctx::load::sign::Secrets;
use ctx::load::webhooks::Mix;
use ctx::secret::Secret;

use crate::support::plans::short_strategy;
use crate::support::serve::{Serve, TOKEN};
use crate::support::traffic::Traffic;
use crate::support::uvicorn::Uvicorn;
use crate::support::{Ran, Test, block_on, until};

const PHASES: [&str; 4] = ["foundation", "performance", "advanced", "full-enhancement"];

/// What the webhooks are signed with.
const HUSH: &str = "hush-hush";

/// A project whose orchestrator checks every signature.
fn project() -> Test {
    Test::new().env("CTX_TOKEN", TOKEN).env("HUSH", HUSH)
}

fn secrets() -> Secrets {
    let secret = || Some(Secret::new(HUSH));
    Secrets { linear: secret(), github: secret(), slack: secret() }
}

#[test]
fn four_phases_and_the_way_back_under_load() {
    let Some(app) = Uvicorn::start() else { return };
    let test = project();
    let signed = ["--linear-secret", "--github-secret", "--slack-secret"];
    let signed = signed.map(|flag| [flag, "env:HUSH"]).concat();
    let serve = Serve::with(&test, app.url(), &signed);
    short_strategy(&test, &serve);
    let first = serve.state();
    // Some payloads are refused by the app itself, few enough for every guard and criterion.
    let mix = Mix { refused: "0.5%".parse().unwrap(), ..Mix::default() };
    let traffic = Traffic::start(serve.address(), 120.0, mix, secrets());

    for (n, phase) in (1..).zip(PHASES) {
        let number = n.to_string();
        test.run(&["migrate", "phase", &number, "--yes"]).exits(Code::Done);
        test.run(&["status"]).exits(Code::Done).says(&[&format!("{n} of 4 phases confirmed")]);
        validate(&test);
        let listed = test.run(&["backup", "list", "--json"]).exits(Code::Done).json();
        assert_eq!(listed["backups"].as_array().unwrap().len(), n, "{listed}");
        let report = test.run(&["report", "--json"]).exits(Code::Done).json();
        assert_eq!(report["phases"][n - 1]["id"], phase, "{report}");
        assert_eq!(report["phases"][n - 1]["status"], "confirmed", "{report}");
        assert_eq!(report["issues"].as_array().map(Vec::len), Some(0), "{report}");
        test.run(&["history"]).exits(Code::Done).says(&[phase, "done"]);
    }
    let enhanced = serve.state();
    assert_eq!((enhanced.config.legacy_fallback, enhanced.config.extensions.len()), (false, 3));

    test.run(&["rollback", "--to", "start", "--yes"]).exits(Code::Done);
    let undone = serve.state();
    assert_eq!((undone.config_hash, undone.provisional), (first.config_hash, None));
    test.run(&["status"]).exits(Code::Done).says(&["0 of 4 phases confirmed"]);
    test.run(&["report"]).exits(Code::Done).says(&["rolled back"]);
    test.run(&["ledger", "verify"]).exits(Code::Done);
    test.run(&["backup", "verify"]).exits(Code::Done);

    let report = traffic.stop();
    report.is_undisturbed();
    let statuses: BTreeSet<_> = report.outcome.statuses.keys().copied().collect();
    assert_eq!(statuses, [200, 500].into(), "the app refuses some");
    until("every acknowledged event is handled", || {
        let handled = block_on(app.handled());
        report.acknowledged.iter().all(|id| handled.contains_key(id)).then_some(())
    });
}

/// Whatever the verdict, it says why.
#[track_caller]
fn validate(test: &Test) {
    let ran: Ran = test.run(&["validate", "--json"]);
    let judged = ran.json();
    let criteria = judged["criteria"].as_array().unwrap();
    assert_eq!(criteria.len(), 10, "{judged}");
    for criterion in criteria {
        let why = &criterion["verdict"]["why"];
        for said in [&criterion["target"], &criterion["actual"], why] {
            assert!(said.as_str().is_some_and(|said| !said.is_empty()), "{criterion}");
        }
    }
    ran.exits(if judged["passed"] == true { Code::Done } else { Code::CriteriaNotMet });
}
