//! Scaling of event workers and of extensions' replicas by measured load.
//!
//! Law: between `min` and `max`, as many as the busier of two signals asks for: how busy those are
//! that there are, against a target, and how long somebody waited for one. Up at once, as far as
//! the load asks; down only when no moment within the stabilization window has asked for more, and
//! then a quarter at a time. Within `TOLERANCE` of the target nothing is changed, so that a load
//! that is constant but for its noise ends at one number and stays.
//!
//! The rules are those of the Kubernetes Horizontal Pod Autoscaler: desired = ceil(current * value
//! / target), the largest over all metrics, a tolerance, and the highest recommendation within the
//! stabilization window before anything is taken away (kubernetes.io, "Horizontal Pod Autoscaling",
//! "Algorithm details" and "Stabilization window"). [`decide`] is a function of values; a
//! [`Scaler`] measures and acts, each second.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::flags::{Key, Share};
use super::gateway::gate::EVENTS_PER_WORKER;
use super::plane::Plane;
use crate::control::config::{Config, Replicas, Scaling, flag};
use crate::control::observe::ExtensionView;

/// How far from the target, as a part of it, nothing is changed. Twice that of Kubernetes, because
/// events come in bursts: a load that varies by less than a twelfth either way, in whatever order,
/// never has a worker leave and come back.
const TOLERANCE: f64 = 0.2;
/// The most that is added at once because of waiting alone, whose length says little about how
/// many are missing: as many again as there are.
const MOST_BY_DELAY: f64 = 2.0;

/// What is measured of workers, or of an extension's replicas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signals {
    /// How busy those are that there should be, 1 = all of them; more when there is a queue.
    pub utilisation: f64,
    /// The longest wait for one of them.
    pub delay: Duration,
}

/// What was asked for before.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// How many, within the stabilization window; only those that may still be the highest.
    wanted: VecDeque<(Duration, u32)>,
    /// Whether there are more since the last decision: who has waited until then waited for them.
    grew: bool,
}

impl Trail {
    /// Notes a recommendation, and returns the highest within the window.
    fn highest(&mut self, now: Duration, wanted: u32, window: Duration) -> u32 {
        // One that is lower than a later one will never be the highest again.
        while self.wanted.back().is_some_and(|(_, earlier)| *earlier <= wanted) {
            self.wanted.pop_back();
        }
        self.wanted.push_back((now, wanted));
        while self.wanted.front().is_some_and(|(at, _)| *at + window <= now) {
            self.wanted.pop_front();
        }
        self.wanted.front().map_or(wanted, |(_, highest)| *highest)
    }
}

