//! Three-valued verdicts.

use serde::{Deserialize, Serialize};

/// What a judgement says. The text names both numbers, the count they rest on, and the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "why", rename_all = "snake_case")]
pub enum Verdict {
    Pass(String),
    Fail(String),
    /// It cannot be known: no data, too few, not a number, the provider is down.
    Inconclusive(String),
}

impl Verdict {
    /// The sentence that explains it.
    pub fn why(&self) -> &str {
        match self {
            Self::Pass(why) | Self::Fail(why) | Self::Inconclusive(why) => why,
        }
    }

    pub fn passed(&self) -> bool {
        matches!(self, Self::Pass(_))
    }
}
