//! A bound on a metric: at most, or at least.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::metric::{Metric, Unit};

/// A bound, in the metric's own unit; the bound itself is still within.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    /// Whether `value` keeps the bound. NaN never does.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    /// The number itself.
    pub fn bound(self) -> f64 {
        match self {
            Self::AtMost(bound) | Self::AtLeast(bound) => bound,
        }
    }

    /// The bound as text, such as `at most 5%`.
    pub fn describe(self, metric: Metric) -> impl fmt::Display {
        self.describe_in(metric.unit())
    }

    /// The bound as text, in this unit.
    pub fn describe_in(self, unit: Unit) -> String {
        let bound = unit.format(self.bound());
        match self {
            Self::AtMost(_) => format!("at most {bound}"),
            Self::AtLeast(_) => format!("at least {bound}"),
        }
    }
}
