//! Soaking: time under guards.

use std::time::Duration;

use super::{Executor, Hands, Stop};
use crate::control::client::Client;
use crate::control::config::LEGACY;
use crate::engine::moves::Act;
use crate::judge::{Verdict, canary};
use crate::ledger::fact::Fact;
use crate::plan::model::{Action, Compare};
use crate::progress::{Soak, Tick};
use crate::units::Percent;

/// The longest sleep between two looks at anything: signals and a lost lease are noticed by then.
const STRIDE: Duration = Duration::from_millis(200);

/// How much longer than its soak a canary may take to get enough traffic.
const CANARY_PATIENCE: Duration = Duration::from_secs(300);

/// The two arms of a canary, since the last change of its weight.
struct Arms {
    upstream: String,
    wanted: Compare,
    from_ms: Option<u64>,
}

impl Arms {
    async fn compare(&self, client: &Client) -> Verdict {
        let metrics = match client.metrics(self.from_ms).await {
            Ok(metrics) => metrics,
            Err(error) => return Verdict::Inconclusive(format!("canary: {error}")),
        };
        let arm = |name: &str| metrics.arms.get(name).cloned().unwrap_or_default();
        canary::compare(&self.wanted, &arm(LEGACY), &arm(&self.upstream))
    }
}

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
        let arms = self.arms(index).await;
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
                match &arms {
                    None => break,
                    Some(arms) => match arms.compare(self.world.client).await {
                        Verdict::Pass(_) => break,
                        Verdict::Fail(why) => return self.record(&Fact::StepFailed { at, why }),
                        Verdict::Inconclusive(why) if elapsed > total + CANARY_PATIENCE => {
                            return self.record(&Fact::StepFailed { at, why });
                        }
                        Verdict::Inconclusive(_) => {}
                    },
                }
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

    /// What a canary step compares, from this moment on; `None` for every other step.
    async fn arms(&self, index: usize) -> Option<Arms> {
        let at = &self.state.moves[index].at;
        let step = self.state.begun.phase.steps.iter().find(|step| step.id == at.step)?;
        let Action::Canary { upstream, compare, to, .. } = &step.action else { return None };
        // With all the traffic on the canary there is no control left; the guards go on.
        let part = usize::try_from(at.part).ok()?;
        to.get(part.checked_sub(1)?).filter(|weight| **weight < Percent::ALL)?;
        let from_ms = self.world.client.metrics(None).await.ok().map(|metrics| metrics.to_ms);
        Some(Arms { upstream: upstream.clone(), wanted: *compare, from_ms })
    }

    fn tell(&mut self, soak: Soak) {
        let at_ms = self.world.clock.wall().timestamp_millis();
        let guards = self.watch.glances();
        self.world.observer.tick(&Tick { at_ms, soak: Some(soak), guards, waiting: None });
    }
}
