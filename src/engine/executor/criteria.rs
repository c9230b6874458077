//! Judging criteria: what a step requires, what a phase must reach, what a milestone stands for.

use std::time::Duration;

use super::watch::{Breach, needs_health};
use super::{Executor, Hands, Stop, Target};
use crate::clock::{Clock, epoch_seconds};
use crate::control::client::Client;
use crate::control::observe::Health;
use crate::error::Result;
use crate::ids::{PlanName, StepId};
use crate::judge::evidence::Seen;
use crate::judge::measure::Query;
use crate::judge::{Limit, Measure, Metric, Verdict, criterion, evidence};
use crate::ledger::fact::{Fact, Judged};
use crate::plan::model::{Category, Criterion, CriterionCheck, Suite};
use crate::prometheus;

/// How long a criterion that cannot be judged yet is asked again.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time between two questions.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest window of a metric criterion within a rehearsal, whose minutes are moments.
const REHEARSED_WINDOW: Duration = Duration::from_secs(5);

impl<H: Hands> Executor<'_, H> {
    /// Whether everything that a move requires holds now; if not, the step has failed.
    pub(super) async fn requirements_hold(
        &mut self,
        index: usize,
    ) -> std::result::Result<bool, Stop> {
        let (at, required) = {
            let step = &self.state().moves[index];
            (step.at.clone(), step.require.clone())
        };
        for criterion in required {
            let judged = match self.watched_judge(&criterion, Some(&at.step)).await? {
                Ok(judged) => judged,
                Err(Breach { guard, why }) => {
                    self.record(&Fact::GuardBreached { guard, at, why })?;
                    return Ok(false);
                }
            };
            let passed = judged.verdict.passed();
            let why = format!("requires `{}`: {}", criterion.id, judged.verdict.why());
            self.record(&Fact::CriterionJudged(Box::new(judged)))?;
            if !passed {
                self.record(&Fact::StepFailed { at, why })?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Judges the criteria of the phase that have not been judged yet.
    pub(super) async fn judge_phase(&mut self) -> std::result::Result<(), Stop> {
        let criteria = self.state().begun.phase.criteria.clone();
        for criterion in criteria {
            if self.state().judged.contains_key(&criterion.id) {
                continue;
            }
            let judged = match self.watched_judge(&criterion, None).await? {
                Ok(judged) => judged,
                Err(Breach { guard, why }) => {
                    let Some(last) = self.state().moves.last() else { return Ok(()) };
                    let at = last.at.clone();
                    return self.record(&Fact::GuardBreached { guard, at, why });
                }
            };
            let passed = judged.verdict.passed();
            self.record(&Fact::CriterionJudged(Box::new(judged)))?;
            if !passed {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Records the milestones whose time has come and whose conditions hold.
    pub(super) async fn milestones(&mut self) -> std::result::Result<(), Stop> {
        let due: Vec<_> = self.state().due_milestones().cloned().collect();
        for milestone in due {
            if self.missed.contains(&milestone.id) {
                continue;
            }
            let mut holds = true;
            for criterion in &milestone.when {
                let verdict = match self.state().judged.get(&criterion.id) {
                    Some(verdict) => verdict.clone(),
                    None => self.judge(criterion, None).await?.verdict,
                };
                holds &= verdict.passed();
            }
            if holds {
                let (milestone, title) = (milestone.id, milestone.title);
                self.record(&Fact::MilestoneReached { milestone, title, by: None })?;
            } else {
                self.missed.insert(milestone.id);
            }
        }
        Ok(())
    }

    /// Judges a criterion under the guards: a suite of a criterion may take long.
    async fn watched_judge(
        &mut self,
        criterion: &Criterion,
        required_by: Option<&StepId>,
    ) -> std::result::Result<std::result::Result<Judged, Breach>, Stop> {
        let mut watch = std::mem::take(&mut self.watch);
        let (client, clock) = (self.world.client, std::sync::Arc::clone(&self.world.clock));
        let ended = tokio::select! {
            judged = self.judge(criterion, required_by) => judged.map(Ok),
            breach = watch.until_breach(client, &*clock) => Ok(Err(breach)),
        };
        self.watch = watch;
        ended
    }

    async fn judge(
        &mut self,
        criterion: &Criterion,
        required_by: Option<&StepId>,
    ) -> std::result::Result<Judged, Stop> {
        let began = self.world.clock.boot();
        let cap = (self.tempo.factor() > 1.0).then_some(REHEARSED_WINDOW);
        loop {
            let suites = &self.protocol.state.begun.suites;
            let key = format!("(criterion {})", criterion.id);
            let fence = self.fence();
            let target =
                Target { data: String::new(), client: self.world.client, fence: &fence, key: &key };
            let plan = &self.protocol.state.begun.plan;
            let (hands, clock) = (&mut *self.world.hands, &*self.world.clock);
            let judging = judge_now(plan, criterion, suites, hands, target, cap, clock);
            let mut judged = judging.await.map_err(Stop::Failed)?;
            judged.required_by = required_by.cloned();
            let waited = self.world.clock.boot().saturating_sub(began);
            if !matches!(judged.verdict, Verdict::Inconclusive(_)) || waited > PATIENCE {
                return Ok(judged);
            }
            let waiting = format!("criterion `{}`: {}", criterion.id, judged.verdict.why());
            self.pause(PAUSE, waiting).await?;
        }
    }
}

/// Judges one criterion once, against what the orchestrator says now.
///
/// `cap` bounds the window of a metric. What cannot be asked is inconclusive, not an error.
///
/// # Errors
/// When a suite cannot be run at all.
pub async fn judge_now<H: Hands>(
    plan: &PlanName,
    criterion: &Criterion,
    suites: &[Suite],
    hands: &mut H,
    mut target: Target<'_>,
    cap: Option<Duration>,
    clock: &dyn Clock,
) -> Result<Judged> {
    let (wanted, actual, verdict) = match &criterion.check {
        CriterionCheck::Metric { measure: Measure::Query(query), limit, .. } => {
            let wanted = criterion.check.target();
            let (actual, verdict) = ask(query, *limit, epoch_seconds(clock)).await;
            (wanted, actual, evidence::with(verdict, &evidence::of_query(query)))
        }
        CriterionCheck::Metric { measure: Measure::Own(metric), limit, min_samples, window } => {
            let wanted = criterion.check.target();
            let window = cap.map_or(*window, |cap| (*window).min(cap));
            let reading = read(target.client, *metric, window).await;
            let seen = match reading {
                Ok(seen) => seen,
                Err(why) => return Ok(unknown(plan, criterion, wanted, why)),
            };
            let reading = metric.read(&seen.metrics, &seen.health);
            let failures = seen.health.reliability.failures;
            let actual = reading.value.filter(|v| v.is_finite());
            let actual = actual.map_or_else(|| "no data".to_owned(), |v| metric.unit().format(v));
            let verdict = criterion::judge(*metric, *limit, *min_samples, reading, failures);
            (wanted, actual, evidence::with(verdict, &evidence::of_metric(*metric, &seen)))
        }
        CriterionCheck::Suite { suite: id } => {
            let wanted = format!("every case of suite `{id}` passes");
            let Some(suite) = suites.iter().find(|suite| suite.id == *id) else {
                let why = format!("the plan has no suite `{id}`");
                return Ok(unknown(plan, criterion, wanted, why));
            };
            if target.data.is_empty() {
                match target.client.state().await {
                    Ok(reply) => target.data = format!("http://{}", reply.body.data_addr),
                    Err(error) => return Ok(unknown(plan, criterion, wanted, error.to_string())),
                }
            }
            let result = hands.suite(suite, &target).await?;
            let why = std::iter::once(format!("suite `{id}`: {}", result.actual));
            let why = why.chain(result.failures).collect::<Vec<_>>().join("; ");
            let verdict = if result.passed { Verdict::Pass(why) } else { Verdict::Fail(why) };
            let verdict = match criterion.category {
                Category::Functionality => {
                    let seen = functions(target.client).await;
                    evidence::with(verdict, &evidence::of_functions(&seen))
                }
                Category::Performance | Category::Reliability => verdict,
            };
            (wanted, result.actual, verdict)
        }
    };
    Ok(judged(plan, criterion, wanted, actual, verdict))
}

/// Asks a query's server. A guard's query is asked where the guard is armed; a criterion is judged
/// by whoever wants to know.
async fn ask(query: &Query, limit: Limit, now: f64) -> (String, Verdict) {
    let answer = prometheus::Client::default().ask(query, now).await;
    let actual = answer.as_ref().map_or_else(|_| "no data".to_owned(), |v| query.unit.format(*v));
    (actual, query.judge(limit, answer.map_err(|error| error.to_string())))
}

async fn read(
    client: &Client,
    metric: Metric,
    window: Duration,
) -> std::result::Result<Seen, String> {
    let say = |error: crate::control::client::ControlError| error.to_string();
    let now = client.metrics(None).await.map_err(say)?;
    let width = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    let metrics = client.metrics(Some(now.to_ms.saturating_sub(width))).await.map_err(say)?;
    let health =
        if needs_health(metric) { client.health().await.map_err(say)? } else { Health::default() };
    let mut seen = Seen { metrics, health, ..Seen::default() };
    // These explain the reading and decide nothing: without them it is told in fewer words.
    match metric {
        Metric::Parity => seen.shadow = client.shadow().await.ok(),
        Metric::ExtensionsUp => seen.extensions = client.extensions().await.ok(),
        _ => {}
    }
    Ok(seen)
}

/// What the orchestrator knows of functions, as far as it says.
async fn functions(client: &Client) -> Seen {
    Seen {
        shadow: client.shadow().await.ok(),
        extensions: client.extensions().await.ok(),
        ..Seen::default()
    }
}

fn unknown(plan: &PlanName, criterion: &Criterion, target: String, why: String) -> Judged {
    judged(plan, criterion, target, "unknown".to_owned(), Verdict::Inconclusive(why))
}

fn judged(
    plan: &PlanName,
    criterion: &Criterion,
    target: String,
    actual: String,
    verdict: Verdict,
) -> Judged {
    Judged {
        plan: plan.clone(),
        criterion: criterion.id.clone(),
        title: criterion.title.clone().unwrap_or_else(|| criterion.id.to_string()),
        category: criterion.category,
        target,
        actual,
        verdict,
        required_by: None,
    }
}
