//! Stories about a run that finds something it did not do; the simulation told each of them first.

use super::decide::{Next, decide};
use super::protocol::{Answer, Call, Protocol, Want};
use super::recover::{Finding, recover};
use super::state::RunState;
use super::story::{Model, anchor, begun, run_id};
use crate::control::armed::{Armed, Tripped};
use crate::control::wire::{Fence, Operation, OperationKind, RevisionResult, State};
use crate::ledger::fact::{Fact, Outcome, RunBegun};
use crate::plan::model::OnFailure;

fn state(begun: RunBegun, facts: &[Fact]) -> RunState {
    let mut state = RunState::begin(run_id(), begun).unwrap();
    for fact in facts {
        state.evolve(fact).unwrap();
    }
    state
}

/// The phase is guarded, and its first change is confirmed.
fn under_way() -> Vec<Fact> {
    let at = state(begun(), &[]).moves[0].at.clone();
    vec![
        Fact::GuardsArmed { target: 1, anchor: None },
        Fact::ChangeConfirmed { at, rev: 2, anchor: None },
    ]
}

/// The orchestrator has taken the phase back; its target has this hash.
fn tripped(target_hash: &str) -> State {
    let why = "error_rate 25%, limit at most 5%".to_owned();
    let tripped = Tripped { guard: None, why, rev: 3, at_ms: 0 };
    let armed = Armed {
        run: run_id(),
        plan: "p".parse().unwrap(),
        phase: "performance".parse().unwrap(),
        target: 1,
        target_hash: target_hash.to_owned(),
        guards: Vec::new(),
        canaries: Vec::new(),
        tripped: Some(tripped),
        asked: None,
    };
    State { head: 3, confirmed: 3, armed: Some(armed), ..Model::new().state() }
}

fn taken_back(finding: &Finding) -> Fact {
    match finding {
        Finding::Record(fact @ Fact::TakenBack { .. }) => fact.clone(),
        other => panic!("the phase was taken back: {other:?}"),
    }
}

#[test]
fn an_answer_about_the_restore_says_nothing_about_an_open_change() {
    let at = state(begun(), &[]).moves[0].at.clone();
    let target_hash = String::new();
    let state = state(
        begun(),
        &[
            Fact::ChangeIntended {
                at,
                attempt: 1,
                key: "change".into(),
                if_match: 1,
                target_hash: target_hash.clone(),
            },
            Fact::RollbackBegun { cause: "asked for".into() },
            Fact::RestoreIntended { attempt: 1, key: "restore".into(), if_match: 1, target_hash },
            Fact::RestoreApplied { rev: 2 },
            Fact::RestoreConfirmIntended { rev: 2, key: "confirm".into() },
        ],
    );
    let result = RevisionResult { rev: 2, config_hash: String::new(), replayed: false };
    let op = Operation { key: "confirm".into(), kind: OperationKind::Confirm, result };
    let mut there = State { head: 2, confirmed: 2, ..Model::new().state() };
    let mut state = state;
    // First the change is found to have come to nothing, then the restore to be confirmed.
    let Finding::Record(void @ Fact::ChangeVoid { .. }) = recover(&state, Some(&op), &there) else {
        panic!("{:?}", recover(&state, Some(&op), &there))
    };
    state.evolve(&void).unwrap();
    there.anchor = anchor();
    let found = recover(&state, Some(&op), &there);
    assert!(matches!(found, Finding::Record(Fact::RestoreConfirmed { rev: 2, .. })), "{found:?}");
}

#[test]
fn a_change_that_a_person_kept_while_it_was_to_be_reverted_was_not_reverted() {
    let at = state(begun(), &[]).moves[0].at.clone();
    let mut state = state(
        begun(),
        &[
            Fact::ChangeApplied { at, rev: 2, anchor: None },
            Fact::RollbackBegun { cause: "asked for".into() },
            Fact::RevertIntended { rev: 2, key: "revert".into() },
        ],
    );
    let there = State { head: 2, confirmed: 2, ..Model::new().state() };
    let Finding::Record(fact @ Fact::ChangeConfirmed { rev: 2, .. }) =
        recover(&state, None, &there)
    else {
        panic!("{:?}", recover(&state, None, &there))
    };
    state.evolve(&fact).unwrap();
    assert_eq!(recover(&state, None, &there), Finding::GoOn);
    assert_eq!(decide(&state), Next::BeginRestore { attempt: 1 });
}

