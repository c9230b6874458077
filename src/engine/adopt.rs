//! A run taken over by a machine that has no ledger of it.
//!
//! The orchestrator keeps the run's first fact, and for every request that it ever accepted the
//! key and what came of it. Keys follow from the first fact alone ([`super::key`]), so asking for
//! every key that the run can have used shows how far it has come. The facts that are rebuilt this
//! way claim no more than the orchestrator knows: what it never saw, a step outside the
//! configuration that nothing followed, is done again.

use std::collections::BTreeMap;

use super::key::key;
use super::moves::Act;
use super::state::{RunState, StateError};
use crate::control::wire::{Operation, OperationKind};
use crate::ids::RunId;
use crate::ledger::fact::{At, Fact, RunBegun};
use crate::plan::model::Action;

/// How many attempts of one change are looked for. A phase fails after three that came to nothing
/// within one process; each pause and each crash may add one.
const ATTEMPTS: u32 = 20;

/// What the orchestrator knows of one change of a run.
#[derive(Clone, Debug, Default)]
struct Known<'a> {
    /// Each attempt that was accepted: its number, and what became of it.
    applied: Vec<(u32, &'a Operation)>,
    confirmed: Option<(u32, &'a Operation)>,
}

/// Every key that the changes of a run can have been sent under.
///
/// # Errors
/// When the first fact does not fit together.
pub fn keys(run: &RunId, begun: &RunBegun) -> Result<Vec<String>, StateError> {
    let state = RunState::begin(run.clone(), begun.clone())?;
    let changes = state.moves.iter().filter(|step| matches!(step.act, Act::Change { .. }));
    let kinds = [OperationKind::Apply, OperationKind::Confirm];
    let of = |at: &At| {
        let attempts = (1..=ATTEMPTS).flat_map(move |attempt| kinds.map(|kind| (attempt, kind)));
        let at = at.to_string();
        attempts.map(move |(attempt, kind)| key(&begun.phase_hash, run, &at, attempt, kind))
    };
    Ok(changes.flat_map(|step| of(&step.at)).collect())
}

/// The facts that follow the first one, as far as `operations`, by key, show them.
///
/// # Errors
/// When the first fact does not fit together.
pub fn facts(
    run: &RunId,
    begun: &RunBegun,
    target: u64,
    operations: &BTreeMap<String, Operation>,
) -> Result<Vec<Fact>, StateError> {
    let state = RunState::begin(run.clone(), begun.clone())?;
    let find = |at: &At, attempt, kind| {
        operations.get(&key(&begun.phase_hash, run, &at.to_string(), attempt, kind))
    };
    let known: Vec<Known<'_>> = state
        .moves
        .iter()
        .map(|step| {
            let each =
                |kind| (1..=ATTEMPTS).filter_map(move |n| Some((n, find(&step.at, n, kind)?)));
            match &step.act {
                Act::Local(_) => Known::default(),
                Act::Change { .. } => Known {
                    applied: each(OperationKind::Apply).collect(),
                    confirmed: each(OperationKind::Confirm).next_back(),
                },
            }
        })
        .collect();
    let reached = known.iter().rposition(|known| !known.applied.is_empty());
    let mut facts =
        vec![Fact::Adopted { by: begun.by.clone() }, Fact::GuardsArmed { target, anchor: None }];
    for (index, (step, known)) in state.moves.iter().zip(&known).enumerate() {
        let at = &step.at;
        match &step.act {
            // Steps follow one another, so what a later one followed is done.
            Act::Local(action) if reached.is_some_and(|reached| index < reached) => {
                facts.extend(done(at, action, !step.soak.is_zero()));
            }
            Act::Local(_) => break,
            Act::Change { .. } if known.applied.is_empty() => break,
            Act::Change { target } => changed(&mut facts, at, known, &target.hash()),
        }
    }
    Ok(facts)
}

/// A local step that something later followed.
fn done(at: &At, action: &Action, soaks: bool) -> Vec<Fact> {
    let at = at.clone();
    let mut facts = vec![Fact::LocalIntended { at: at.clone() }];
    facts.push(match action {
        Action::Approve { .. } => {
            Fact::Approved { at: at.clone(), by: "somebody, before the run was adopted".to_owned() }
        }
        _ => Fact::LocalDone {
            at: at.clone(),
            detail: "before the run was adopted: a later step followed".to_owned(),
        },
    });
    if soaks {
        facts.push(Fact::SoakEnded { at, looks: 0 });
    }
    facts
}

/// A change that was accepted at least once.
fn changed(facts: &mut Vec<Fact>, at: &At, known: &Known<'_>, target_hash: &str) {
    let run_keys = known.applied.iter();
    for (index, (attempt, op)) in run_keys.enumerate() {
        if index > 0 {
            let why = "another attempt followed".to_owned();
            facts.push(Fact::ChangeVoid { at: at.clone(), why });
        }
        let rev = op.result.rev;
        facts.push(Fact::ChangeIntended {
            at: at.clone(),
            attempt: *attempt,
            key: op.key.clone(),
            if_match: rev.saturating_sub(1),
            target_hash: target_hash.to_owned(),
        });
        facts.push(Fact::ChangeApplied { at: at.clone(), rev, anchor: None });
    }
    if let Some((_, op)) = known.confirmed {
        let (at, rev, key) = (at.clone(), op.result.rev, op.key.clone());
        facts.push(Fact::ConfirmIntended { at: at.clone(), rev, key });
        facts.push(Fact::ChangeConfirmed { at, rev, anchor: None });
    }
}
