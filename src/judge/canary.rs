//! Canaries: two arms that served at the same time, compared.
//!
//! A concurrent control, not a before and after: time itself is one of the biggest sources of
//! change. Both numbers and both counts stand in the verdict.

use serde::{Deserialize, Serialize};

use super::{Unit, Verdict};
use crate::control::observe::Window;

/// How a canary is compared with the legacy upstream.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compare {
    /// How much higher than the control's the canary's error rate may be, as a ratio in 0..=1.
    pub max_error_increase: f64,
    /// How many times the control's p95 the canary's may be.
    pub max_p95_ratio: f64,
    /// Fewer requests per arm are inconclusive.
    pub min_samples: u64,
}

/// Compares a canary with its control, both measured over the same window.
///
/// Inconclusive while either arm has fewer requests than the plan wants, or no latency.
pub fn compare(wanted: &Compare, control: &Window, canary: &Window) -> Verdict {
    let counts = format!("(n={}) vs control", canary.requests);
    let few = canary.requests.min(control.requests) < wanted.min_samples;
    let (Some(ours), Some(theirs), Some(fast), Some(faster)) =
        (canary.error_rate(), control.error_rate(), canary.latency, control.latency)
    else {
        return Verdict::Inconclusive("canary: an arm got no traffic".to_owned());
    };
    let errors = format!(
        "error_rate canary {} {counts} {} (n={}), limit {} more",
        Unit::Ratio.format(ours),
        Unit::Ratio.format(theirs),
        control.requests,
        Unit::Ratio.format(wanted.max_error_increase),
    );
    let latency = format!(
        "latency_p95 canary {} vs control {}, limit {} times",
        Unit::Milliseconds.format(fast.p95_ms),
        Unit::Milliseconds.format(faster.p95_ms),
        wanted.max_p95_ratio,
    );
    if few {
        return Verdict::Inconclusive(format!(
            "{errors}: needs {} in each arm",
            wanted.min_samples
        ));
    }
    if ours - theirs > wanted.max_error_increase {
        return Verdict::Fail(errors);
    }
    if fast.p95_ms > faster.p95_ms * wanted.max_p95_ratio {
        return Verdict::Fail(latency);
    }
    Verdict::Pass(format!("{errors}; {latency}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::observe::Latency;

    const WANTED: Compare =
        Compare { max_error_increase: 0.01, max_p95_ratio: 1.5, min_samples: 100 };

    fn arm(requests: u64, errors: u64, p95_ms: f64) -> Window {
        let latency = Some(Latency { p50_ms: 1.0, p95_ms, p99_ms: p95_ms, max_ms: p95_ms });
        Window { requests, errors, latency }
    }

    #[test]
    fn a_worse_arm_fails_with_both_numbers() {
        let verdict = compare(&WANTED, &arm(1000, 10, 20.0), &arm(200, 13, 20.0));
        let why = "error_rate canary 6.5% (n=200) vs control 1% (n=1000), limit 1% more";
        assert_eq!(verdict, Verdict::Fail(why.to_owned()));
        let verdict = compare(&WANTED, &arm(1000, 10, 20.0), &arm(200, 2, 31.0));
        let why = "latency_p95 canary 31ms vs control 20ms, limit 1.5 times";
        assert_eq!(verdict, Verdict::Fail(why.to_owned()));
    }

    #[test]
    fn an_equal_arm_passes() {
        assert!(compare(&WANTED, &arm(1000, 10, 20.0), &arm(200, 2, 22.0)).passed());
    }

    #[test]
    fn too_little_traffic_decides_nothing() {
        let nothing = Window::default();
        for (control, canary) in
            [(arm(1000, 0, 20.0), arm(99, 99, 20.0)), (arm(1000, 0, 20.0), nothing)]
        {
            let verdict = compare(&WANTED, &control, &canary);
            assert!(matches!(verdict, Verdict::Inconclusive(_)), "{verdict:?}");
        }
    }
}