/// How many there should be from `now` on, where `current` should be now.
pub fn decide(
    now: Duration,
    signals: Signals,
    current: u32,
    scaling: &Scaling,
    trail: &mut Trail,
) -> u32 {
    let Scaling { min, max, target, queue_delay, stabilization } = *scaling;
    let current = current.max(1);
    let ratio = signals.utilisation / target.ratio().max(0.01);
    let by_load = if (ratio - 1.0).abs() <= TOLERANCE {
        current
    } else {
        ceiling(f64::from(current) * ratio)
    };
    let delay = if trail.grew { Duration::ZERO } else { signals.delay };
    let late = delay.as_secs_f64() / queue_delay.as_secs_f64().max(0.001);
    let by_delay =
        if late > 1.0 { ceiling(f64::from(current) * late.min(MOST_BY_DELAY)) } else { min };
    let wanted = by_load.max(by_delay).clamp(min, max.max(min));
    let highest = trail.highest(now, wanted, stabilization);
    trail.grew = wanted > current;
    if wanted >= current {
        return wanted;
    }
    let step = (current / 4).max(1);
    highest.max(current - step).clamp(min, max.max(min))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits; a cast of NaN gives 0"
)]
fn ceiling(value: f64) -> u32 {
    // What rounding makes of a whole number is that number.
    (value - 1e-9).ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// The key by which the flag includes the event workers; an extension is its id.
const WORKERS: &[u8] = b"workers";

/// Whether scaling may still add event workers.
pub fn can_grow(config: &Config, plane: &Plane) -> bool {
    scales_workers(config) && plane.workers.load(Ordering::Relaxed) < config.scaling.max
}

/// Whether the event workers are scaled.
pub fn scales_workers(config: &Config) -> bool {
    share(config).includes(Key::Sticky(WORKERS))
}

/// What is scaled: the flag's percentage is the share of those that could be.
fn share(config: &Config) -> Share {
    Share::of_flag(flag::AUTO_SCALING, config.flags.get(flag::AUTO_SCALING))
}

/// Measures, decides, and sets how many there are.
#[derive(Debug, Default)]
pub struct Scaler {
    /// Events in flight at each sample since the last decision.
    samples: u64,
    in_flight: u64,
    workers: Trail,
    /// By the extension's id.
    replicas: BTreeMap<String, Trail>,
}

impl Scaler {
    /// Looks at the load; the decision goes by the mean of many looks.
    pub fn sample(&mut self, plane: &Plane) {
        self.samples += 1;
        self.in_flight += u64::from(plane.load.in_flight());
    }

    /// Decides, where scaling is on. `waited` is the longest wait for a worker since the last
    /// decision.
    pub fn run(&mut self, config: &Config, plane: &Plane, waited: Duration) {
        let share = share(config);
        if share.is_nobody() {
            *self = Self::default();
            return;
        }
        let now = plane.clock.boot();
        if share.includes(Key::Sticky(WORKERS)) {
            self.scale_workers(config, plane, now, waited);
        } else {
            (self.samples, self.in_flight) = (0, 0);
            self.workers = Trail::default();
        }
        let views = plane.extensions.views();
        let included = |id: &str| share.includes(Key::Sticky(id.as_bytes()));
        self.replicas.retain(|id, _| included(id) && views.iter().any(|view| view.id == *id));
        for view in views.iter().filter(|view| included(&view.id)) {
            self.scale(view, config, plane, now);
        }
    }

    fn scale_workers(&mut self, config: &Config, plane: &Plane, now: Duration, waited: Duration) {
        let current = plane.workers.load(Ordering::Relaxed).max(1);
        let signals = Signals { utilisation: self.utilisation(current), delay: waited };
        let next = decide(now, signals, current, &config.scaling, &mut self.workers);
        if next != current {
            let Signals { utilisation, delay } = signals;
            tracing::info!(from = current, to = next, utilisation, ?delay, "event workers scaled");
            plane.workers.store(next, Ordering::Relaxed);
        }
    }

    fn scale(&mut self, view: &ExtensionView, config: &Config, plane: &Plane, now: Duration) {
        let Some(signals) = replicas(view) else { return };
        let scaling = within_its_limits(config, &view.id);
        let trail = self.replicas.entry(view.id.clone()).or_default();
        let next = decide(now, signals, view.wanted, &scaling, trail);
        if next != view.wanted {
            plane.extensions.scale(&view.id, next);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of a second are far below 2^52")]
    fn utilisation(&mut self, workers: u32) -> f64 {
        let mean = self.in_flight as f64 / self.samples.max(1) as f64;
        (self.samples, self.in_flight) = (0, 0);
        mean / (f64::from(workers) * f64::from(EVENTS_PER_WORKER))
    }
}

/// How an extension is scaled: as workers are, between its own limits. One that is not configured
/// any more keeps what it has until it is gone.
fn within_its_limits(config: &Config, id: &str) -> Scaling {
    let extension = config.running().find(|(name, _)| name == id);
    let process = extension.and_then(|(_, extension)| extension.process());
    let Replicas { min, max } = process.map_or_else(Replicas::default, |it| it.replicas);
    Scaling { min, max, ..config.scaling.clone() }
}

/// How busy an extension's replicas are, as if all that there should be were there; `None` when
/// nothing can be said. Who waits while some are still starting asks for no more of them.
fn replicas(view: &ExtensionView) -> Option<Signals> {
    let ExtensionView { replicas, wanted, busy, capacity, waiting, waited_ms, .. } = *view;
    if replicas == 0 || capacity == 0 || wanted == 0 {
        return None;
    }
    let each = f64::from(capacity) / f64::from(replicas);
    let utilisation = f64::from(busy + waiting) / (each * f64::from(wanted));
    let starting = replicas < wanted;
    let delay = if starting { Duration::ZERO } else { Duration::from_millis(waited_ms) };
    Some(Signals { utilisation, delay })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;
    use crate::control::observe::ExtensionState;
    use crate::units::Percent;

    fn scaling() -> Scaling {
        Scaling {
            min: 2,
            max: 16,
            target: Percent::whole(70),
            queue_delay: Duration::from_millis(50),
            stabilization: Duration::from_secs(30),
        }
    }

    /// Workers that serve `load(second)`, in units of busy workers; nobody waits unless the load
    /// is more than all of them carry.
    fn trace(seconds: u64, load: impl Fn(u64) -> f64) -> Vec<(u64, f64, u32)> {
        let (mut workers, mut trail) = (2, Trail::default());
        let step = |second| {
            let load = load(second);
            let utilisation = load / f64::from(workers);
            let delay = Duration::from_millis(if utilisation > 1.0 { 500 } else { 0 });
            let now = Duration::from_secs(1000 + second);
            let signals = Signals { utilisation, delay };
            workers = decide(now, signals, workers, &scaling(), &mut trail);
            (second, load, workers)
        };
        (0..seconds).map(step).collect()
    }

    #[test]
    fn load_decides_and_the_bounds_hold() {
        for (utilisation, current, expect) in [
            (0.7, 4, 4),   // on target
            (0.83, 4, 4),  // within the tolerance
            (0.57, 4, 4),  // likewise
            (0.9, 4, 6),   // 4 * 0.9 / 0.7 = 5.1
            (9.0, 2, 16),  // far beyond: as much as there is
            (0.3, 4, 3),   // down by a quarter
            (0.0, 12, 9),  // likewise
            (0.5, 3, 3),   // two would be at 75 %
            (0.0, 2, 2),   // never below the least
            (0.0, 30, 16), // never above the most
            (f64::INFINITY, 4, 16),
        ] {
            let signals = Signals { utilisation, delay: Duration::ZERO };
            let next = decide(Duration::ZERO, signals, current, &scaling(), &mut Trail::default());
            assert_eq!(next, expect, "{utilisation} {current}");
        }
    }

    #[test]
    fn who_waits_is_heard_though_few_are_busy() {
        for (ms, expect) in [(0, 4), (50, 4), (75, 6), (2000, 8)] {
            let signals = Signals { utilisation: 0.7, delay: Duration::from_millis(ms) };
            let next = decide(Duration::ZERO, signals, 4, &scaling(), &mut Trail::default());
            assert_eq!(next, expect, "{ms} ms");
        }
    }

    #[test]
    fn a_wait_that_ended_because_there_are_more_asks_for_no_more() {
        let (mut trail, mut workers, mut seen) = (Trail::default(), 4, Vec::new());
        for second in 0..4 {
            let signals = Signals { utilisation: 0.5, delay: Duration::from_secs(1) };
            workers = decide(Duration::from_secs(second), signals, workers, &scaling(), &mut trail);
            seen.push(workers);
        }
        assert_eq!(seen, [8, 8, 16, 16], "each has a second to show whether it was enough");
    }

    #[test]
    fn a_step_in_load_is_followed_up_at_once_and_down_after_the_window() {
        let load = |second| if (5..20).contains(&second) { 7.0 } else { 1.0 };
        let mut text = String::from("second load workers\n");
        let mut before = 0;
        for (second, load, workers) in trace(65, load) {
            if workers != before || second == 20 {
                writeln!(
                    text,
                    "{second:6} {load:4.1} {workers:7} {}",
                    "#".repeat(workers as usize)
                )
                .unwrap();
            }
            before = workers;
        }
        insta::assert_snapshot!(text, @"
        second load workers
             0  1.0       2 ##
             5  7.0      10 ##########
            20  1.0      10 ##########
            49  1.0       8 ########
            50  1.0       6 ######
            51  1.0       5 #####
            52  1.0       4 ####
            53  1.0       3 ###
            54  1.0       2 ##
        ");
    }

    #[test]
    fn replicas_that_start_are_waited_for() {
        let view = |replicas, busy, waiting| ExtensionView {
            id: "x".to_owned(),
            version: "1.0.0".to_owned(),
            state: ExtensionState::Running,
            detail: String::new(),
            replicas,
            wanted: 4,
            busy,
            capacity: replicas * 8,
            waiting,
            waited_ms: 900,
            restarts: 0,
        };
        let all = replicas(&view(4, 24, 0)).unwrap();
        assert_eq!(all, Signals { utilisation: 0.75, delay: Duration::from_millis(900) });
        let half = replicas(&view(2, 16, 8)).unwrap();
        assert_eq!(half, Signals { utilisation: 0.75, delay: Duration::ZERO });
        assert_eq!(replicas(&view(0, 0, 9)), None);
    }

    /// Checks that nobody leaves and comes back, and that there are enough.
    fn settles(level: f64, noise: impl Fn(usize) -> f64) -> Result<(), TestCaseError> {
        let load = |second| level * (1.0 + noise(usize::try_from(second).unwrap()));
        let workers: Vec<u32> = trace(300, load).iter().map(|(_, _, workers)| *workers).collect();
        let mut left = false;
        for pair in workers.windows(2) {
            left |= pair[1] < pair[0];
            prop_assert!(!left || pair[1] <= pair[0], "at {level}: {workers:?}");
        }
        prop_assert!(f64::from(workers[299]) >= level, "at {level}: {workers:?}");
        Ok(())
    }

    proptest! {
        /// Under a load that is constant but for its noise, in whatever order that comes, no worker
        /// leaves and comes back, and there are enough.
        #[test]
        fn a_constant_load_with_noise_never_flaps(
            level in 0.1_f64..11.0,
            noise in prop::collection::vec(-0.08_f64..0.08, 300),
        ) {
            settles(level, |second| noise[second])?;
        }

        /// Nor under noise of a fifth either way, if it is noise and no pattern.
        #[test]
        fn nor_does_it_under_strong_noise(level in 0.1_f64..11.0, seed in any::<u32>()) {
            // `SplitMix64`, one number of which says where a second's load is.
            let noise = |second: usize| {
                let mut z = (u64::from(seed) << 32 | second as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap()) / f64::from(u32::MAX) * 0.4 - 0.2
            };
            settles(level, noise)?;
        }

        /// However the load jumps, what it asks for is there at once.
        #[test]
        fn a_step_up_is_never_late(from in 0.1_f64..5.0, to in 5.0_f64..11.0) {
            let trace = trace(60, |second| if second < 40 { from } else { to });
            prop_assert!(f64::from(trace[40].2) >= to, "{trace:?}");
        }
    }
}
