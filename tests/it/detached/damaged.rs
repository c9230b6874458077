//! A ledger that is damaged in the middle of a run: it stays as it is, and a new one is made of what
//! the orchestrator knows.

use ctx::error::Code;
use ctx::ledger::Ledger;

use crate::resume::{POOLING, Scene};

const LEDGER: &str = ".ctx/ledger.sqlite3";
const NEW: &str = ".ctx/ledger-rebuilt.sqlite3";

impl Scene {
    /// A run that was killed after its first change was confirmed, and whose ledger somebody spoilt.
    fn with_a_damaged_ledger() -> (Self, Vec<u8>) {
        let scene = Self::new(&[POOLING]);
        let running = scene.begin("1");
        scene.test.until_recorded(1, "change_confirmed");
        running.kill();
        let path = scene.test.path(LEDGER);
        // Everything is in the file once the log is gone.
        let connection = rusqlite::Connection::open(&path).unwrap();
        let all = "PRAGMA wal_checkpoint(TRUNCATE)";
        connection.query_row(all, [], |_| Ok(())).unwrap();
        drop(connection);
        let mut bytes = std::fs::read(&path).unwrap();
        let word = b"\"change_confirmed\"";
        let at = bytes.windows(word.len()).rposition(|part| part == word).expect("it is in it");
        for byte in &mut bytes[at + 1..at + 7] {
            *byte ^= 1;
        }
        std::fs::write(&path, &bytes).unwrap();
        (scene, bytes)
    }
}

#[test]
fn a_run_is_rolled_back_by_a_new_ledger_when_its_own_is_damaged() {
    let (scene, damaged) = Scene::with_a_damaged_ledger();
    let hint = "ctx ledger rebuild --from-orchestrator";
    scene.test.run(&["resume"]).exits(Code::LedgerDamaged).warns(&["is damaged", hint]);
    scene.test.run(&["ledger", "verify"]).exits(Code::LedgerDamaged).warns(&[hint]);
    scene
        .test
        .run(&["ledger", "rebuild", "--from-orchestrator", "--yes"])
        .exits(Code::Done)
        .warns(&["of phase 1 `pooling` adopted", "ctx rollback --ledger .ctx/ledger-rebuilt"]);
    scene.test.run(&["ledger", "verify", "--ledger", NEW]).exits(Code::Done);
    scene.test.run(&["rollback", "--ledger", NEW, "--yes"]).exits(Code::Done);
    let state = scene.serve.state();
    assert_eq!(state.config.flags["connection_pooling"].percentage.to_string(), "0%");
    assert_eq!((state.armed, state.provisional), (None, None));
    assert_eq!(std::fs::read(scene.test.path(LEDGER)).unwrap(), damaged, "it is evidence");
    scene.traffic.stop().is_undisturbed();
}

#[test]
fn a_new_ledger_never_takes_the_place_of_a_file() {
    let (scene, _) = Scene::with_a_damaged_ledger();
    scene.test.write("kept.sqlite3", "mine");
    let over = ["ledger", "rebuild", "--from-orchestrator", "-o", "kept.sqlite3", "--yes"];
    scene.test.run(&over).exits(Code::Refused).warns(&["there is a file at `kept.sqlite3`"]);
    assert_eq!(std::fs::read(scene.test.path("kept.sqlite3")).unwrap(), b"mine");
    let alone = ["ledger", "rebuild", "-o", "new.sqlite3"];
    scene.test.run(&alone).exits(Code::Usage).warns(&["--from-orchestrator"]);
    let elsewhere = ["ledger", "rebuild", "--from-orchestrator", "-o", "a/b.sqlite3", "--yes"];
    scene.test.run(&elsewhere).exits(Code::Done);
    assert_eq!(Ledger::read(&scene.test.path("a/b.sqlite3")).unwrap().runs(9).unwrap().len(), 1);
    scene.traffic.stop().is_undisturbed();
}

#[test]
fn a_crash_while_a_run_is_adopted_leaves_no_ledger_or_a_whole_one() {
    let scene = Scene::new(&[POOLING]);
    let running = scene.begin("1");
    scene.test.until_recorded(1, "change_confirmed");
    running.kill();
    let new = ["ledger.create.before-rename", "ledger.create.after-rename"];
    let existing = ["ledger.append.before-commit", "ledger.append.after-commit"];
    for point in new.into_iter().chain(existing) {
        let other = scene.other_machine();
        if existing.contains(&point) {
            // A ledger that nothing was recorded in.
            drop(Ledger::open(&other.path(LEDGER)).unwrap());
        }
        let kill = [("CTX_FAILPOINT", format!("{point}:kill"))];
        let ran = other.run_with(&["init", "--adopt", "--yes"], &kill);
        assert!(!ran.is(Code::Done), "{point} was never reached");
        let whole = other.count("adopted") == 1;
        let again = other.run(&["init", "--adopt", "--yes"]);
        again.exits(if whole { Code::Refused } else { Code::Done });
        assert_eq!(other.count("adopted"), 1, "after {point}");
        other.run(&["ledger", "verify"]).exits(Code::Done);
        other.run(&["status"]).exits(Code::Done).says(&["pooling"]);
    }
    scene.traffic.stop().is_undisturbed();
}
