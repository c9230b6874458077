//! Watching the guards: each with its own disjoint samples.
//!
//! A guard's next sample begins where its last judged one ended, so no request is judged twice and
//! none is missed; a sample that is too small is collected further. After a change every guard must
//! hold at least once on requests made since, or the change is not kept: no weight rises on
//! absent data.
//!
//! A guard by query is judged where it is armed: what the orchestrator saw counts, so a server is
//! asked once, and an attended phase and a detached one mean the same. Outside a phase nothing is
//! armed, and the queries are asked from here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use crate::clock::{Clock, Tempo, epoch_seconds};
use crate::control::armed::{GuardsView, LookOutcome};
use crate::control::client::Client;
use crate::control::observe::{Health, Metrics};
use crate::ids::GuardId;
use crate::judge::Measure;
use crate::judge::guard::{Look, Streak, heed, look};
use crate::judge::metric::{Metric, Reading};
use crate::ledger::fact::Sample;
use crate::plan::model::{Guard, OnNoData};
use crate::progress::Glance;
use crate::prometheus;

/// The least time between two looks, whatever the tempo.
const FLOOR: Duration = Duration::from_millis(200);
/// The longest time between two looks at what the orchestrator saw of a query.
const BOARD: Duration = Duration::from_secs(1);

/// The guards of a run, or of whoever monitors.
#[derive(Debug, Default)]
pub struct Watch {
    guards: Vec<Watched>,
    /// Absent where the orchestrator asks.
    asks: Option<prometheus::Client>,
}

#[derive(Debug)]
struct Watched {
    guard: Guard,
    streak: Streak,
    /// Where the next sample begins, in the orchestrator's own time.
    from_ms: Option<u64>,
    /// When to look again, on our monotonic clock.
    next: Duration,
    last: Option<Look>,
    /// What was read and judged since somebody last took it.
    read: Option<Sample>,
    /// It held on a sample from after the last change.
    held: bool,
}

/// A guard that failed, and the sentence that says why.
#[derive(Debug)]
pub struct Breach {
    pub guard: GuardId,
    pub why: String,
}

impl Watch {
    /// Watches what is armed at the orchestrator.
    pub(super) fn new(guards: &[Guard], tempo: Tempo) -> Self {
        let watched = |guard: &Guard| {
            let every = tempo.to_real(guard.every).max(FLOOR).min(guard.every.max(FLOOR));
            Watched {
                guard: Guard { every, ..guard.clone() },
                streak: Streak::default(),
                from_ms: None,
                next: Duration::ZERO,
                last: None,
                read: None,
                held: false,
            }
        };
        Self { guards: guards.iter().map(watched).collect(), asks: None }
    }

    /// Watches outside a phase, and asks queries from here.
    pub fn asking(guards: &[Guard], asks: prometheus::Client) -> Self {
        Self { asks: Some(asks), ..Self::new(guards, Tempo::default()) }
    }

    /// A change was made: from here on, samples are of the new configuration only.
    pub async fn begin(&mut self, client: &Client) {
        let now_ms = client.metrics(None).await.ok().map(|metrics| metrics.to_ms);
        for watched in &mut self.guards {
            watched.held = false;
            watched.from_ms = now_ms.or(watched.from_ms);
        }
    }

    /// Looks at every guard whose time has come.
    pub async fn look(&mut self, client: &Client, clock: &dyn Clock) -> Option<Breach> {
        let now = clock.boot();
        let mut board: Option<Option<GuardsView>> = None;
        let mut samples: BTreeMap<Option<u64>, Option<Metrics>> = BTreeMap::new();
        let mut health: Option<Option<Health>> = None;
        for watched in self.guards.iter_mut().filter(|watched| watched.next <= now) {
            watched.next = now + watched.guard.every;
            let metric = match (&watched.guard.measure, &self.asks) {
                (Measure::Own(metric), _) => *metric,
                (Measure::Query(query), Some(asks)) => {
                    let answer = asks.ask(query, epoch_seconds(clock)).await;
                    let answer = answer.map_err(|error| error.to_string());
                    let reading = Reading { value: answer.as_ref().ok().copied(), samples: None };
                    let verdict = query.judge(watched.guard.limit, answer);
                    watched.note(reading);
                    let (streak, look) = heed(&watched.guard, watched.streak, verdict, now);
                    watched.saw(streak, look);
                    if let Some(breach) = watched.breach() {
                        return Some(breach);
                    }
                    continue;
                }
                (Measure::Query(_), None) => {
                    if board.is_none() {
                        board = Some(client.guards().await.ok());
                    }
                    // Whoever watches wants to see it sooner than the next sample.
                    watched.next = now + FLOOR.max(BOARD.min(watched.guard.every));
                    watched.copy(board.as_ref().and_then(Option::as_ref));
                    if let Some(breach) = watched.breach() {
                        return Some(breach);
                    }
                    continue;
                }
            };
            if let Entry::Vacant(vacant) = samples.entry(watched.from_ms) {
                vacant.insert(client.metrics(watched.from_ms).await.ok());
            }
            if needs_health(metric) && health.is_none() {
                health = Some(client.health().await.ok());
            }
            let metrics = samples[&watched.from_ms].as_ref();
            let health = health.as_ref().and_then(Option::as_ref);
            watched.judge(metric, metrics, health, now);
            if let Some(breach) = watched.breach() {
                return Some(breach);
            }
        }
        None
    }

