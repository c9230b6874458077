//! An entry that was appended is there after kill -9, and so is a ledger that can be opened.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ctx::ledger::{Ledger, LedgerError};
use ctx::settings::environment;

use super::story::{Story, at};

/// Names the ledger that the child process writes to.
const CHILD: &str = "CTX_TEST_LEDGER_CHILD";

/// The child process: appends until it is killed or cannot, and says after each append what it
/// has done.
#[test]
#[ignore = "only runs as the child of the tests below"]
fn child() {
    let Some(path) = environment(CHILD) else { return };
    let mut ledger = Ledger::open(Path::new(&path)).unwrap();
    let story = Story::rolled_back();
    for (index, fact) in story.facts.iter().enumerate().skip(1).cycle() {
        match ledger.append(Some(&story.run), fact, at(index)) {
            Ok(recorded) => println!("appended {}", recorded.seq),
            Err(error) => {
                println!("failed {error}");
                // What reached the disk is unknown: nothing more is written.
                let again = ledger.append(None, fact, at(index));
                assert!(matches!(again, Err(LedgerError::Stopped(_))), "{again:?}");
                return;
            }
        }
    }
}

fn spawn(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ledger::durable::child", "--ignored", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn what_was_appended_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite3");
    for appends in [1, 20, 50] {
        let mut child = spawn(&path);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.filter_map(|line| line.unwrap().strip_prefix("appended ")?.parse().ok());
        let last: u64 = said.take(appends).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        assert!(Ledger::read(&path).unwrap().head().unwrap().0 >= last);
        let ledger = Ledger::open(&path).unwrap();
        assert!(ledger.head().unwrap().0 >= last);
        let verification = ledger.verify().unwrap();
        assert!(verification.intact(), "{verification:?}");
    }
}

#[test]
fn a_disk_that_fails_stops_the_writer_and_loses_nothing() {
    for blocks in [64, 200, 300] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite3");
        drop(Ledger::open(&path).unwrap());
        // Every write past that many blocks of a file fails.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "ledger::durable::child", "--ignored", "--nocapture"])
            .env(CHILD, &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let appended = said.lines().filter(|line| line.contains("appended ")).count() as u64;
        assert!(output.status.success(), "{output:?}");
        assert!(said.contains("failed ") && said.contains("ledger.sqlite3"), "{said}");
        assert!(Ledger::read(&path).unwrap().head().unwrap().0 >= appended);
        let ledger = Ledger::open(&path).unwrap();
        assert!(ledger.head().unwrap().0 >= appended);
        assert!(ledger.verify().unwrap().intact());
    }
}
