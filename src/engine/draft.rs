//! A run from its begin to its end if everything goes well: what it would send, in order.
//!
//! The protocol itself is asked, as a run asks it, with an orchestrator that accepts everything and
//! guards that hold. Nothing is recorded and nothing is sent.

use std::time::Duration;

use super::decide::Next;
use super::moves::Act;
use super::protocol::{Answer, Call, Protocol, Want};
use super::state::{RunState, StateError};
use crate::control::armed::Armed;
use crate::control::wire::{Fence, Provisional, State};
use crate::ids::RunId;
use crate::judge::Verdict;
use crate::ledger::fact::{At, Fact, RunBegun};
use crate::plan::model::Action;

/// One thing that a run would do.
#[derive(Clone, Debug, PartialEq)]
pub enum Doing {
    Send(Call),
    Backup,
    Soak(At, Duration),
    Local(At, Action),
    /// The criteria of the phase are judged.
    Judge,
}

/// What a run that begins with `begun` would do on an orchestrator that stands at `there`; and
/// where it would leave it.
///
/// # Errors
/// When a step does not fit the configuration.
pub fn draft(
    run: &RunId,
    begun: &RunBegun,
    there: &State,
    fence: &Fence,
) -> Result<(Vec<Doing>, State), StateError> {
    let mut there = there.clone();
    let state = RunState::begin(run.clone(), begun.clone())?;
    let mut protocol = Protocol::granted(state, 0, fence.clone(), None);
    let mut doings = Vec::new();
    loop {
        match protocol.next() {
            Want::Record(fact) => protocol.recorded(&fact)?,
            Want::Send(call) => {
                let answer = accept(&call, &mut there, run, begun);
                doings.push(Doing::Send(call));
                protocol.heard(answer);
            }
            // An orchestrator that accepts everything leaves no other way on than to the end.
            Want::Act(Next::End { .. } | Next::Ended(_))
            | Want::Wait { .. }
            | Want::Halt { .. }
            | Want::GiveUp(_) => break,
            Want::Act(next) => act(&next, &mut protocol, &mut doings)?,
        }
    }
    Ok((doings, there))
}

/// Does what only a run can do, as if it had gone well.
fn act(next: &Next, protocol: &mut Protocol, doings: &mut Vec<Doing>) -> Result<(), StateError> {
    match next {
        Next::Backup => {
            doings.push(Doing::Backup);
            let backup: crate::ids::BackupId = "b-19700101-0000-0000".parse().expect("an id");
            protocol.recorded(&Fact::BackupDone {
                backup,
                path: String::new(),
                bytes: 0,
                manifest_hash: String::new(),
            })
        }
        Next::Begin { index, attempt } => {
            protocol.begin_change(*index, *attempt);
            Ok(())
        }
        Next::Soak { index } => {
            let step = &protocol.state.moves[*index];
            let at = step.at.clone();
            if !step.soak.is_zero() {
                doings.push(Doing::Soak(at.clone(), step.soak));
            }
            protocol.recorded(&Fact::SoakEnded { at, looks: 0 })
        }
        Next::Local { index } => {
            let step = &protocol.state.moves[*index];
            let at = step.at.clone();
            if let Act::Local(action) = &step.act {
                doings.push(Doing::Local(at.clone(), action.clone()));
            }
            protocol.recorded(&Fact::LocalDone { at, detail: String::new() })
        }
        Next::Judge => {
            doings.push(Doing::Judge);
            let state = &mut protocol.state;
            for criterion in &state.begun.phase.criteria {
                state.judged.insert(criterion.id.clone(), Verdict::Pass(String::new()));
            }
            Ok(())
        }
        _ => unreachable!("a run that goes well undoes nothing"),
    }
}

/// The answer of an orchestrator that accepts everything.
fn accept(call: &Call, there: &mut State, run: &RunId, begun: &RunBegun) -> Answer {
    let changed = |rev| Answer::Changed { rev, anchor: None };
    match call {
        Call::Acquire { .. } => Answer::Granted { fence: Fence::default(), anchor: None },
        Call::State => Answer::State(Box::new(there.clone())),
        Call::Operation { .. } => Answer::Operation(None),
        Call::Arm(request) => {
            there.armed = Some(Armed {
                run: run.clone(),
                plan: begun.plan.clone(),
                phase: begun.phase.id.clone(),
                target: there.head,
                target_hash: there.config_hash.clone(),
                guards: request.guards.clone(),
                canaries: request.canaries.clone(),
                tripped: None,
                asked: None,
            });
            Answer::Armed { target: there.head, anchor: None }
        }
        Call::Disarm { .. } => {
            there.armed = None;
            Answer::Disarmed
        }
        Call::Apply { key, request, .. } => {
            there.provisional = Some(Provisional {
                rev: there.head + 1,
                run: run.clone(),
                key: key.clone(),
                reason: request.reason.clone(),
                reverts_to: there.confirmed,
                deadline_in_ms: request.confirm_within_ms,
            });
            there.head += 1;
            there.config = request.config.clone();
            there.config_hash = there.config.hash();
            changed(there.head)
        }
        Call::Confirm { rev, .. } => {
            there.provisional = None;
            there.confirmed = *rev;
            changed(*rev)
        }
        Call::Revert { .. } => changed(there.head),
    }
}
