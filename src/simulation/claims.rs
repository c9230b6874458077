//! What a ledger claims, compared with what the orchestrator has on record.

use super::invariants::Invariant;
use super::scenario;
use super::witness::{Intent, Witness};
use crate::control::wire::OperationKind;
use crate::engine::state::{MoveState, RunState};
use crate::ids::RunId;
use crate::ledger::fact::{At, Fact, HaltReason, Outcome, RunKind};
use crate::orchestrator::control::core::Content;

impl Witness {
    /// A run was begun.
    pub(super) fn begun(&mut self, plan: usize, state: &RunState) {
        self.owners.insert(state.run.clone(), scenario::slot(plan));
        let base = &state.begun.base;
        let known = self.confirmed.contains(&(base.rev, base.config_hash.clone()));
        self.hold(Invariant::I11, known, || {
            format!("a run begins on revision {}, which is not confirmed", base.rev)
        });
    }

    /// A fact became durable; `state` is what was known before, `facts` everything until it.
    pub(super) fn recorded(
        &mut self,
        state: &RunState,
        facts: &[Fact],
        fact: &Fact,
        active: &Content,
    ) {
        let run = &state.run;
        let index = |at: &At| state.moves.iter().position(|m| m.at == *at);
        match fact {
            Fact::ChangeIntended { at, key, if_match, target_hash, .. } => {
                let (rev, hash) = (*if_match, target_hash.clone());
                self.intend(run, key, OperationKind::Apply, index(at), rev, hash);
            }
            Fact::RestoreIntended { key, if_match, target_hash, .. } => {
                let (rev, hash) = (*if_match, target_hash.clone());
                self.intend(run, key, OperationKind::Apply, None, rev, hash);
            }
            Fact::ConfirmIntended { at, rev, key } => {
                // A soak counts when the process that watched it is the one that confirms.
                let since = facts.iter().rev().take_while(|fact| {
                    !matches!(fact, Fact::LeaseTaken { .. } | Fact::ChangeApplied { .. })
                });
                let mut since =
                    since.filter(|f| matches!(f, Fact::SoakEnded { at: a, .. } if a == at));
                let soaked = since.next().is_some();
                self.hold(Invariant::I7, soaked, || format!("revision {rev} was not soaked"));
                self.intend(run, key, OperationKind::Confirm, index(at), *rev, String::new());
            }
            Fact::RestoreConfirmIntended { rev, key } => {
                self.intend(run, key, OperationKind::Confirm, None, *rev, String::new());
            }
            Fact::RevertIntended { rev, key } => {
                self.intend(run, key, OperationKind::Revert, None, *rev, String::new());
            }
            Fact::ChangeConfirmed { at, rev, .. } => {
                let target = index(at).and_then(|index| match &state.moves[index].act {
                    crate::engine::moves::Act::Change { target } => Some(target.hash()),
                    crate::engine::moves::Act::Local(_) => None,
                });
                self.claimed(*rev, target);
            }
            Fact::RestoreConfirmed { rev, .. } => {
                // A legacy app that moved takes the target of an armed phase along.
                let moved =
                    state.taken_back && self.confirmed.iter().any(|(known, _)| known == rev);
                if !moved {
                    self.claimed(*rev, Some(state.target().hash()));
                }
            }
            Fact::LocalIntended { at } => {
                let elsewhere = self.elsewhere(run);
                self.hold(Invariant::I9, !elsewhere, || {
                    format!("run {run:?} begins `{at}` beside another run's lease")
                });
            }
            Fact::Halted { reason, detail } => {
                let expected = *reason == HaltReason::StateRegression && self.restores > 0;
                self.hold(Invariant::I12, expected || !self.is_alone(), || {
                    format!("a run that is alone halted: {reason:?}, {detail}")
                });
            }
            Fact::RunEnded { outcome, .. } => self.ends(state, *outcome, active),
            _ => {}
        }
    }

    fn is_alone(&self) -> bool {
        let operators = self.owners.keys().map(|run| &run.as_str()[..4]);
        self.edits == 0 && operators.collect::<std::collections::BTreeSet<_>>().len() <= 1
    }

    fn intend(
        &mut self,
        run: &RunId,
        key: &str,
        kind: OperationKind,
        index: Option<usize>,
        rev: u64,
        hash: String,
    ) {
        let intent = Intent { run: run.clone(), kind, index, rev, hash };
        let before = self.intents.insert(key.to_owned(), intent.clone());
        let same = before.is_none_or(|before| (before.rev, before.hash) == (rev, intent.hash));
        self.hold(Invariant::I4, same, || {
            format!("key {key:.8} of {kind:?} {index:?} stands for two requests")
        });
    }

    /// The ledger says that a revision is confirmed.
    fn claimed(&mut self, rev: u64, hash: Option<String>) {
        let known = hash.is_some_and(|hash| self.confirmed.contains(&(rev, hash)));
        self.hold(Invariant::I10, known, || format!("revision {rev} was never confirmed so"));
    }

    /// A run ends.
    fn ends(&mut self, state: &RunState, outcome: Outcome, active: &Content) {
        let run = &state.run;
        let wanted = match (outcome, &state.begun.kind) {
            (Outcome::Done, RunKind::Migrate) | (Outcome::Held, _) => state.expected().hash(),
            (Outcome::Done | Outcome::RolledBack, _) => state.target().hash(),
            (Outcome::RollbackIncomplete | Outcome::Abandoned, _) => {
                let alone = self.is_alone() && self.restores == 0;
                return self.hold(Invariant::I12, !alone, || {
                    format!("run {run:?}, which is alone, ended {outcome:?}")
                });
            }
        };
        let known = self.confirmed.iter().any(|(_, hash)| *hash == wanted);
        self.hold(Invariant::I11, known, || {
            format!("run {run:?} ended {outcome:?} at what was never confirmed")
        });
        if self.restores > 0 {
            return;
        }
        if self.is_alone() {
            let (rev, same) = (active.rev, active.hash == wanted);
            self.hold(Invariant::I11, same, || {
                format!("run {run:?} ended {outcome:?}, and revision {rev} is in force")
            });
        }
        let claimed = state.at.iter().enumerate().filter_map(|(index, at)| match at {
            MoveState::Confirmed { rev } => Some((*rev, Some(index))),
            _ => None,
        });
        let claimed: Vec<_> = claimed.collect();
        let known: Vec<_> = self.steps.get(run).into_iter().flatten().copied().collect();
        let known: Vec<_> = known.into_iter().filter(|(_, index)| index.is_some()).collect();
        // What a person confirmed, and the orchestrator then took back, need not be known.
        let agree =
            claimed == known || (state.taken_back && claimed.iter().all(|c| known.contains(c)));
        self.hold(Invariant::I10, agree, || {
            format!("run {run:?} claims {claimed:?}, on record is {known:?}")
        });
    }
}