    /// Looks again and again, until a guard is breached. Dropped half way, it has judged what it
    /// has looked at and nothing else.
    pub(super) async fn until_breach(&mut self, client: &Client, clock: &dyn Clock) -> Breach {
        loop {
            if let Some(breach) = self.look(client, clock).await {
                return breach;
            }
            let due = self.next().map_or(FLOOR, |next| next.saturating_sub(clock.boot()));
            tokio::time::sleep(due.max(Duration::from_millis(5))).await;
        }
    }

    /// Whether every guard has held since the last change, and none is under suspicion.
    pub(super) fn all_held(&self) -> bool {
        self.guards.iter().all(|watched| {
            let ignorable = watched.guard.on_no_data == OnNoData::Ignore;
            match &watched.last {
                Some(Look::Held(_) | Look::Waiting(_)) => watched.held || ignorable,
                Some(Look::Suspect(_) | Look::Breached(_)) => false,
                None => ignorable,
            }
        })
    }

    /// What was read and judged since the last time that this was asked, each guard once.
    pub(super) fn samples(&mut self) -> Vec<Sample> {
        self.guards.iter_mut().filter_map(|watched| watched.read.take()).collect()
    }

    /// When the next look is due.
    pub fn next(&self) -> Option<Duration> {
        self.guards.iter().map(|watched| watched.next).min()
    }

    /// The last look at each guard, for whoever watches.
    pub fn glances(&self) -> Vec<Glance> {
        let glance = |watched: &Watched| {
            let look = watched.last.clone()?;
            Some(Glance { guard: watched.guard.id.clone(), look })
        };
        self.guards.iter().filter_map(glance).collect()
    }
}

impl Watched {
    fn judge(
        &mut self,
        metric: Metric,
        metrics: Option<&Metrics>,
        health: Option<&Health>,
        now: Duration,
    ) {
        let missing = Reading { value: None, samples: None };
        let (none, nothing) = (Metrics::default(), Health::default());
        let readable = metrics.is_some() && (health.is_some() || !needs_health(metric));
        let reading = if readable {
            metric.read(metrics.unwrap_or(&none), health.unwrap_or(&nothing))
        } else {
            missing
        };
        let (streak, look) = look(&self.guard, self.streak, reading, now);
        self.note(reading);
        // A judged sample is used up; a waiting one is collected further.
        if !matches!(look, Look::Waiting(_)) {
            self.from_ms = metrics.map(|metrics| metrics.to_ms).or(self.from_ms);
        }
        self.saw(streak, look);
    }

    /// Keeps what was read, for whoever looks back.
    fn note(&mut self, reading: Reading) {
        self.read = reading.value.filter(|value| value.is_finite()).map(|value| {
            let guard = self.guard.id.clone();
            Sample { guard, value, samples: reading.samples }
        });
    }

    fn saw(&mut self, streak: Streak, look: Look) {
        self.streak = streak;
        self.held |= matches!(look, Look::Held(_));
        self.last = Some(look);
    }

    /// Takes over what the orchestrator saw.
    fn copy(&mut self, board: Option<&GuardsView>) {
        let Some(board) = board else {
            let why = "the orchestrator does not say how it was seen";
            self.last = Some(Look::Waiting(why.to_owned()));
            return;
        };
        let tripped = board.armed.as_ref().and_then(|armed| armed.tripped.as_ref());
        if let Some(trip) = tripped.filter(|trip| trip.guard.as_ref() == Some(&self.guard.id)) {
            self.last = Some(Look::Breached(trip.why.clone()));
            return;
        }
        let Some(seen) = board.looks.iter().find(|look| look.guard == self.guard.id) else {
            return;
        };
        let why = seen.why.clone();
        self.held = seen.held;
        self.last = Some(match seen.outcome {
            LookOutcome::Held => Look::Held(why),
            LookOutcome::Suspect => Look::Suspect(why),
            LookOutcome::Waiting => Look::Waiting(why),
            LookOutcome::Breached => Look::Breached(why),
        });
    }

    fn breach(&self) -> Option<Breach> {
        let Some(Look::Breached(why)) = &self.last else { return None };
        Some(Breach { guard: self.guard.id.clone(), why: why.clone() })
    }
}

/// Whether a metric is read from `GET /v1/health`.
pub(super) fn needs_health(metric: Metric) -> bool {
    matches!(metric, Metric::Healthy | Metric::Uptime | Metric::Mttr | Metric::Mtbf)
}
