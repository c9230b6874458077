//! The guards of an armed phase, and when each is judged on which sample.
//!
//! A guard's next sample begins where its last judged one ended, so no request is judged twice and
//! none is missed; one with too few observations is collected further. A guard by query waits for
//! its answer without holding up the others. When another revision comes
//! into force, samples begin anew, and each guard has to hold again; a streak goes on, because a
//! fault does not end with the next step of a ramp.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

use super::canary;
use crate::control::armed::{ArmedGuard, CanaryLook, GuardLook, LookOutcome};
use crate::control::observe::{Health, Metrics};
use crate::ids::{GuardId, PhaseId, RunId};
use crate::judge::guard::{Guard, Look, Streak, heed, look};
use crate::judge::measure::{Measure, Query};
use crate::judge::metric::Reading;
use crate::judge::{self, Metric};
use crate::orchestrator::control::core::Arming;

/// Time between two looks whether a query was answered.
const POLL: Duration = Duration::from_millis(50);

/// What a query came to: its number, or why there is none.
pub(super) type Answer = Result<f64, String>;

/// An instant on both of the orchestrator's scales: the monotonic clock, and the boundary of the
/// metrics that lies there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) now: Duration,
    pub(super) ms: u64,
}

/// Where samples come from.
pub(super) trait Samples {
    /// What was measured from `from_ms` until now.
    fn metrics(&self, from_ms: u64) -> Metrics;
    /// The newest health; `None` where it cannot be read.
    fn health(&self) -> Option<Health>;
    /// Asks a query; the answer comes later.
    fn ask(&self, query: &Query) -> Receiver<Answer>;
}

/// The guards and canaries of one armed phase.
#[derive(Debug)]
pub(super) struct Watch {
    run: RunId,
    phase: PhaseId,
    armed: Arc<[ArmedGuard]>,
    /// The revision that the samples under way are about.
    rev: u64,
    guards: Vec<Watched>,
    canary: canary::Watched,
}

#[derive(Debug)]
struct Watched {
    guard: Guard,
    streak: Streak,
    /// Where the sample under way began.
    from_ms: u64,
    /// When it is looked at next.
    next: Duration,
    /// The answer that is waited for.
    asked: Option<Receiver<Answer>>,
    last: Option<Look>,
    held: bool,
}

/// A guard that is breached, or that the canary is worse; and the sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) guard: Option<GuardId>,
    pub(super) why: String,
}

impl Watch {
    /// Begins at `mark`, with revision `rev` in force.
    pub(super) fn new(arming: &Arming, rev: u64, mark: Mark) -> Self {
        // They were checked when they were armed; one that a later ctx no longer knows cannot be
        // judged, and says so.
        let readable = arming.guards.iter().filter_map(|armed| {
            judge::armed::read(armed)
                .inspect_err(|error| tracing::error!(%error, "an armed guard cannot be judged"))
                .ok()
        });
        let watched = |guard: Guard| Watched {
            next: mark.now + guard.every,
            guard,
            streak: Streak::default(),
            from_ms: mark.ms,
            asked: None,
            last: None,
            held: false,
        };
        Self {
            run: arming.run.clone(),
            phase: arming.phase.clone(),
            armed: Arc::clone(&arming.guards),
            rev,
            guards: readable.map(watched).collect(),
            canary: canary::Watched::new(&arming.canaries, mark),
        }
    }

    /// Whether it watches this phase.
    pub(super) fn is_of(&self, arming: &Arming) -> bool {
        self.run == arming.run
            && self.phase == arming.phase
            && self.armed == arming.guards
            && self.canary.is_of(&arming.canaries)
    }

    pub(super) fn run(&self) -> &RunId {
        &self.run
    }

    pub(super) fn phase(&self) -> &PhaseId {
        &self.phase
    }

    pub(super) fn rev(&self) -> u64 {
        self.rev
    }

    /// Another revision is in force: from here on, samples are about that one.
    pub(super) fn begin(&mut self, rev: u64, mark: Mark) {
        self.rev = rev;
        self.canary.begin(mark);
        for watched in &mut self.guards {
            watched.held = false;
            watched.from_ms = mark.ms;
            // What was asked before is about the revision before.
            watched.asked = None;
            watched.next = mark.now + watched.guard.every;
        }
    }

