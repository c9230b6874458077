//! The ledger, told as stories: what is appended comes back, in order and proven, and whatever is
//! done to the file afterwards is found.

mod story;

use ctx::ids::PlanName;
use ctx::ledger::view::{PhaseStatus, StepStatus};
use ctx::ledger::{Ledger, LedgerError};

use story::{Story, at};

#[test]
fn what_is_appended_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/ledger.sqlite3");
    let story = Story::confirmed();
    let mut ledger = Ledger::open(&path).unwrap();
    let mut recorded = Vec::new();
    for fact in &story.facts {
        recorded.push(ledger.append(Some(&story.run), fact, at(recorded.len())).unwrap());
    }
    assert_eq!(ledger.facts(&story.run).unwrap(), recorded);
    assert!(ledger.verify().unwrap().intact(), "{:?}", ledger.verify());
    drop(ledger);

    let reader = Ledger::read(&path).unwrap();
    assert_eq!(reader.facts(&story.run).unwrap(), recorded);
    assert_eq!(reader.begun(&story.run).unwrap().plan, plan());
    let run = reader.run(story.run.short()).unwrap();
    assert_eq!((run.first_seq, run.last_seq), (1, recorded.len() as u64));
    assert_eq!(reader.open_run().unwrap(), None);
    let phases = reader.phases(&plan()).unwrap();
    assert_eq!(phases[0].status, PhaseStatus::Confirmed);
    let steps = reader.steps(&story.run).unwrap();
    assert!(steps.iter().all(|step| step.status == StepStatus::Done), "{steps:?}");
    assert!(reader.verify().unwrap().intact());
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

fn plan() -> PlanName {
    story::PLAN.parse().unwrap()
}
