//! Scaling of the event workers by measured load.
//!
//! Law: between `min` and `max`, towards the target, without flapping: up at once and as far as
//! the load asks, down one worker at a time, and not at all within `SLACK` of the target.

use std::sync::atomic::Ordering;

use super::gateway::gate::EVENTS_PER_WORKER;
use super::plane::Plane;
use crate::control::config::{Config, Scaling, flag};

/// How far from the target, as a part of it, nothing is changed.
const SLACK: f64 = 0.2;

/// The number of workers for a load; `utilisation` is that of the `current` ones, 1 = all busy.
pub fn decide(utilisation: f64, current: u32, scaling: &Scaling) -> u32 {
    let Scaling { min, max, target } = *scaling;
    let target = target.ratio().max(0.01);
    let wanted = if utilisation > target * (1.0 + SLACK) {
        ceiling(f64::from(current) * utilisation / target)
    } else if utilisation < target * (1.0 - SLACK) {
        // One fewer, unless the others would then have too much to do again.
        let fewer = current.saturating_sub(1);
        let after = utilisation * f64::from(current) / f64::from(fewer.max(1));
        if after > target { current } else { fewer }
    } else {
        current
    };
    wanted.clamp(min, max.max(min))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits; a cast of NaN gives 0"
)]
fn ceiling(value: f64) -> u32 {
    value.ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// Measures, decides, and sets the number of workers, where scaling is on.
pub fn run(config: &Config, plane: &Plane) {
    let on = config.flags.get(flag::AUTO_SCALING).is_some_and(|flag| flag.enabled);
    if !on {
        return;
    }
    let current = plane.workers.load(Ordering::Relaxed).max(1);
    let capacity = f64::from(current) * f64::from(EVENTS_PER_WORKER);
    let utilisation = f64::from(plane.load.in_flight()) / capacity;
    let next = decide(utilisation, current, &config.scaling);
    if next != current {
        tracing::info!(from = current, to = next, utilisation, "event workers scaled");
        plane.workers.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Percent;

    const SCALING: Scaling = Scaling { min: 2, max: 8, target: Percent::whole(70) };

    #[test]
    fn load_decides_and_the_bounds_hold() {
        for (utilisation, current, expect) in [
            (0.7, 4, 4), // on target
            (0.8, 4, 4), // within the slack
            (0.6, 4, 4), // likewise
            (0.9, 4, 6), // 4 * 0.9 / 0.7 = 5.1
            (3.0, 2, 8), // far beyond: as much as there is
            (0.3, 4, 3), // down by one
            (0.5, 3, 3), // two would be at 75 %
            (0.0, 2, 2), // never below the least
            (0.0, 9, 8), // never above the most
            (f64::NAN, 4, 4),
            (f64::INFINITY, 4, 8),
        ] {
            assert_eq!(decide(utilisation, current, &SCALING), expect, "{utilisation} {current}");
        }
    }

    #[test]
    fn a_steady_load_settles_and_stays() {
        // In units of workers: what `work` busy workers are to `n`.
        for work in [0.5, 1.0, 1.9, 2.8, 3.3, 4.9, 9.0] {
            let mut workers = 2;
            let mut seen = Vec::new();
            for _ in 0..20 {
                workers = decide(work / f64::from(workers), workers, &SCALING);
                seen.push(workers);
            }
            assert!(seen[10..].iter().all(|n| *n == seen[10]), "{work}: {seen:?}");
        }
    }
}
