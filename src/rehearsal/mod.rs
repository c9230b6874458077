//! Rehearsal: a whole plan on an embedded orchestrator, with real traffic and compressed time.
//!
//! - [`legacy`]: the small app that stands for the service as it was, with faults on demand.
//! - [`drill`]: a fault at every step, with real processes; [`staging`] is what those are told.
//! - [`traffic`]: signed webhooks against the orchestrator, and the proof that none was lost.
//!
//! Soaks shrink by one [`Tempo`] for the whole plan, so that their proportions stay; latencies,
//! rates and the time to detect a fault are real.

pub mod drill;
pub mod legacy;
pub mod stage;
pub mod staging;
pub mod traffic;

use std::time::Duration;

use crate::clock::Tempo;
use crate::plan::Plan;

/// How long all soaks of a rehearsal take together, unless told otherwise.
pub const BUDGET: Duration = Duration::from_secs(45);

/// The tempo at which the soaks of `plan` fit into `budget`; never slower than the plan itself.
pub fn tempo_for(plan: &Plan, budget: Duration) -> Tempo {
    tempo(plan.soak_total(), budget)
}

fn tempo(soak: Duration, budget: Duration) -> Tempo {
    let budget = budget.max(Duration::from_millis(1));
    let factor = soak.as_secs_f64() / budget.as_secs_f64();
    Tempo::new(factor.clamp(1.0, 1e9)).expect("the factor is clamped to the range of a tempo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soaks_are_compressed_into_the_budget_and_never_stretched() {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let check = |soak, budget, factor: f64| {
            let found = tempo(soak, budget).factor();
            assert!((found - factor).abs() < 1e-9, "{soak:?} in {budget:?}: {found}");
        };
        check(hours(40), BUDGET, 3200.0);
        check(Duration::from_secs(10), BUDGET, 1.0);
        check(Duration::ZERO, BUDGET, 1.0);
        check(Duration::ZERO, Duration::ZERO, 1.0);
        check(hours(1), Duration::ZERO, 3_600_000.0);
        let soak = hours(40);
        let real = tempo(soak, BUDGET).to_real(soak);
        assert!(real.abs_diff(BUDGET) < Duration::from_millis(1), "{real:?}");
    }
}
