//! What the facts come to.

use ctx::control::config::Config;
use ctx::control::wire::Fence;
use ctx::ids::RunId;
use ctx::ledger::Ledger;
use ctx::ledger::fact::{Fact, HaltReason, Outcome, RunKind};
use ctx::ledger::view::{PhaseStatus, StepStatus};
use proptest::prelude::*;

use super::story::{Story, at, begun, part, phase_id, step_id};
use super::{plan, record};

fn ledger() -> (tempfile::TempDir, Ledger) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&dir.path().join("ledger.sqlite3")).unwrap();
    (dir, ledger)
}

fn status(ledger: &Ledger, number: u32) -> PhaseStatus {
    let phases = ledger.phases(&plan()).unwrap();
    phases.iter().find(|row| row.number == number).unwrap().status
}

fn steps(ledger: &Ledger, run: &RunId) -> Vec<(String, StepStatus)> {
    let steps = ledger.steps(run).unwrap();
    steps.iter().map(|row| (format!("{} {}", row.step, row.part), row.status)).collect()
}

#[test]
fn a_confirmed_phase_is_shown_whole() {
    use StepStatus::Done;
    let (_dir, mut ledger) = ledger();
    let story = Story::confirmed();
    record(&mut ledger, &story);
    assert_eq!(status(&ledger, 1), PhaseStatus::Confirmed);
    let parts = ["pool-ramp 1", "migrate-schema 1", "pool-ramp 2"];
    assert_eq!(steps(&ledger, &story.run), parts.map(|part| (part.to_owned(), Done)));
    let run = ledger.run(story.run.as_str()).unwrap();
    assert_eq!(run.outcome, Some(Outcome::Done));
    assert_eq!((run.user.as_str(), run.reason.as_deref()), ("mara", Some("go live")));
    assert_eq!(ledger.milestones(&plan()).unwrap().len(), 1);
    let criteria = ledger.criteria(&plan()).unwrap();
    assert!(criteria[0].verdict.passed());
    assert_eq!(ledger.backups().unwrap()[0].bytes, 1234);
    assert_eq!(ledger.issues(&plan(), 10).unwrap(), []);
    let seen = ledger.orchestrator(&"5eed".repeat(8)).unwrap().unwrap();
    assert_eq!((seen.fence, seen.anchor.seq), (7, 43));
}

#[test]
fn a_run_in_flight_is_shown_as_far_as_it_is() {
    use PhaseStatus::{RolledBack, RollingBack, Running};
    use StepStatus as Step;

    let (_dir, mut ledger) = ledger();
    let story = Story::rolled_back();
    let mut seen = Vec::new();
    for (index, fact) in story.facts.iter().enumerate() {
        ledger.append(Some(&story.run), fact, at(index)).unwrap();
        let now = (status(&ledger, 2), steps(&ledger, &story.run).pop().map(|(_, step)| step));
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        let open = ledger.open_run().unwrap().map(|row| row.run);
        assert_eq!(open.is_some(), !matches!(fact, Fact::RunEnded { .. }));
    }
    assert_eq!(
        seen,
        [
            (Running, None),
            (Running, Some(Step::Intended)),
            (Running, Some(Step::Done)),
            (Running, Some(Step::Intended)),
            (Running, Some(Step::Applied)),
            (Running, Some(Step::Soaking)),
            (Running, Some(Step::Applied)),
            (Running, Some(Step::Done)),
            (Running, Some(Step::Intended)),
            (Running, Some(Step::Applied)),
            (Running, Some(Step::Soaking)),
            (RollingBack, Some(Step::Soaking)),
            (RollingBack, Some(Step::RolledBack)),
            (RolledBack, Some(Step::RolledBack)),
        ]
    );
    let all = steps(&ledger, &story.run);
    assert!(all.iter().all(|(_, status)| *status == Step::RolledBack), "{all:?}");
    let issues = ledger.issues(&plan(), 10).unwrap();
    assert_eq!(issues.len(), 1);
    assert!(issues[0].what.starts_with("error-rate: error_rate 6.2%"), "{}", issues[0].what);
}

#[test]
fn a_rollback_of_its_own_undoes_the_phase_and_its_steps() {
    let (_dir, mut ledger) = ledger();
    let (migrated, undone) = (Story::confirmed(), Story::undoes(1));
    record(&mut ledger, &migrated);
    ledger.append(Some(&undone.run), &undone.facts[0], at(0)).unwrap();
    assert_eq!(status(&ledger, 1), PhaseStatus::RollingBack);
    for fact in &undone.facts[1..] {
        ledger.append(Some(&undone.run), fact, at(1)).unwrap();
    }
    assert_eq!(status(&ledger, 1), PhaseStatus::RolledBack);
    let all = steps(&ledger, &migrated.run);
    assert!(all.iter().all(|(_, status)| *status == StepStatus::RolledBack), "{all:?}");
    let row = &ledger.phases(&plan()).unwrap()[0];
    assert_eq!((&row.run, &row.migrated), (&undone.run, &migrated.run));
    let last = ledger.last_migration(&plan(), &phase_id(1)).unwrap().unwrap();
    assert_eq!(last.run, migrated.run);
}

