//! Soaking: time under guards, watched by this process or left to the orchestrator.

use std::time::Duration;

use super::{Executor, Hands, Left, Stop};
use crate::control::armed::{Armed, Ask, Asked, CanaryOutcome, GuardsView};
use crate::control::client::Client;
use crate::control::config::LEGACY;
use crate::control::wire::State;
use crate::engine::moves::Act;
use crate::engine::state::MoveState;
use crate::judge::Verdict;
use crate::judge::armed::read_look;
use crate::judge::canary::Trial;
use crate::ledger::fact::{At, Fact};
use crate::plan::model::{Action, OnFailure};
use crate::progress::{Soak, Tick};
use crate::units::Percent;

/// The longest sleep between two looks at anything: signals and a lost lease are noticed by then.
const STRIDE: Duration = Duration::from_millis(200);
/// Time between two questions what the orchestrator holds by itself, and what people asked.
const ASKING: Duration = Duration::from_secs(1);
/// How many samples of a soak are recorded at most, and the least time between two of them: enough
/// for a curve, and a ledger that a soak of days does not fill.
const SAMPLES: u32 = 60;
const SAMPLING: Duration = Duration::from_millis(500);
/// How much longer than its soak a canary may take to get enough traffic.
const CANARY_PATIENCE: Duration = Duration::from_secs(300);
/// How much longer than its soak until it is said that a canary is held: by then the orchestrator
/// has looked at what it serves, and there is a reason to tell.
const CANARY_HELD: Duration = Duration::from_secs(1);

/// The two arms of a canary, since the last change of its weight.
///
/// The orchestrator compares them by itself where it holds the phase's guards, and its word is
/// taken over: two judges of the same traffic would raise two false alarms. Where a phase that
/// fails is to hold, nothing is armed there, and they are compared here.
struct Arms {
    upstream: String,
    weight: Percent,
    /// Whether the orchestrator judges.
    judged_there: bool,
    trial: Trial,
    /// Up to when the orchestrator's windows are in the trial.
    from_ms: Option<u64>,
    /// Whether it is on record that it was held beyond its time.
    held: bool,
}

impl Arms {
    /// What is known by now, with what the orchestrator says of it; `None` where it does not answer.
    async fn look(&mut self, client: &Client, view: Option<&GuardsView>) -> Verdict {
        if let Some(armed) = view.and_then(|view| view.armed.as_ref()) {
            self.judged_there = armed
                .canaries
                .iter()
                .any(|canary| canary.upstream == self.upstream && canary.at.contains(&self.weight));
        }
        if !self.judged_there {
            return self.compare(client).await;
        }
        let seen = view.and_then(|view| view.canary.as_ref());
        match seen.filter(|look| look.upstream == self.upstream && look.at == self.weight) {
            // It is about to take the phase back, and says so itself when it has.
            Some(look) if look.outcome == CanaryOutcome::Abort => {
                Verdict::Inconclusive(look.why.clone())
            }
            Some(look) => read_look(look),
            None => {
                Verdict::Inconclusive("hold: the orchestrator has not judged it yet".to_owned())
            }
        }
    }

    /// Adds what came since the last look, and looks. Windows are disjoint, so that a soak may be
    /// longer than the orchestrator keeps them.
    async fn compare(&mut self, client: &Client) -> Verdict {
        let metrics = match client.metrics(self.from_ms).await {
            Ok(metrics) => metrics,
            Err(error) => return Verdict::Inconclusive(format!("hold: no metrics, {error}")),
        };
        if self.from_ms.is_some_and(|from| metrics.to_ms < from) {
            // Another life of the orchestrator, which counts from its start.
            self.from_ms = Some(0);
            return Verdict::Inconclusive("hold: the orchestrator was started anew".to_owned());
        }
        // Without a beginning there is nothing to count from: it is from now on.
        if self.from_ms.replace(metrics.to_ms).is_some() {
            let control = metrics.canary.as_ref().map_or(LEGACY, |canary| &canary.control);
            self.trial.control.add_window(&metrics, control);
            self.trial.canary.add_window(&metrics, &self.upstream);
        }
        self.trial.look()
    }
}

/// One soak: what soaks, and for how long in real time.
struct Soaking {
    index: usize,
    at: At,
    /// It changed the configuration, so every guard must hold once on what came after.
    change: bool,
    total: Duration,
    arms: Option<Arms>,
}

