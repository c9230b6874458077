//! Undoing what was done outside the configuration, last first.

use super::{Executor, Hands, Stop};
use crate::ledger::fact::Fact;
use crate::plan::model::Action;

impl<H: Hands> Executor<'_, H> {
    /// Undoes one local act. A failed undo is an ordinary outcome that asks for a person; the
    /// others are undone all the same.
    pub(super) async fn undo(&mut self, index: usize) -> Result<(), Stop> {
        let Some((undo, _)) = self.state().rollback.as_ref().map(|r| r.undo[index].clone()) else {
            return Ok(());
        };
        // Whatever an earlier process left running must not work against its own undo.
        self.end_orphan().await?;
        let (phase, step) = (undo.phase, undo.step.id.clone());
        let done = match &undo.step.action {
            Action::Run { undo: Some(argv), timeout, .. } => {
                let (phase, step) = (phase.clone(), step.clone());
                self.record(&Fact::UndoIntended { phase, step })?;
                self.run_program(argv, *timeout, None).await?
            }
            Action::Call { undo: Some(request), timeout, .. } => {
                let position = format!("(undo {step})");
                self.record(&Fact::UndoIntended { phase: phase.clone(), step: step.clone() })?;
                self.call(&position, request, *timeout).await?
            }
            _ => {
                let why = "the plan declares it irreversible".to_owned();
                return self.record(&Fact::NotUndone { phase, step, irreversible: true, why });
            }
        };
        match done {
            Ok(detail) => self.record(&Fact::Undone { phase, step, detail }),
            Err(why) => self.record(&Fact::NotUndone { phase, step, irreversible: false, why }),
        }
    }
}