#[test]
fn a_step_that_could_not_be_undone_stays_in_sight() {
    let (_dir, mut ledger) = ledger();
    let mut story = Story::rolled_back();
    for fact in &mut story.facts {
        let end = Outcome::RollbackIncomplete;
        match fact {
            Fact::Undone { phase, step, .. } => {
                let (phase, step, why) = (phase.clone(), step.clone(), "exit status 1".to_owned());
                *fact = Fact::NotUndone { phase, step, irreversible: false, why };
            }
            Fact::RunEnded { outcome, .. } => *outcome = end,
            _ => {}
        }
    }
    record(&mut ledger, &story);
    assert_eq!(status(&ledger, 2), PhaseStatus::RollbackIncomplete);
    let all = steps(&ledger, &story.run);
    assert_eq!(all[0], ("migrate-schema 1".to_owned(), StepStatus::NotUndone));
    assert!(all[1..].iter().all(|(_, status)| *status == StepStatus::RolledBack), "{all:?}");
    let newest = &ledger.issues(&plan(), 1).unwrap()[0];
    assert_eq!(
        (newest.kind.as_str(), newest.what.as_str()),
        ("not_undone", "migrate-schema: exit status 1")
    );
}

#[test]
fn a_halted_phase_goes_on_where_it_was() {
    let (_dir, mut ledger) = ledger();
    let run = RunId::random();
    let fence = Fence { counter: 9, id: "ff".to_owned() };
    let taken = Fact::LeaseTaken { fence, anchor: None, pid: 1 };
    let halted =
        Fact::Halted { reason: HaltReason::Drift, detail: "revision 50 is not ours".to_owned() };
    let mut then = |fact: &Fact, expected| {
        ledger.append(Some(&run), fact, at(0)).unwrap();
        assert_eq!(status(&ledger, 1), expected, "{}", fact.kind());
    };
    then(&begun(RunKind::Migrate, 1), PhaseStatus::Running);
    then(&halted, PhaseStatus::Halted);
    then(&taken, PhaseStatus::Running);
    then(&Fact::RollbackBegun { cause: "asked".to_owned() }, PhaseStatus::RollingBack);
    then(&halted, PhaseStatus::Halted);
    then(&taken, PhaseStatus::RollingBack);
    let held = Fact::RunEnded { outcome: Outcome::Held, summary: "held".to_owned() };
    then(&held, PhaseStatus::Failed);
}

/// Facts in an order that no engine would choose.
fn any_fact() -> impl Strategy<Value = Fact> {
    let mut pool = Story::confirmed().facts;
    pool.extend(Story::rolled_back().facts);
    pool.extend(Story::undoes(1).facts);
    pool.extend(Story::undoes(2).facts);
    let at = part("migrate-schema", 1, 1);
    pool.push(Fact::StepFailed { at: at.clone(), why: "exit status 1".to_owned() });
    pool.push(Fact::ChangeVoid { at: part("pool-ramp", 2, 2), why: "reverted".to_owned() });
    pool.push(Fact::ApprovalAsked { at: at.clone(), prompt: "ready?".to_owned() });
    pool.push(Fact::Approved { at, by: "mara".to_owned() });
    pool.push(Fact::NotUndone {
        phase: phase_id(1),
        step: step_id("migrate-schema"),
        irreversible: true,
        why: "irreversible".to_owned(),
    });
    pool.push(Fact::ReadBack { rev: 9, config_hash: String::new(), equal: false });
    for outcome in [Outcome::Held, Outcome::RollbackIncomplete, Outcome::Abandoned] {
        pool.push(Fact::RunEnded { outcome, summary: String::new() });
    }
    let detail = "elsewhere".to_owned();
    pool.push(Fact::Halted { reason: HaltReason::WrongOrchestrator, detail });
    let everything = RunKind::Rollback {
        phases: vec![phase_id(2), phase_id(1)],
        to: Box::new(Config::legacy("http://127.0.0.1:8000")),
        undo: Vec::new(),
    };
    pool.push(begun(everything, 2));
    prop::sample::select(pool)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rebuilding_gives_the_same_rows(
        facts in proptest::collection::vec((any_fact(), 0usize..4), 1..60),
    ) {
        let (_dir, mut ledger) = ledger();
        let runs = [Some(RunId::random()), Some(RunId::random()), Some(RunId::random()), None];
        for (index, (fact, run)) in facts.iter().enumerate() {
            ledger.append(runs[*run].as_ref(), fact, at(index)).unwrap();
        }
        let verification = ledger.verify().unwrap();
        prop_assert!(verification.intact(), "{:?}", verification);
        let rows = |ledger: &Ledger| {
            let steps: Vec<_> = runs.iter().flatten().map(|run| ledger.steps(run).unwrap()).collect();
            (ledger.runs(100).unwrap(), ledger.phases(&plan()).unwrap(), steps)
        };
        let before = rows(&ledger);
        ledger.rebuild().unwrap();
        prop_assert_eq!(rows(&ledger), before);
        prop_assert!(ledger.verify().unwrap().intact());
    }
}