impl<H: Hands> Executor<'_, H> {
    /// Watches the guards for as long as the move says, and until each has held at least once on
    /// what the change did; or leaves that to the orchestrator.
    pub(super) async fn soak(&mut self, index: usize) -> Result<(), Stop> {
        let step = &self.state().moves[index];
        let (at, plan) = (step.at.clone(), step.soak);
        let change = matches!(step.act, Act::Change { .. });
        let total = self.tempo.to_real(plan);
        let from_ms = self.began_ms(index).await?;
        let arms = self.arms(index, from_ms).await;
        let soaking = Soaking { index, at, change, total, arms };
        if self.state().detach.is_some() && !total.is_zero() {
            return Box::pin(self.leave_soak(soaking)).await;
        }
        let (plan_ms, real_ms) = (millis(plan), millis(total));
        self.record(&Fact::SoakBegun { at: soaking.at.clone(), plan_ms, real_ms })?;
        Box::pin(self.watch_soak(soaking, from_ms)).await
    }

    async fn watch_soak(&mut self, soaking: Soaking, from_ms: Option<u64>) -> Result<(), Stop> {
        let Soaking { at, change, total, mut arms, .. } = soaking;
        let (at, change, total) = (&at, &change, &total);
        let now = self.world.clock.boot();
        // What soaked without us counts: the orchestrator has watched.
        let began = match from_ms {
            Some(from) => now.saturating_sub(self.since(from).await?),
            None => now,
        };
        let (mut looks, mut told, mut asked) = (0, now, now);
        let (mut sampled, sampling) = (now, (*total / SAMPLES).max(SAMPLING));
        loop {
            let now = self.world.clock.boot();
            if let Some(signal) = self.world.stopper.asked() {
                return Err(Stop::Interrupted(signal));
            }
            if self.want_lease() {
                return Ok(());
            }
            let stopper = self.world.stopper.clone();
            let breach = tokio::select! {
                breach = self.watch.look(self.world.client, &*self.world.clock) => breach,
                signal = stopper.wait() => return Err(Stop::Interrupted(signal)),
            };
            if let Some(breach) = breach {
                let (guard, why) = (breach.guard, breach.why);
                // The curve must end where it went wrong.
                self.sample(at)?;
                return self.record(&Fact::GuardBreached { guard, at: at.clone(), why });
            }
            looks += 1;
            if now.saturating_sub(sampled) >= sampling {
                sampled = now;
                self.sample(at)?;
            }
            let mut early = false;
            let mut verdict = None;
            if now.saturating_sub(asked) >= ASKING.min(*total) {
                asked = now;
                let view = self.view().await?;
                match self.heed(view.as_ref().and_then(|view| view.armed.as_ref()))? {
                    Elsewhere::Nothing => {}
                    Elsewhere::TakenBack => return Ok(()),
                    Elsewhere::Confirm => early = true,
                }
                if let Some(arms) = &mut arms {
                    verdict = Some(arms.look(self.world.client, view.as_ref()).await);
                }
            }
            let elapsed = now.saturating_sub(began);
            let over = elapsed >= *total && (!*change || self.watch.all_held());
            let time = match (early, over) {
                (true, _) => Time::Asked,
                (false, true) => Time::Over(elapsed.saturating_sub(*total)),
                (false, false) => Time::Left,
            };
            if let (Some(arms), Some(verdict)) = (&mut arms, &verdict)
                && !self.go_on(at, arms, verdict, time)?
            {
                return Ok(());
            }
            let promoted = arms.is_none() || verdict.is_some_and(|verdict| verdict.passed());
            if early || (over && promoted) {
                break;
            }
            if now.saturating_sub(told) >= Duration::from_millis(250) {
                told = now;
                self.tell(Soak { elapsed, total: *total });
            }
            let due = self.watch.next().map_or(STRIDE, |next| next.saturating_sub(now));
            let left = total.saturating_sub(elapsed);
            let sleep = due.min(STRIDE).min(if left.is_zero() { STRIDE } else { left });
            tokio::time::sleep(sleep.max(Duration::from_millis(5))).await;
        }
        self.soaked(at.clone(), *change, looks).await
    }

    /// Records what the guards read, for whoever looks back.
    fn sample(&mut self, at: &At) -> Result<(), Stop> {
        let samples = self.watch.samples();
        if samples.is_empty() {
            return Ok(());
        }
        self.record(&Fact::GuardsSampled { at: at.clone(), samples })
    }

    /// Whether a canary may go on. What decides is put on record: a promotion, an abortion, that it
    /// is held beyond its soak, and what was known when a person promoted it.
    fn go_on(
        &mut self,
        at: &At,
        arms: &mut Arms,
        verdict: &Verdict,
        time: Time,
    ) -> Result<bool, Stop> {
        let judged = Fact::CanaryJudged { at: at.clone(), judgement: verdict.clone() };
        match (verdict, time) {
            (Verdict::Pass(_), Time::Over(_))
            | (Verdict::Pass(_) | Verdict::Inconclusive(_), Time::Asked) => self.record(&judged)?,
            (Verdict::Fail(why), _) => {
                self.record(&Fact::StepFailed { at: at.clone(), why: why.clone() })?;
                return Ok(false);
            }
            (Verdict::Inconclusive(why), Time::Over(beyond)) if beyond > CANARY_PATIENCE => {
                self.record(&Fact::StepFailed { at: at.clone(), why: why.clone() })?;
                return Ok(false);
            }
            (Verdict::Inconclusive(_), Time::Over(beyond))
                if beyond >= CANARY_HELD && !arms.held =>
            {
                arms.held = true;
                self.record(&judged)?;
            }
            (Verdict::Pass(_) | Verdict::Inconclusive(_), _) => {}
        }
        Ok(true)
    }

    async fn soaked(&mut self, at: At, change: bool, looks: u64) -> Result<(), Stop> {
        self.record(&Fact::SoakEnded { at, looks })?;
        if change { Ok(()) } else { self.milestones().await }
    }

    /// Leaves the soak to the orchestrator, or ends it when its time has passed there.
    async fn leave_soak(&mut self, soaking: Soaking) -> Result<(), Stop> {
        let Soaking { index, at, change, total, mut arms } = soaking;
        let there = self.there().await?;
        if self.began_at(index, &there).is_none() {
            let rev = self.provisional_of(index);
            let (soak_ms, life, up_ms) = (millis(total), there.life, there.up_ms);
            self.record(&Fact::SoakLeft { at: at.clone(), rev, soak_ms, life, up_ms })?;
        }
        let view = self.guards().await?;
        match self.heed(view.armed.as_ref())? {
            Elsewhere::Nothing => {}
            Elsewhere::TakenBack => return Ok(()),
            Elsewhere::Confirm => {
                if let Some(arms) = &mut arms {
                    let judgement = arms.look(self.world.client, Some(&view)).await;
                    self.record(&Fact::CanaryJudged { at: at.clone(), judgement })?;
                }
                return self.soaked(at, change, 0).await;
            }
        }
        let began = self.began_at(index, &there).unwrap_or(there.up_ms);
        let elapsed = Duration::from_millis(there.up_ms.saturating_sub(began));
        let soaks = total.saturating_sub(elapsed);
        let mut waits_for = None;
        if soaks.is_zero() {
            waits_for = unheld(&view).filter(|_| change);
            if let (None, Some(arms)) = (&waits_for, &mut arms) {
                let verdict = arms.look(self.world.client, Some(&view)).await;
                let judged = Fact::CanaryJudged { at: at.clone(), judgement: verdict.clone() };
                match verdict {
                    Verdict::Pass(_) => self.record(&judged)?,
                    Verdict::Fail(why) => return self.record(&Fact::StepFailed { at, why }),
                    Verdict::Inconclusive(why) => waits_for = Some(why),
                }
            }
            if waits_for.is_none() {
                return self.soaked(at, change, 1).await;
            }
        }
        let provisional = there.provisional.as_ref().map(|p| {
            let left = Duration::from_millis(p.deadline_in_ms.unwrap_or_default());
            (p.rev, p.reverts_to, left)
        });
        Err(Stop::Left(Left { step: at.to_string(), soaks, waits_for, provisional }))
    }

    /// When the move's soak began in the orchestrator's time, where an earlier process left it
    /// there.
    async fn began_ms(&mut self, index: usize) -> Result<Option<u64>, Stop> {
        if self.state().left.is_none() {
            return Ok(None);
        }
        let there = self.there().await?;
        Ok(self.began_at(index, &there))
    }

    fn began_at(&self, index: usize, there: &State) -> Option<u64> {
        let left = self.state().left.as_ref()?;
        let same = left.at == self.state().moves[index].at
            && left.rev == self.provisional_of(index)
            && left.life == there.life;
        same.then_some(left.up_ms)
    }

    async fn since(&mut self, from_ms: u64) -> Result<Duration, Stop> {
        let there = self.there().await?;
        Ok(Duration::from_millis(there.up_ms.saturating_sub(from_ms)))
    }

    fn provisional_of(&self, index: usize) -> Option<u64> {
        match &self.state().at[index] {
            MoveState::Applied { rev, .. } => Some(*rev),
            _ => None,
        }
    }

    /// Asks what happened elsewhere: at the orchestrator by itself, or by a person there. No answer
    /// is no news; guards and lease have their own patience.
    async fn view(&mut self) -> Result<Option<GuardsView>, Stop> {
        let stopper = self.world.stopper.clone();
        tokio::select! {
            view = self.world.client.guards() => Ok(view.ok()),
            signal = stopper.wait() => Err(Stop::Interrupted(signal)),
        }
    }

    async fn guards(&mut self) -> Result<GuardsView, Stop> {
        let client = self.world.client;
        self.insist(|| client.guards()).await
    }

    fn heed(&mut self, armed: Option<&Armed>) -> Result<Elsewhere, Stop> {
        let Some(armed) = armed.filter(|armed| armed.run == *self.run()) else {
            return Ok(Elsewhere::Nothing);
        };
        if armed.tripped.is_some() {
            // The protocol finds it there, and records it.
            self.protocol.waited();
            return Ok(Elsewhere::TakenBack);
        }
        let Some(Asked { ask, by, host, reason }) = armed.asked.clone() else {
            return Ok(Elsewhere::Nothing);
        };
        let by = format!("{by}@{host}");
        self.record(&Fact::Heeded { ask, by: by.clone(), reason })?;
        match ask {
            Ask::Confirm => Ok(Elsewhere::Confirm),
            Ask::Pause | Ask::Abort => Err(Stop::Paused { by }),
        }
    }

    /// Whether the lease is lost, and has to be taken again first.
    fn want_lease(&mut self) -> bool {
        let lost = self.lease.as_ref().is_none_or(super::lease::Lease::is_lost);
        if lost {
            self.lose_lease();
        }
        lost
    }

    /// What a canary step compares, from this moment on; `None` for every other step.
    async fn arms(&self, index: usize, from_ms: Option<u64>) -> Option<Arms> {
        let at = &self.state().moves[index].at;
        let step = self.state().begun.phase.steps.iter().find(|step| step.id == at.step)?;
        let Action::Canary { upstream, compare, to, .. } = &step.action else { return None };
        // With all the traffic on the canary there is no control left; the guards go on.
        let part = usize::try_from(at.part).ok()?;
        let weight = to.get(part.checked_sub(1)?).filter(|weight| **weight < Percent::ALL)?;
        let weight = *weight;
        let from_ms = match from_ms {
            Some(from) => Some(from),
            None => self.world.client.metrics(None).await.ok().map(|metrics| metrics.to_ms),
        };
        let trial = Trial::new(*compare, self.state().begun.phase.canary_alpha());
        let judged_there = self.state().on_failure() != OnFailure::Hold;
        let upstream = upstream.clone();
        Some(Arms { upstream, weight, judged_there, trial, from_ms, held: false })
    }

    fn tell(&mut self, soak: Soak) {
        let at_ms = self.world.clock.wall().timestamp_millis();
        let guards = self.watch.glances();
        self.world.observer.tick(&Tick { at_ms, soak: Some(soak), guards, waiting: None });
    }
}

/// How far a soak is.
#[derive(Clone, Copy)]
enum Time {
    Left,
    /// By so much already.
    Over(Duration),
    /// A person has asked for its end.
    Asked,
}

/// What happened to the run while nobody here looked.
enum Elsewhere {
    Nothing,
    /// The orchestrator took the phase back.
    TakenBack,
    /// A person wants the soak to end now.
    Confirm,
}

/// A guard that has not held since the change, and must have; in words.
fn unheld(view: &GuardsView) -> Option<String> {
    let armed = view.armed.as_ref()?;
    let missing = armed.guards.iter().find(|guard| {
        let held = view.looks.iter().any(|look| look.guard == guard.id && look.held);
        // A guard without patience is one that may stay without data.
        guard.patience_ms.is_some() && !held
    })?;
    let look = view.looks.iter().find(|look| look.guard == missing.id);
    let why = look.map_or_else(|| "it was not judged yet".to_owned(), |look| look.why.clone());
    Some(format!("guard `{}`: {why}", missing.id))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
