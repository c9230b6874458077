//! Watching the guards: each with its own disjoint samples.
//!
//! A guard's next sample begins where its last judged one ended, so no request is judged twice and
//! none is missed; a sample that is too small is collected further. After a change every guard must
//! hold at least once on requests made since, or the change is not kept: no weight rises on
//! absent data.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use crate::clock::{Clock, Tempo};
use crate::control::client::Client;
use crate::control::observe::{Health, Metrics};
use crate::ids::GuardId;
use crate::judge::guard::{Look, Streak, look};
use crate::judge::metric::{Metric, Reading};
use crate::ledger::fact::Sample;
use crate::plan::model::{Guard, OnNoData};
use crate::progress::Glance;

/// The least time between two looks, whatever the tempo.
const FLOOR: Duration = Duration::from_millis(200);

/// The guards of a run.
#[derive(Debug)]
pub(super) struct Watch {
    guards: Vec<Watched>,
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
pub(super) struct Breach {
    pub(super) guard: GuardId,
    pub(super) why: String,
}

impl Watch {
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
        Self { guards: guards.iter().map(watched).collect() }
    }

    /// A change was made: from here on, samples are of the new configuration only.
    pub(super) async fn begin(&mut self, client: &Client) {
        let now_ms = client.metrics(None).await.ok().map(|metrics| metrics.to_ms);
        for watched in &mut self.guards {
            watched.held = false;
            watched.from_ms = now_ms.or(watched.from_ms);
        }
    }

    /// Looks at every guard whose time has come.
    pub(super) async fn look(&mut self, client: &Client, now: Duration) -> Option<Breach> {
        let mut samples: BTreeMap<Option<u64>, Option<Metrics>> = BTreeMap::new();
        let mut health: Option<Option<Health>> = None;
        for watched in self.guards.iter_mut().filter(|watched| watched.next <= now) {
            watched.next = now + watched.guard.every;
            if let Entry::Vacant(vacant) = samples.entry(watched.from_ms) {
                vacant.insert(client.metrics(watched.from_ms).await.ok());
            }
            if needs_health(watched.guard.metric) && health.is_none() {
                health = Some(client.health().await.ok());
            }
            let metrics = samples[&watched.from_ms].as_ref();
            let health = health.as_ref().and_then(Option::as_ref);
            watched.judge(metrics, health, now);
            if let Some(Look::Breached(why)) = &watched.last {
                return Some(Breach { guard: watched.guard.id.clone(), why: why.clone() });
            }
        }
        None
    }

    /// Looks again and again, until a guard is breached. Dropped half way, it has judged what it
    /// has looked at and nothing else.
    pub(super) async fn until_breach(&mut self, client: &Client, clock: &dyn Clock) -> Breach {
        loop {
            let now = clock.boot();
            if let Some(breach) = self.look(client, now).await {
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
    pub(super) fn next(&self) -> Option<Duration> {
        self.guards.iter().map(|watched| watched.next).min()
    }

    /// The last look at each guard, for whoever watches.
    pub(super) fn glances(&self) -> Vec<Glance> {
        let glance = |watched: &Watched| {
            let look = watched.last.clone()?;
            Some(Glance { guard: watched.guard.id.clone(), look })
        };
        self.guards.iter().filter_map(glance).collect()
    }
}

impl Watched {
    fn judge(&mut self, metrics: Option<&Metrics>, health: Option<&Health>, now: Duration) {
        let missing = Reading { value: None, samples: None };
        let (none, nothing) = (Metrics::default(), Health::default());
        let readable = metrics.is_some() && (health.is_some() || !needs_health(self.guard.metric));
        let reading = if readable {
            self.guard.metric.read(metrics.unwrap_or(&none), health.unwrap_or(&nothing))
        } else {
            missing
        };
        let (streak, look) = look(&self.guard, self.streak, reading, now);
        self.streak = streak;
        self.read = reading.value.filter(|value| value.is_finite()).map(|value| {
            let guard = self.guard.id.clone();
            Sample { guard, value, samples: reading.samples }
        });
        // A judged sample is used up; a waiting one is collected further.
        if !matches!(look, Look::Waiting(_)) {
            self.from_ms = metrics.map(|metrics| metrics.to_ms).or(self.from_ms);
        }
        self.held |= matches!(look, Look::Held(_));
        self.last = Some(look);
    }
}

/// Whether a metric is read from `GET /v1/health`.
pub(super) fn needs_health(metric: Metric) -> bool {
    matches!(metric, Metric::Healthy | Metric::Uptime | Metric::Mttr | Metric::Mtbf)
}
