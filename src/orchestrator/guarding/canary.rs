//! The canary of an armed phase, an upstream or a new version of an extension, compared with its control for as long as it is in force.
//!
//! One [`Trial`] for each share that the canary is given: it begins when the share changes, goes on
//! over every later revision that leaves the canary as it is, and is looked at by nobody else, so
//! that what it promises about false alarms holds whoever watches, and when nobody does. Windows
//! are disjoint and meet, so that no request is counted twice or missed.

use std::sync::Arc;
use std::time::Duration;

use super::watch::{Mark, Samples};
use crate::control::armed::{ArmedCanary, CanaryLook};
use crate::control::observe::CanaryView;
use crate::judge::Verdict;
use crate::judge::armed::{read_canary, write_look};
use crate::judge::canary::Trial;
use crate::units::Percent;

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(500);

/// The canaries of a phase, and the one on trial.
#[derive(Debug)]
pub(super) struct Watched {
    armed: Arc<[ArmedCanary]>,
    next: Duration,
    /// The boundary of the metrics at which the revision in force came into force.
    mark_ms: u64,
    on: Option<OnTrial>,
}

#[derive(Debug)]
struct OnTrial {
    upstream: String,
    at: Percent,
    /// When the canary changed to what it is.
    since_ms: u64,
    /// Up to where the orchestrator's windows are in the trial.
    from_ms: u64,
    trial: Trial,
    /// The last look since the revision in force came into force.
    last: Option<Verdict>,
}

impl Watched {
    /// Begins at `mark`.
    pub(super) fn new(armed: &Arc<[ArmedCanary]>, mark: Mark) -> Self {
        Self { armed: Arc::clone(armed), next: mark.now + EVERY, mark_ms: mark.ms, on: None }
    }

    pub(super) fn is_of(&self, armed: &Arc<[ArmedCanary]>) -> bool {
        self.armed == *armed
    }

    /// Another revision is in force.
    pub(super) fn begin(&mut self, mark: Mark) {
        self.mark_ms = mark.ms;
        self.next = mark.now + EVERY;
        if let Some(on) = &mut self.on {
            on.last = None;
        }
    }

    /// When the next look is due; never where the phase has no canary.
    pub(super) fn next(&self) -> Option<Duration> {
        (!self.armed.is_empty()).then_some(self.next)
    }

    /// Looks at the canary, if one is in force and the time has come; says why it is worse.
    pub(super) fn look(&mut self, now: Duration, samples: &impl Samples) -> Option<String> {
        if self.next().is_none_or(|next| now < next) {
            return None;
        }
        self.next = now + EVERY;
        // Where nothing is on trial, a window that has not begun yet: it costs nothing.
        let from = |on: &Option<OnTrial>| on.as_ref().map_or(u64::MAX, |on| on.from_ms);
        let mut metrics = samples.metrics(from(&self.on));
        let Some(there) = metrics.canary.clone() else {
            self.on = None;
            return None;
        };
        if !self.on.as_ref().is_some_and(|on| on.is(&there)) {
            self.on = self.begun(&there);
            metrics = samples.metrics(from(&self.on));
        }
        let on = self.on.as_mut()?;
        on.from_ms = metrics.to_ms;
        on.trial.control.add_window(&metrics, &there.control);
        on.trial.canary.add_window(&metrics, &on.upstream);
        let verdict = on.last.insert(on.trial.look());
        matches!(verdict, Verdict::Fail(_)).then(|| verdict.why().to_owned())
    }

    /// The last look at the canary in force.
    pub(super) fn seen(&self) -> Option<CanaryLook> {
        let on = self.on.as_ref()?;
        Some(write_look(&on.upstream, on.at, on.last.as_ref()?))
    }

    /// A trial of what is in force, where the phase has it compared.
    fn begun(&self, there: &CanaryView) -> Option<OnTrial> {
        let CanaryView { upstream, weight, since_ms, .. } = there;
        let compared =
            |armed: &&ArmedCanary| armed.upstream == *upstream && armed.at.contains(weight);
        // It was checked when it was armed; one that a later ctx no longer reads is not judged.
        let (compare, alpha) = read_canary(self.armed.iter().find(compared)?)
            .inspect_err(|error| tracing::error!(%error, "an armed canary cannot be judged"))
            .ok()?;
        Some(OnTrial {
            upstream: upstream.clone(),
            at: *weight,
            since_ms: *since_ms,
            from_ms: self.mark_ms.max(*since_ms),
            trial: Trial::new(compare, alpha),
            last: None,
        })
    }
}