    /// When the next look is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.guards.iter().map(|watched| watched.next).chain(self.canary.next()).min()
    }

    /// Looks at every guard and canary whose time has come, up to the first that is breached.
    pub(super) fn look(&mut self, now: Duration, samples: &impl Samples) -> Option<Breach> {
        let mut taken: BTreeMap<u64, Metrics> = BTreeMap::new();
        let mut health: Option<Option<Health>> = None;
        for watched in self.guards.iter_mut().filter(|watched| watched.next <= now) {
            watched.next = now + watched.guard.every;
            match &watched.guard.measure {
                Measure::Own(metric) => {
                    let (metric, from_ms) = (*metric, watched.from_ms);
                    let metrics = taken.entry(from_ms).or_insert_with(|| samples.metrics(from_ms));
                    let reading = if needs_health(metric) {
                        match health.get_or_insert_with(|| samples.health()) {
                            Some(health) => metric.read(metrics, health),
                            None => Reading { value: None, samples: None },
                        }
                    } else {
                        metric.read(metrics, &Health::default())
                    };
                    watched.judge(reading, metrics.to_ms, now);
                }
                Measure::Query(query) => {
                    let asked = watched.asked.get_or_insert_with(|| samples.ask(query));
                    let answer = match asked.try_recv() {
                        Ok(answer) => answer,
                        Err(TryRecvError::Empty) => {
                            watched.next = now + POLL;
                            continue;
                        }
                        Err(TryRecvError::Closed) => Err("it was not asked to the end".to_owned()),
                    };
                    let verdict = query.judge(watched.guard.limit, answer);
                    watched.asked = None;
                    let (streak, look) = heed(&watched.guard, watched.streak, verdict, now);
                    watched.saw(streak, look);
                }
            }
            if let Some(Look::Breached(why)) = &watched.last {
                return Some(Breach { guard: Some(watched.guard.id.clone()), why: why.clone() });
            }
        }
        self.canary.look(now, samples).map(|why| Breach { guard: None, why })
    }

    /// The last look at the canary in force.
    pub(super) fn canary(&self) -> Option<CanaryLook> {
        self.canary.seen()
    }

    /// The last look at each armed guard, in the order they were armed in; empty before the first.
    pub(super) fn looks(&self) -> Vec<GuardLook> {
        if self.guards.iter().all(|watched| watched.last.is_none()) {
            return Vec::new();
        }
        let of = |armed: &ArmedGuard| self.guards.iter().find(|w| w.guard.id == armed.id);
        self.armed.iter().map(|armed| seen(&armed.id, of(armed))).collect()
    }

    /// Consecutive breaches of each guard.
    pub(super) fn breaches(&self) -> BTreeMap<GuardId, u32> {
        let breaches = |watched: &Watched| (watched.guard.id.clone(), watched.streak.breaches);
        self.guards.iter().map(breaches).collect()
    }
}

impl Watched {
    fn judge(&mut self, reading: Reading, to_ms: u64, now: Duration) {
        let (streak, look) = look(&self.guard, self.streak, reading, now);
        // A judged sample is used up; a waiting one is collected further.
        if !matches!(look, Look::Waiting(_)) {
            self.from_ms = to_ms;
        }
        self.saw(streak, look);
    }

    fn saw(&mut self, streak: Streak, look: Look) {
        self.streak = streak;
        self.held |= matches!(look, Look::Held(_));
        self.last = Some(look);
    }
}

fn seen(guard: &GuardId, watched: Option<&Watched>) -> GuardLook {
    let look = watched.and_then(|watched| watched.last.as_ref());
    let outcome = match look {
        Some(Look::Held(_)) => LookOutcome::Held,
        Some(Look::Suspect(_)) => LookOutcome::Suspect,
        Some(Look::Breached(_)) => LookOutcome::Breached,
        Some(Look::Waiting(_)) | None => LookOutcome::Waiting,
    };
    GuardLook {
        guard: guard.clone(),
        outcome,
        why: look.map_or("not looked at yet", Look::why).to_owned(),
        held: watched.is_some_and(|watched| watched.held),
    }
}

