//! The ledger, told as stories: what is appended comes back, in order and proven, and whatever is
//! done to the file afterwards is found.

mod command;
mod durable;
mod projections;
mod reading;
mod story;
mod tampering;

use std::path::Path;

use ctx::ids::PlanName;
use ctx::ledger::fact::{Fact, Recorded};
use ctx::ledger::{Ledger, LedgerError};

use story::{Story, at};

fn plan() -> PlanName {
    story::PLAN.parse().unwrap()
}

/// Appends a story as the engine would.
fn record(ledger: &mut Ledger, story: &Story) -> Vec<Recorded> {
    let append = |(index, fact)| ledger.append(Some(&story.run), fact, at(index)).unwrap();
    story.facts.iter().enumerate().map(append).collect()
}

/// A ledger with a phase that was confirmed, one that failed, and the first one undone.
pub(crate) fn with_history(path: &Path) -> u64 {
    let mut ledger = Ledger::open(path).unwrap();
    for story in [Story::confirmed(), Story::rolled_back(), Story::undoes(1)] {
        record(&mut ledger, &story);
    }
    let validated = Fact::Validated { plan: plan(), passed: true };
    ledger.append(None, &validated, at(0)).unwrap().seq
}

#[test]
fn what_is_appended_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/ledger.sqlite3");
    let story = Story::confirmed();
    let mut ledger = Ledger::open(&path).unwrap();
    let recorded = record(&mut ledger, &story);
    assert_eq!(ledger.facts(&story.run).unwrap(), recorded);
    drop(ledger);

    let reader = Ledger::read(&path).unwrap();
    assert_eq!(reader.facts(&story.run).unwrap(), recorded);
    assert_eq!(reader.begun(&story.run).unwrap().plan, plan());
    assert_eq!(reader.open_run().unwrap(), None);
    let run = reader.run(story.run.short()).unwrap();
    assert_eq!((run.first_seq, run.last_seq), (1, recorded.len() as u64));
    let entries = reader.entries(3, 2).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(reader.info().unwrap().entries, recorded.len() as u64);
    let verification = reader.verify().unwrap();
    assert!(verification.intact(), "{verification:?}");
    assert_eq!(verification.head, reader.head().unwrap().1);
}

#[test]
fn a_run_is_found_by_any_prefix_that_is_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(&dir.path().join("ledger.sqlite3")).unwrap();
    for id in ["aa00", "aa11", "bb00"] {
        let run = format!("{id}{}", "0".repeat(28)).try_into().unwrap();
        record(&mut ledger, &Story { run, ..Story::confirmed() });
    }
    assert!(ledger.run("aa1").unwrap().run.as_str().starts_with("aa11"));
    assert!(ledger.run("b").unwrap().run.as_str().starts_with("bb"));
    assert!(matches!(ledger.run("aa"), Err(LedgerError::Ambiguous { count: 2, .. })));
    assert!(matches!(ledger.run("cc"), Err(LedgerError::NoSuchRun(_))));
    assert_eq!(ledger.runs(2).unwrap().len(), 2);
}

#[test]
fn a_second_writer_is_told_who_holds_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.sqlite3");
    let first = Ledger::open(&path).unwrap();
    let Err(LedgerError::Locked { holder: Some(holder), .. }) = Ledger::open(&path) else {
        panic!("must be refused")
    };
    assert_eq!(holder.pid, std::process::id());
    assert!(Ledger::read(&path).is_ok(), "a reader is never locked out");
    drop(first);
    Ledger::open(&path).unwrap();
}

#[test]
fn a_fact_that_json_cannot_hold_never_gets_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(&dir.path().join("ledger.sqlite3")).unwrap();
    let mut story = Story::confirmed();
    let Fact::RunBegun(begun) = &mut story.facts[0] else { panic!("a story begins with its run") };
    begun.tempo = f64::NAN;
    let refused = ledger.append(Some(&story.run), &story.facts[0], at(0));
    assert!(matches!(refused, Err(LedgerError::Unwritable("run_begun"))), "{refused:?}");
    assert_eq!(ledger.head().unwrap().0, 0);
    ledger.append(Some(&story.run), &story.facts[1], at(0)).unwrap();
}

#[test]
fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("home/ledger.sqlite3");
    let ledger = Ledger::open(&path).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for entry in path.parent().unwrap().read_dir().unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    drop(ledger);
}
