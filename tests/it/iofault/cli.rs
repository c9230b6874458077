//! The ledger's folder fails under `ctx migrate`.

use ctx::error::Code;
use ctx::ledger::Ledger;
use ctx::rehearsal::legacy::Legacy;
use ctx::report::record::record;
use serde_json::Value;

use super::{Fault, each, shim, struck};
use crate::shop::{LEDGER, desk, operator};
use crate::support::serve::Serve;
use crate::support::{Ran, Test};

/// What a run may end with when its disk fails: it is done, or stopped, or rolled back.
const ENDS: [Code; 5] =
    [Code::Done, Code::Failure, Code::Failed, Code::RolledBack, Code::LedgerDamaged];

/// An orchestrator whose own disk is well.
struct Scene {
    serve: Serve,
    _legacy: Legacy,
    /// Its state is in this folder.
    _home: Test,
}

impl Scene {
    fn open() -> Self {
        let (legacy, test) = (Legacy::start().unwrap(), operator());
        Self { serve: Serve::start(&test, &legacy.url()), _legacy: legacy, _home: test }
    }
}

impl Scene {
    /// Runs `ctx` without faults, which must be able to do it.
    #[track_caller]
    fn does(test: &Test, args: &[&str], about: &str) {
        let ran = test.run(args);
        assert!(ran.is(Code::Done), "{about}: {ran:?}");
    }
}

/// Every fact that was printed is in the ledger, at its place and as it was printed.
fn acknowledged_survives(ran: &Ran, test: &Test, about: &str) {
    let acknowledged: Vec<Value> =
        ran.records().into_iter().filter(|record| record["ledger_seq"].is_u64()).collect();
    if acknowledged.is_empty() {
        return;
    }
    let reader = Ledger::read(&test.path(LEDGER)).unwrap();
    let runs = reader.runs(u32::MAX).unwrap();
    let kept: Vec<Value> = runs
        .iter()
        .flat_map(|run| reader.facts(&run.run).unwrap())
        .map(|fact| record(&fact))
        .collect();
    for said in acknowledged {
        let found = kept.iter().find(|kept| kept["ledger_seq"] == said["ledger_seq"]);
        let found = found.unwrap_or_else(|| panic!("{about}: lost: {said}"));
        assert_eq!((&found["type"], &found["data"]), (&said["type"], &said["data"]), "{about}");
    }
}

/// A backup counts only with its manifest.
fn backups_are_whole_or_incomplete(test: &Test, about: &str) {
    let folder = test.path(".ctx/backups");
    let listed = test.run(&["backup", "list", "--json"]).exits(Code::Done).json();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        let id = entry.file_name().into_string().unwrap();
        let backups = listed["backups"].as_array().unwrap();
        let status = backups.iter().find(|backup| backup["id"] == id.as_str());
        let status = status.unwrap_or_else(|| panic!("{about}: `{id}` is not in {listed}"));
        let sealed = entry.path().join("manifest.json").exists();
        let expected = if sealed { "complete" } else { "incomplete" };
        assert_eq!(status["status"], expected, "{about}: {listed}");
    }
}

#[test]
fn every_operation_on_the_ledgers_folder_fails_in_turn() {
    let Some(shim) = shim() else { return };
    each(Scene::open, |scene, fault| {
        let before = scene.serve.state();
        let test = desk(&format!("http://{}", scene.serve.control));
        let (folder, log) = (test.path(".ctx"), test.path("struck.log"));
        let args = ["migrate", "phase", "2", "--yes", "--json"];
        let prepared = ["migrate", "phase", "1", "--yes", "--quiet"];
        // The second phase has two parts; the first one's run makes the ledger.
        let args =
            if fault.at % 2 == 0 { args } else { ["migrate", "phase", "1", "--yes", "--json"] };
        if fault.at % 2 == 0 {
            test.run(&prepared).exits(Code::Done);
        }
        let environment = fault.environment(shim, &folder, &log);
        let ran = test.run_with(&args, &environment);
        let (hit, about) = (struck(&log), format!("{fault:?}"));
        let about = format!("{about}\n{}{}", hit.clone().unwrap_or_default(), ran.stderr);
        assert!(ENDS.iter().any(|code| ran.is(*code)), "{about}: {ran:?}");
        assert!(hit.is_some() || ran.is(Code::Done), "{about}: {ran:?}");
        acknowledged_survives(&ran, &test, &about);
        Scene::does(&test, &["status"], &about);
        recover(scene, &test, fault, &about);
        acknowledged_survives(&ran, &test, &about);
        backups_are_whole_or_incomplete(&test, &about);
        Scene::does(&test, &["rollback", "--to", "start", "--yes"], &about);
        // Where not even the ledger could be made, there is nothing to check.
        if test.path(LEDGER).exists() {
            Scene::does(&test, &["ledger", "verify"], &about);
        }
        let after = scene.serve.state();
        assert_eq!(after.config_hash, before.config_hash, "{about}");
        hit.is_some()
    });
}

/// Without faults, the run is undone, or finished; and then all phases can be done.
fn recover(scene: &mut Scene, test: &Test, fault: Fault, about: &str) {
    match fault.at % 3 {
        0 => Scene::does(test, &["rollback", "--yes"], about),
        1 => Scene::does(test, &["resume", "--yes"], about),
        _ => {
            Scene::does(test, &["resume", "--yes"], about);
            Scene::does(test, &["migrate", "all", "--yes", "--quiet"], about);
        }
    }
    assert_eq!(scene.serve.state().provisional, None, "{about}");
}