#[test]
fn a_phase_that_was_taken_back_after_its_first_step_is_not_drift() {
    let mut state = state(begun(), &under_way());
    let there = tripped(&Model::new().state().config_hash);
    let fact = taken_back(&recover(&state, None, &there));
    state.evolve(&fact).unwrap();
    assert_eq!(recover(&state, None, &there), Finding::GoOn);
    assert!(matches!(decide(&state), Next::BeginRollback { .. }));
}

#[test]
fn what_was_taken_back_cannot_be_held() {
    let mut begun = begun();
    begun.phase.on_failure = OnFailure::Hold;
    let mut state = state(begun, &under_way());
    let there = tripped(&Model::new().state().config_hash);
    state.evolve(&taken_back(&recover(&state, None, &there))).unwrap();
    let Next::BeginRollback { cause } = decide(&state) else { panic!("{:?}", decide(&state)) };
    state.evolve(&Fact::RollbackBegun { cause }).unwrap();
    assert_eq!(decide(&state), Next::BeginRestore { attempt: 1 });
}

#[test]
fn guards_that_made_room_for_another_phase_were_tripped() {
    let mut state = state(begun(), &under_way());
    let there = State { head: 3, confirmed: 3, ..Model::new().state() };
    let fact = taken_back(&recover(&state, None, &there));
    state.evolve(&fact).unwrap();
    assert!(matches!(decide(&state), Next::BeginRollback { .. }));
}

#[test]
fn a_change_on_its_way_when_the_phase_is_taken_back_is_fenced_off() {
    let at = state(begun(), &[]).moves[0].at.clone();
    let (key, target_hash) = ("change".to_owned(), String::new());
    let facts = [
        Fact::GuardsArmed { target: 1, anchor: None },
        Fact::ChangeIntended { at, attempt: 1, key, if_match: 3, target_hash },
    ];
    let fence = Fence { counter: 1, id: "00".into() };
    let mut protocol = Protocol::new(state(begun(), &facts), 1);
    protocol.heard(Answer::Granted { fence, anchor: None });
    let there = tripped(&Model::new().state().config_hash);
    loop {
        match protocol.next() {
            Want::Record(fact) => {
                protocol.recorded(&fact).unwrap();
                if matches!(fact, Fact::TakenBack { .. }) {
                    break;
                }
            }
            Want::Send(Call::State) => protocol.heard(Answer::State(Box::new(there.clone()))),
            Want::Send(Call::Operation { .. }) => protocol.heard(Answer::Operation(None)),
            other => panic!("it looks first: {other:?}"),
        }
    }
    let next = protocol.next();
    assert!(matches!(next, Want::Send(Call::Acquire { .. })), "a new fence first: {next:?}");
}

#[test]
fn a_rollback_to_where_the_app_no_longer_is_ends_and_says_so() {
    let mut facts = under_way();
    facts.push(Fact::TakenBack { guard: None, why: "aborted".into(), rev: 3 });
    facts.push(Fact::RollbackBegun { cause: "aborted".into() });
    let fence = Fence { counter: 1, id: "00".into() };
    let mut protocol = Protocol::granted(state(begun(), &facts), 1, fence, None);
    let mut there = tripped("of the moved app");
    there.config.upstreams.clear();
    there.config_hash = "of something else again".to_owned();
    for _ in 0..20 {
        match protocol.next() {
            Want::Record(fact) => protocol.recorded(&fact).unwrap(),
            Want::Send(Call::State) => protocol.heard(Answer::State(Box::new(there.clone()))),
            Want::Send(Call::Disarm { taken_back }) => {
                assert!(taken_back);
                protocol.heard(Answer::Disarmed);
            }
            Want::Act(Next::End { outcome, .. }) => {
                return assert_eq!(outcome, Outcome::RollbackIncomplete);
            }
            other => panic!("there is nothing to be written: {other:?}"),
        }
    }
    panic!("it goes round in circles: {:?}", protocol.next());
}