impl OnTrial {
    /// Whether it is this canary, which self-healing may have withdrawn for a while.
    fn is(&self, there: &CanaryView) -> bool {
        self.upstream == there.upstream && self.since_ms == there.since_ms
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use tokio::sync::oneshot::Receiver;

    use super::super::watch::Answer;
    use super::*;
    use crate::control::config::LEGACY;
    use crate::control::observe::{Bucket, Health, Metrics, Window};
    use crate::judge::armed::write_canary;
    use crate::judge::canary::{ALPHA, Compare};
    use crate::judge::measure::Query;

    /// An orchestrator whose arms answer 250 requests in each half second.
    struct Served {
        canary: RefCell<Option<CanaryView>>,
        now_ms: Cell<u64>,
        failing: Cell<u64>,
    }

    impl Served {
        fn with(at: u32, since_ms: u64) -> Self {
            let canary = RefCell::new(None);
            let served = Self { canary, now_ms: Cell::new(since_ms), failing: Cell::new(0) };
            served.give(at);
            served
        }

        fn give(&self, at: u32) {
            let (upstream, weight) = ("next".to_owned(), Percent::whole(at));
            let since_ms = self.now_ms.get();
            let control = LEGACY.to_owned();
            *self.canary.borrow_mut() = Some(CanaryView { upstream, control, weight, since_ms });
        }

        fn mark(&self) -> Mark {
            Mark { now: Duration::from_millis(self.now_ms.get()), ms: self.now_ms.get() }
        }

        /// Half a second later.
        fn look(&self, watched: &mut Watched) -> Option<String> {
            self.now_ms.set(self.now_ms.get() + 500);
            watched.look(Duration::from_millis(self.now_ms.get()), self)
        }
    }

    impl Samples for Served {
        fn metrics(&self, from_ms: u64) -> Metrics {
            let (to_ms, failing) = (self.now_ms.get(), self.failing.get());
            let n = to_ms.saturating_sub(from_ms) / 2;
            let arm = |errors| Window { requests: n, errors, latency: None };
            let mut metrics = Metrics { from_ms, to_ms, ..Metrics::default() };
            metrics.canary = self.canary.borrow().clone();
            metrics.arms =
                [(LEGACY.to_owned(), arm(0)), ("next".to_owned(), arm(n * failing / 100))].into();
            let took = vec![Bucket { ms: 20.0, n }];
            metrics.latencies =
                BTreeMap::from([(LEGACY.to_owned(), took.clone()), ("next".to_owned(), took)]);
            metrics
        }

        fn health(&self) -> Option<Health> {
            None
        }

        fn ask(&self, _: &Query) -> Receiver<Answer> {
            unreachable!("a canary asks no query")
        }
    }

    fn armed() -> Arc<[ArmedCanary]> {
        let at = vec![Percent::whole(5), Percent::whole(25)];
        vec![write_canary("next", at, (Compare::default(), ALPHA))].into()
    }

    #[test]
    fn each_share_is_tried_on_what_came_since_and_a_later_revision_does_not_end_it() {
        let served = Served::with(5, 1000);
        let mut watched = Watched::new(&armed(), served.mark());
        assert_eq!(watched.look(Duration::from_millis(1499), &served), None, "not due yet");
        assert_eq!((served.look(&mut watched), watched.seen().is_some()), (None, true));
        let n = |watched: &Watched| watched.on.as_ref().unwrap().trial.requests();
        assert_eq!(n(&watched), 250);
        // Another change beside the canary: the look before it says nothing about what is in force.
        watched.begin(served.mark());
        assert_eq!(watched.seen(), None);
        assert_eq!((served.look(&mut watched), n(&watched)), (None, 500));
        served.give(25);
        watched.begin(served.mark());
        assert_eq!((served.look(&mut watched), n(&watched)), (None, 250));
        let seen = watched.seen().unwrap();
        assert_eq!((seen.at, seen.why.starts_with("promote: ")), (Percent::whole(25), true));
    }

    #[test]
    fn a_worse_one_is_found_by_itself_and_a_withdrawn_one_is_still_the_same() {
        let served = Served::with(5, 1000);
        let mut watched = Watched::new(&armed(), served.mark());
        assert_eq!(served.look(&mut watched), None);
        served.canary.borrow_mut().as_mut().unwrap().weight = Percent::ZERO;
        assert_eq!(served.look(&mut watched), None);
        served.failing.set(30);
        let why = (0..3).find_map(|_| served.look(&mut watched)).expect("it is found");
        assert!(why.starts_with("abort: error_rate canary "), "{why}");
    }

    #[test]
    fn what_the_phase_does_not_compare_is_nobody_s_to_judge() {
        for at in [10, 100] {
            let served = Served::with(at, 1000);
            served.failing.set(100);
            let mut watched = Watched::new(&armed(), served.mark());
            assert_eq!((served.look(&mut watched), watched.seen()), (None, None), "{at}%");
        }
        let served = Served::with(5, 1000);
        let watched = Watched::new(&Vec::new().into(), served.mark());
        assert_eq!(watched.next(), None);
    }
}
