//! `ctx monitor`: guards outside a phase.

use ctx::error::Code;
use ctx::ledger::Ledger;
use ctx::rehearsal::legacy::Faults;
use ctx::units::Percent;

use crate::resume::{HEALTH, Scene};
use crate::support::{Test, until};

const BROKEN: u32 = 50;

/// What the ledger holds outside of runs, in words.
fn told(test: &Test) -> Vec<String> {
    let reader = Ledger::read(&test.path(".ctx/ledger.sqlite3")).unwrap();
    let entries = reader.entries(0, u32::MAX).unwrap();
    entries.iter().map(|entry| entry.body.to_string()).collect()
}

fn migrated() -> Scene {
    let scene = Scene::new(&[HEALTH]);
    scene.migrate("1").exits(Code::Done);
    scene
}

#[test]
fn a_breach_after_the_phase_takes_it_back_and_says_why() {
    let scene = Scene::new(&[HEALTH]);
    let before = scene.config();
    scene.migrate("1").exits(Code::Done);
    assert_ne!(scene.config(), before);
    let monitor = scene.test.spawn(&["monitor", "--every", "200ms", "--json"]);
    until("the second report", || {
        (told(&scene.test).iter().filter(|text| text.contains("\"reported\"")).count() >= 2)
            .then_some(())
    });
    scene.legacy.inject(Faults { errors: Percent::whole(BROKEN), ..Faults::default() });
    let ran = monitor.ends().exits(Code::RolledBack);
    scene.legacy.inject(Faults::default());
    assert_eq!(scene.config(), before);
    let records = ran.records();
    let kinds: Vec<_> = records.iter().map(|record| record["type"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("version", "run_end"));
    assert_eq!(records[records.len() - 1]["exit_code"], 20);
    let monitored = |event: &str| {
        let found =
            |r: &&serde_json::Value| r["type"] == "monitored" && r["data"]["event"] == event;
        records.iter().find(found).cloned().unwrap_or_else(|| panic!("no `{event}`: {kinds:?}"))
    };
    let reported = monitored("reported");
    assert_eq!(reported["data"]["phases_done"], 1, "{reported}");
    let breached = monitored("breached");
    let why = breached["message"].as_str().unwrap();
    assert!(why.starts_with("guard `error-rate` BREACHED: error_rate "), "{why}");
    assert!(why.contains("limit at most 5%, breach 2 of 2"), "{why}");
    // The rollback names its cause, and all of it stands in the ledger.
    assert!(told(&scene.test).iter().any(|text| text.contains("\"breached\"")));
    let page = scene.test.run(&["report"]).exits(Code::Done).stdout;
    assert!(page.contains("rolled back"), "{page}");
    scene.ends();
}

#[test]
fn a_breach_is_only_reported_when_nothing_is_to_be_rolled_back() {
    let scene = migrated();
    let config = scene.config();
    scene
        .test
        .run(&["monitor", "--once"])
        .exits(Code::Done)
        .says(&["1 of 1 phase confirmed", "Performance now"]);
    scene.legacy.inject(Faults { errors: Percent::whole(BROKEN), ..Faults::default() });
    let ran = scene.test.run(&["monitor", "--once", "--no-rollback"]).exits(Code::Failed);
    ran.warns(&["guard `error-rate` BREACHED", "ctx rollback"]);
    // It goes on, and says when the guard holds again.
    let monitor = scene.test.spawn(&["monitor", "--no-rollback", "--for", "1h"]);
    let seen = |n: usize, event: &str| {
        let event = format!("\"{event}\"");
        let count = told(&scene.test).iter().filter(|text| text.contains(&event)).count();
        (count >= n).then_some(())
    };
    until("the breach", || seen(2, "breached"));
    scene.legacy.inject(Faults::default());
    until("the recovery", || seen(1, "recovered"));
    monitor.interrupt();
    monitor.ends().exits(Code::Done).warns(&["guard `error-rate` holds again"]);
    assert_eq!(scene.config(), config);
    scene.ends();
}

#[test]
fn a_rollback_that_is_not_whole_says_that_a_person_is_needed() {
    let step = "\n  [[phase.step]]\n  id = \"sure\"\n  \
                run = { do = [\"true\"], undo = [\"false\"], timeout = \"10s\" }\n";
    let scene = Scene::new(&[HEALTH, step]);
    scene.migrate("1").exits(Code::Done);
    scene.legacy.inject(Faults { errors: Percent::whole(BROKEN), ..Faults::default() });
    let ran = scene.test.run(&["monitor", "--once"]).exits(Code::RollbackIncomplete);
    ran.warns(&["guard `error-rate` BREACHED", "sure"]);
    scene.ends();
}

#[test]
fn a_phase_in_flight_is_left_to_its_own_run() {
    let scene = Scene::new(&[&HEALTH.replace("300ms", "1h")]);
    let run = scene.begin("1");
    scene.test.until_recorded(1, "soak_begun");
    let ran = scene.test.run(&["monitor", "--once"]).exits(Code::Done);
    ran.warns(&["this is not recorded"]);
    run.interrupt();
    run.ends();
    scene.ends();
}
