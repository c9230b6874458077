//! What came of a suite.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::exchange::{Got, Sent};
use super::used::Used;
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
    pub faults: Vec<Fault>,
    /// Absent when nothing was sent.
    pub sent: Option<Sent>,
    /// Absent when nothing came back.
    pub got: Option<Got>,
}

/// One thing about a case that was not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Fault {
    /// The request could not be made.
    NotSent { not_sent: String },
    /// The answer is another one: such as `"ok"` at `/message`, and what stands there.
    Differs { expected: String, got: String },
}

impl Fault {
    pub(super) fn differs(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Differs { expected: expected.into(), got: got.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent { not_sent } => write!(f, "not sent: {not_sent}"),
            Self::Differs { expected, got } => write!(f, "expected {expected}, got {got}"),
        }
    }
}

/// Requests of a load that went wrong in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    pub case: String,
    /// Method and URL, as the plan has them.
    pub request: String,
    pub expected: String,
    pub got: String,
    pub times: u64,
}

/// What came of the load.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LoadOutcome {
    /// Absent when it could not be applied at all.
    pub outcome: Option<Outcome>,
    /// What the machine used meanwhile.
    pub used: Used,
    /// What was wrong besides the thresholds.
    pub faults: Vec<String>,
    /// Each threshold with its verdict.
    pub judged: Vec<(Metric, Verdict)>,
    /// What went wrong, the most frequent first.
    pub wrong: Vec<Wrong>,
}

/// How many ways to go wrong are shown.
const SHOWN: usize = 5;

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

    /// What a person needs to see of a case that failed, line by line: the request as it was sent,
    /// and what was expected and got instead. Nothing of a case that passed.
    pub fn told(&self) -> Vec<String> {
        if self.passed() {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let mut tell = |label: &str, text: &str| lines.push(format!("{label:<10}{text}"));
        match &self.sent {
            None => tell("request", &self.request),
            Some(sent) => {
                tell("sent", &format!("{} {}", sent.method, sent.url));
                for (name, value) in &sent.headers {
                    tell("", &format!("{name}: {value}"));
                }
                if !sent.body.is_empty() {
                    tell("", &sent.body);
                }
            }
        }
        for fault in &self.faults {
            match fault {
                Fault::NotSent { not_sent } => tell("not sent", not_sent),
                Fault::Differs { expected, got } => {
                    tell("expected", expected);
                    tell("got", got);
                }
            }
        }
        // Where only a part of the answer is compared, the rest of it says why.
        let shown = |got: &Got| self.faults.iter().any(|f| f.to_string().contains(&got.body));
        if let Some(got) = self.got.as_ref().filter(|got| !shown(got)) {
            tell("answer", &format!("{} {}", got.status, got.body));
        }
        lines
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
        format!("passed: {}", self.sent())
    }

    /// What a person needs to see of a load that failed: what of it went wrong, line by line, as
    /// for a case.
    pub fn told(&self) -> Vec<String> {
        if self.passed() {
            return Vec::new();
        }
        let told = |wrong: &Wrong| {
            let times = count(usize::try_from(wrong.times).unwrap_or(usize::MAX), "time");
            [
                format!("request   {} (`{}`)", wrong.request, wrong.case),
                format!("expected  {}", wrong.expected),
                format!("got       {}, {times}", wrong.got),
            ]
        };
        self.wrong.iter().take(SHOWN).flat_map(told).collect()
    }

    /// What was sent and how it was answered.
    pub fn sent(&self) -> String {
        let Some(outcome) = &self.outcome else { return "not applied".to_owned() };
        let p95 = outcome.latency.map_or_else(
            || "no latency".to_owned(),
            |latency| format!("p95 {}", Unit::Milliseconds.format(latency.p95_ms)),
        );
        let (sent, lasted) = (outcome.sent, duration::format(outcome.lasted));
        format!("{sent} requests in {lasted}, {} wrong, {p95}", outcome.errors())
    }
}

fn as_ms<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(faults: &[(&str, &str)], load: Option<LoadOutcome>) -> SuiteOutcome {
        let case = |name: &str, faults: &[(&str, &str)]| CaseOutcome {
            name: name.to_owned(),
            request: "GET /".to_owned(),
            took: Duration::from_millis(3),
            faults: faults.iter().map(|(expected, got)| Fault::differs(*expected, *got)).collect(),
            sent: None,
            got: None,
        };
        let cases = vec![case("home", &[]), case("push", faults)];
        SuiteOutcome { id: "smoke".parse().unwrap(), kind: SuiteKind::Functional, cases, load }
    }

    #[test]
    fn one_line_says_how_it_went() {
        let good = suite(&[], None);
        assert!(good.passed());
        assert_eq!(good.summary(), "smoke: 2 of 2 cases passed");
        let bad = suite(&[("status 200", "500")], None);
        assert!(!bad.passed());
        assert_eq!(
            bad.summary(),
            "smoke: 1 of 2 cases passed; `push`: expected status 200, got 500"
        );
    }

    #[test]
    fn a_failing_case_tells_request_expected_and_got() {
        let mut case = suite(&[("`1` at `/n`", "`2`")], None).cases.remove(1);
        case.sent = Some(Sent {
            method: "POST".into(),
            url: "http://127.0.0.1:1/push".into(),
            headers: vec![("x-hub-signature-256".into(), "[secret]".into())],
            body: "{}".into(),
        });
        case.got = Some(Got { status: 200, body: r#"{"n":2}"#.into() });
        assert_eq!(
            case.told(),
            [
                "sent      POST http://127.0.0.1:1/push",
                "          x-hub-signature-256: [secret]",
                "          {}",
                "expected  `1` at `/n`",
                "got       `2`",
                r#"answer    200 {"n":2}"#,
            ]
        );
        case.faults.clear();
        assert!(case.told().is_empty());
    }

    #[test]
    fn a_threshold_that_cannot_be_judged_is_not_kept() {
        let load = |verdict| LoadOutcome {
            judged: vec![(Metric::Cpu, verdict)],
            ..LoadOutcome::default()
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