/// Whether a metric is read from the orchestrator's health.
fn needs_health(metric: Metric) -> bool {
    matches!(metric, Metric::Healthy | Metric::Uptime | Metric::Mttr | Metric::Mtbf)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::control::armed::Bound;
    use crate::control::config::Config;
    use crate::control::observe::{Status, Window};
    use crate::orchestrator::control::core::Content;

    const SECOND: Duration = Duration::from_secs(1);

    /// Answers that ended at a millisecond: failed or not.
    #[derive(Default)]
    struct Traffic {
        ended: RefCell<Vec<(u64, bool)>>,
        now_ms: RefCell<u64>,
        health: Option<Health>,
        asked: RefCell<Vec<tokio::sync::oneshot::Sender<Answer>>>,
    }

    impl Traffic {
        /// A second in which every `nth` answer of a hundred fails; 0 for none.
        fn second(&self, answers: u64, failed: u64) -> Duration {
            let begin = *self.now_ms.borrow();
            let answer = |n| (begin + n * 1000 / answers.max(1), n < failed);
            self.ended.borrow_mut().extend((0..answers).map(answer));
            *self.now_ms.borrow_mut() = begin + 1000;
            Duration::from_millis(begin + 1000)
        }
    }

    impl Samples for Traffic {
        fn metrics(&self, from_ms: u64) -> Metrics {
            let ended = self.ended.borrow();
            let within = || ended.iter().filter(|(at, _)| *at >= from_ms);
            let requests = within().count().try_into().unwrap();
            let errors = within().filter(|(_, failed)| *failed).count().try_into().unwrap();
            let total = Window { requests, errors, latency: None };
            Metrics { from_ms, to_ms: *self.now_ms.borrow(), total, ..Metrics::default() }
        }

        fn health(&self) -> Option<Health> {
            self.health.clone()
        }

        fn ask(&self, _: &Query) -> Receiver<Answer> {
            let (tell, answer) = tokio::sync::oneshot::channel();
            self.asked.borrow_mut().push(tell);
            answer
        }
    }

    fn guard(id: &str, metric: &str, breaches: u32) -> ArmedGuard {
        ArmedGuard {
            id: id.parse().unwrap(),
            metric: metric.to_owned(),
            query: None,
            limit: if metric == "healthy" { Bound::AtLeast(1.0) } else { Bound::AtMost(0.05) },
            breaches,
            min_samples: 20,
            every_ms: 1000,
            patience_ms: None,
        }
    }

    fn watching(guards: Vec<ArmedGuard>) -> Watch {
        let config = Config::legacy("http://127.0.0.1:8000");
        let arming = Arming {
            run: RunId::random(),
            plan: "plan".parse().unwrap(),
            phase: "phase".parse().unwrap(),
            target: Content::new(1, Arc::new(config)),
            guards: guards.into(),
            canaries: Vec::new().into(),
            record: "".into(),
            tripped: None,
            asked: None,
        };
        Watch::new(&arming, 1, Mark { now: Duration::ZERO, ms: 0 })
    }

    fn by_query(breaches: u32) -> ArmedGuard {
        let query = crate::control::armed::ArmedQuery {
            query: "sum(up)".to_owned(),
            url: "http://127.0.0.1:9".to_owned(),
            token: None,
            unit: "ratio".to_owned(),
        };
        ArmedGuard { query: Some(query), ..guard("by-query", "prom", breaches) }
    }

    #[test]
    fn a_query_is_waited_for_without_holding_up_the_others() {
        let traffic = Traffic::default();
        let mut watch = watching(vec![by_query(1), guard("own", "error_rate", 1)]);
        let now = traffic.second(100, 0);
        assert_eq!(watch.look(now, &traffic), None);
        let outcomes = |watch: &Watch| watch.looks().iter().map(|l| l.outcome).collect::<Vec<_>>();
        assert_eq!(outcomes(&watch), [LookOutcome::Waiting, LookOutcome::Held]);
        assert_eq!(watch.next(), Some(now + POLL));
        // An outage is inconclusive.
        let answer = |answer: Answer| traffic.asked.borrow_mut().pop().unwrap().send(answer);
        answer(Err("cannot be reached".to_owned())).unwrap();
        assert_eq!(watch.look(now + POLL, &traffic), None);
        assert!(watch.looks()[0].why.contains("cannot be reached"), "{:?}", watch.looks());
        let mut later = now + POLL + SECOND;
        assert_eq!(watch.look(later, &traffic), None);
        answer(Ok(0.01)).unwrap();
        later += POLL;
        assert_eq!(watch.look(later, &traffic), None);
        assert!(watch.looks()[0].held);
        // What was asked before another revision says nothing about it.
        later += SECOND;
        assert_eq!(watch.look(later, &traffic), None);
        watch.begin(2, Mark { now: later, ms: 0 });
        assert!(answer(Ok(0.5)).is_err());
        later += SECOND;
        assert_eq!(watch.look(later, &traffic), None);
        answer(Ok(0.5)).unwrap();
        let breach = watch.look(later + POLL, &traffic).unwrap();
        assert_eq!(breach.why, "prom `sum(up)` 50%, limit at most 5%, breach 1 of 1");
    }

    #[test]
    fn a_guard_is_judged_at_the_end_of_each_sample_and_not_before() {
        let (traffic, mut watch) =
            (Traffic::default(), watching(vec![guard("e", "error_rate", 1)]));
        assert_eq!(watch.next(), Some(SECOND));
        let now = traffic.second(100, 0);
        assert_eq!(watch.look(now / 2, &traffic), None);
        assert!(watch.looks().is_empty());
        assert_eq!(watch.look(now, &traffic), None);
        assert_eq!(watch.looks()[0].outcome, LookOutcome::Held);
        assert!(watch.looks()[0].held);
        assert_eq!(watch.next(), Some(2 * SECOND));
        // A good second does not dilute the bad one after it.
        let breach = watch.look(traffic.second(100, 6), &traffic).unwrap();
        assert_eq!(breach.why, "error_rate 6% (n=100), limit at most 5%, breach 1 of 1");
        assert_eq!(watch.looks()[0].outcome, LookOutcome::Breached);
    }

    #[test]
    fn a_streak_counts_disjoint_samples_and_goes_on_over_a_change() {
        let (traffic, mut watch) =
            (Traffic::default(), watching(vec![guard("e", "error_rate", 3)]));
        for _ in 0..2 {
            assert_eq!(watch.look(traffic.second(100, 20), &traffic), None);
        }
        assert_eq!(watch.breaches().into_values().collect::<Vec<_>>(), [2]);
        let now = traffic.second(100, 100);
        watch.begin(2, Mark { now, ms: *traffic.now_ms.borrow() });
        assert_eq!(watch.look(now, &traffic), None, "what was before the change is not judged");
        assert!(watch.look(traffic.second(100, 20), &traffic).is_some());
    }

    #[test]
    fn a_change_has_to_be_held_on_its_own_requests() {
        let (traffic, mut watch) =
            (Traffic::default(), watching(vec![guard("e", "error_rate", 1)]));
        watch.look(traffic.second(100, 0), &traffic);
        assert!(watch.looks()[0].held);
        watch.begin(2, Mark { now: SECOND, ms: 1000 });
        assert!(!watch.looks()[0].held);
        watch.look(traffic.second(5, 0), &traffic);
        assert!(!watch.looks()[0].held, "five are too few");
        watch.look(traffic.second(100, 0), &traffic);
        assert!(watch.looks()[0].held);
    }

    #[test]
    fn a_sample_that_is_too_small_is_collected_further() {
        let (traffic, mut watch) =
            (Traffic::default(), watching(vec![guard("e", "error_rate", 1)]));
        for _ in 0..3 {
            assert_eq!(watch.look(traffic.second(6, 1), &traffic), None);
            assert_eq!(watch.looks()[0].outcome, LookOutcome::Waiting);
        }
        let breach = watch.look(traffic.second(6, 1), &traffic).unwrap();
        assert!(breach.why.contains("(n=24)"), "{}", breach.why);
    }

    #[test]
    fn health_is_judged_too_and_not_knowing_is_not_holding() {
        let guards = || vec![guard("h", "healthy", 1)];
        let (mut traffic, mut watch) = (Traffic::default(), watching(guards()));
        assert_eq!(watch.look(SECOND, &traffic), None);
        assert_eq!(watch.looks()[0].outcome, LookOutcome::Waiting);
        let with = |status| Some(Health { status, ..Health::default() });
        traffic.health = with(Status::Healthy);
        assert_eq!(watch.look(2 * SECOND, &traffic), None);
        assert!(watch.looks()[0].held);
        traffic.health = with(Status::Unhealthy);
        assert!(watch.look(3 * SECOND, &traffic).is_some());
    }

    #[test]
    fn silence_breaches_when_patience_ends() {
        let impatient = ArmedGuard { patience_ms: Some(3000), ..guard("e", "error_rate", 1) };
        let (traffic, mut watch) = (Traffic::default(), watching(vec![impatient]));
        let breaches = (1..=5).map(|second| watch.look(second * SECOND, &traffic).is_some());
        assert_eq!(breaches.collect::<Vec<_>>(), [false, false, false, true, true]);
    }
}
