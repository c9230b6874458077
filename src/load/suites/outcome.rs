//! What came of a suite.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::error::count;
use crate::ids::SuiteId;
use crate::judge::{Metric, Unit, Verdict};
use crate::load::Outcome;
use crate::plan::model::SuiteKind;
use crate::units::duration;

/// What came of a suite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteOutcome {
    pub id: SuiteId,
    pub kind: SuiteKind,
    pub cases: Vec<CaseOutcome>,
    pub load: Option<LoadOutcome>,
}

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseOutcome {
    pub name: String,
    /// Method and URL, as the plan has them.
    pub request: String,
    #[serde(rename = "took_ms", serialize_with = "as_ms")]
    pub took: Duration,
    /// What was not as expected; none when it passed.
    pub faults: Vec<String>,
}

/// What came of the load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadOutcome {
    /// Absent when it could not be applied at all.
    pub outcome: Option<Outcome>,
    /// What was wrong besides the thresholds.
    pub faults: Vec<String>,
    /// Each threshold with its verdict.
    pub judged: Vec<(Metric, Verdict)>,
}

impl SuiteOutcome {
    /// Whether every case passed, and the load with all its thresholds.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(CaseOutcome::passed)
            && self.load.as_ref().is_none_or(LoadOutcome::passed)
    }

    /// One line: how many cases passed, what the load showed, and the first thing that went wrong.
    pub fn summary(&self) -> String {
        let passed = self.cases.iter().filter(|case| case.passed()).count();
        let mut text =
            format!("{}: {passed} of {} passed", self.id, count(self.cases.len(), "case"));
        if let Some(load) = &self.load {
            text.push_str("; load ");
            text.push_str(&load.summary());
        }
        let failed = self.cases.iter().find_map(|case| {
            case.faults.first().map(|fault| format!("; `{}`: {fault}", case.name))
        });
        text.push_str(&failed.unwrap_or_default());
        text
    }
}

impl CaseOutcome {
    pub fn passed(&self) -> bool {
        self.faults.is_empty()
    }
}

impl LoadOutcome {
    /// Whether it was applied in full and kept every threshold. A threshold that cannot be judged
    /// is not kept.
    pub fn passed(&self) -> bool {
        self.faults.is_empty() && self.judged.iter().all(|(_, verdict)| verdict.passed())
    }

    /// What was sent and how it was answered, or the first thing that went wrong.
    pub fn summary(&self) -> String {
        let bad = self.judged.iter().filter(|(_, v)| !v.passed()).map(|(_, v)| v.why());
        if let Some(fault) = self.faults.iter().map(String::as_str).chain(bad).next() {
            return format!("failed: {fault}");
        }
        let Some(outcome) = &self.outcome else { return "not applied".to_owned() };
        let p95 = outcome.latency.map_or_else(
            || "no latency".to_owned(),
            |latency| format!("p95 {}", Unit::Milliseconds.format(latency.p95_ms)),
        );
        let (sent, lasted) = (outcome.sent, duration::format(outcome.lasted));
        format!("passed: {sent} requests in {lasted}, {} wrong, {p95}", outcome.errors())
    }
}

fn as_ms<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(faults: &[&str], load: Option<LoadOutcome>) -> SuiteOutcome {
        let case = |name: &str, faults: &[&str]| CaseOutcome {
            name: name.to_owned(),
            request: "GET /".to_owned(),
            took: Duration::from_millis(3),
            faults: faults.iter().map(|fault| (*fault).to_owned()).collect(),
        };
        let cases = vec![case("home", &[]), case("push", faults)];
        SuiteOutcome { id: "smoke".parse().unwrap(), kind: SuiteKind::Functional, cases, load }
    }

    #[test]
    fn one_line_says_how_it_went() {
        let good = suite(&[], None);
        assert!(good.passed());
        assert_eq!(good.summary(), "smoke: 2 of 2 cases passed");
        let bad = suite(&["expected status 200, got 500"], None);
        assert!(!bad.passed());
        assert_eq!(
            bad.summary(),
            "smoke: 1 of 2 cases passed; `push`: expected status 200, got 500"
        );
    }

    #[test]
    fn a_threshold_that_cannot_be_judged_is_not_kept() {
        let load = |verdict| LoadOutcome {
            outcome: None,
            faults: vec![],
            judged: vec![(Metric::Cpu, verdict)],
        };
        let no_data = || "cpu: no data, limit at most 95%".to_owned();
        assert!(!suite(&[], Some(load(Verdict::Inconclusive(no_data())))).passed());
        assert!(suite(&[], Some(load(Verdict::Pass(no_data())))).passed());
        assert_eq!(
            suite(&[], Some(load(Verdict::Inconclusive(no_data())))).summary(),
            "smoke: 2 of 2 cases passed; load failed: cpu: no data, limit at most 95%"
        );
    }
}
