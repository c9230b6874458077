//! Soaking: time under guards.

use std::time::Duration;

use super::{Executor, Hands, Stop};
use crate::engine::moves::Act;
use crate::ledger::fact::Fact;
use crate::progress::{Soak, Tick};

/// The longest sleep between two looks at anything: signals and a lost lease are noticed by then.
const STRIDE: Duration = Duration::from_millis(200);

impl<H: Hands> Executor<'_, H> {
    /// Watches the guards for as long as the move says, and until each has held at least once on
    /// what the change did.
    pub(super) async fn soak(&mut self, index: usize) -> Result<(), Stop> {
        let (at, plan, change) = {
            let step = &self.state.moves[index];
            (step.at.clone(), step.soak, matches!(step.act, Act::Change { .. }))
        };
        let total = self.tempo.to_real(plan);
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        self.record(&Fact::SoakBegun { at: at.clone(), plan_ms: ms(plan), real_ms: ms(total) })?;
        let began = self.world.clock.boot();
        let (mut looks, mut told) = (0, began);
        loop {
            let now = self.world.clock.boot();
            if let Some(signal) = self.world.stopper.asked() {
                return Err(Stop::Interrupted(signal));
            }
            if self.lease.is_lost() {
                return self.retake().await;
            }
            if let Some(breach) = self.watch.look(self.world.client, now).await {
                let (guard, why) = (breach.guard, breach.why);
                return self.record(&Fact::GuardBreached { guard, at, why });
            }
            looks += 1;
            let elapsed = now.saturating_sub(began);
            if elapsed >= total && (!change || self.watch.all_held()) {
                break;
            }
            if now.saturating_sub(told) >= Duration::from_millis(250) {
                told = now;
                self.tell(Soak { elapsed, total });
            }
            let due = self.watch.next().map_or(STRIDE, |next| next.saturating_sub(now));
            let left = total.saturating_sub(elapsed);
            let sleep = due.min(STRIDE).min(if left.is_zero() { STRIDE } else { left });
            tokio::time::sleep(sleep.max(Duration::from_millis(5))).await;
        }
        self.record(&Fact::SoakEnded { at, looks })?;
        if !change {
            self.milestones().await?;
        }
        Ok(())
    }

    fn tell(&mut self, soak: Soak) {
        let at_ms = self.world.clock.wall().timestamp_millis();
        let guards = self.watch.glances();
        self.world.observer.tick(&Tick { at_ms, soak: Some(soak), guards, waiting: None });
    }
}
