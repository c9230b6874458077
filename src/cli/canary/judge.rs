//! `ctx canary judge`: the judge on recorded samples.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::super::Context;
use crate::error::{Code, Failure, Result};
use crate::judge::Verdict;
use crate::judge::arms::{self, Finding, Samples, Worse};
use crate::judge::stats::fisher::Failures;
use crate::judge::stats::rank;

/// The largest file of samples.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// A file of samples.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    schema: String,
    /// The probability of calling an equal canary worse, over all metrics together.
    #[serde(default = "one_percent")]
    alpha: f64,
    metrics: Vec<Metric>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Metric {
    Values {
        name: String,
        #[serde(default)]
        unit: String,
        #[serde(default = "a_tenth")]
        min_effect: f64,
        baseline: Vec<f64>,
        canary: Vec<f64>,
    },
    /// Likewise, of which the slowest in twenty are looked at.
    Tail {
        name: String,
        #[serde(default)]
        unit: String,
        #[serde(default = "a_half")]
        min_effect: f64,
        baseline: Vec<f64>,
        canary: Vec<f64>,
    },
    Outcomes {
        name: String,
        #[serde(default = "one_percent")]
        min_effect: f64,
        baseline: Vec<bool>,
        canary: Vec<bool>,
    },
}

fn one_percent() -> f64 {
    0.01
}

fn a_tenth() -> f64 {
    0.1
}

fn a_half() -> f64 {
    0.5
}

/// Runs the command.
///
/// # Errors
/// When the file cannot be read, or is not what it should be.
pub(super) fn run(file: &Path, context: &Context) -> Result<Code> {
    let recorded = read(file)?;
    let findings = judge(&recorded);
    let overall = overall(&findings);
    if context.ui.json {
        let metrics: Vec<_> = findings
            .iter()
            .map(|(name, finding)| {
                let mut value = serde_json::to_value(finding).expect("a finding is plain data");
                value["metric"] = (*name).into();
                value
            })
            .collect();
        context.ui.json(&json!({
            "schema": "ctx.canary_verdict/1",
            "verdict": overall.name,
            "alpha": recorded.alpha,
            "metrics": metrics,
        }));
    } else {
        for (_, finding) in &findings {
            context.ui.say(finding.verdict.why());
        }
        context.ui.say(overall.sentence);
    }
    Ok(overall.code)
}

fn read(file: &Path) -> Result<Recorded> {
    let failed = |what: &str| {
        Failure::new(Code::Usage, format!("{what} the samples in `{}`", file.display()))
    };
    let size = fs::metadata(file)
        .map_err(|error| {
            failed("failed to read")
                .because(&error)
                .hint("name a file of samples; its form is in `ctx canary judge --help`")
        })?
        .len();
    if size > MAX_FILE {
        let mib = MAX_FILE / 1024 / 1024;
        return Err(failed("failed to read").why(format!("they are larger than {mib} MiB")));
    }
    let text = fs::read(file).map_err(|error| failed("failed to read").because(&error))?;
    let hint = "its form is in `ctx canary judge --help`";
    let recorded: Recorded = serde_json::from_slice(&text)
        .map_err(|error| failed("failed to understand").because(&error).hint(hint))?;
    let fault = fault(&recorded);
    fault.map_or(Ok(recorded), |why| Err(failed("failed to understand").why(why).hint(hint)))
}

fn fault(recorded: &Recorded) -> Option<String> {
    if recorded.schema != "ctx.samples/1" {
        return Some(format!("its schema is `{}`, not `ctx.samples/1`", recorded.schema));
    }
    if !(recorded.alpha > 0.0 && recorded.alpha < 1.0) {
        return Some(format!("`alpha` is a probability between 0 and 1, not {}", recorded.alpha));
    }
    if recorded.metrics.is_empty() {
        return Some("it has no metrics".to_owned());
    }
    recorded.metrics.iter().find_map(|metric| {
        let (Metric::Values { name, min_effect, .. }
        | Metric::Tail { name, min_effect, .. }
        | Metric::Outcomes { name, min_effect, .. }) = metric;
        let bad = !(min_effect.is_finite() && *min_effect >= 0.0);
        bad.then(|| format!("metric `{name}`: `min_effect` is not below zero, not {min_effect}"))
    })
}

/// Judges each metric, at an equal share of the probability of a false alarm.
fn judge<'a>(recorded: &'a Recorded) -> Vec<(&'a str, Finding)> {
    let shares = u32::try_from(recorded.metrics.len()).map_or(f64::MAX, f64::from);
    let alpha = recorded.alpha / shares;
    let one = |metric: &'a Metric| match *metric {
        Metric::Values { ref name, ref unit, min_effect, ref baseline, ref canary } => {
            let samples = Samples::Values { baseline: baseline.clone(), canary: canary.clone() };
            (name.as_str(), arms::judge(name, unit, &samples, Worse { alpha, min_effect }))
        }
        Metric::Tail { ref name, ref unit, min_effect, ref baseline, ref canary } => {
            let [baseline, canary] = [baseline, canary].map(|arm| rank::counted(arm));
            let samples = Samples::Tails { baseline, canary };
            (name.as_str(), arms::judge(name, unit, &samples, Worse { alpha, min_effect }))
        }
        Metric::Outcomes { ref name, min_effect, ref baseline, ref canary } => {
            let samples =
                Samples::Outcomes { baseline: failures(baseline), canary: failures(canary) };
            (name.as_str(), arms::judge(name, "", &samples, Worse { alpha, min_effect }))
        }
    };
    recorded.metrics.iter().map(one).collect()
}

fn failures(arm: &[bool]) -> Failures {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    Failures {
        requests: count(arm.len()),
        failed: count(arm.iter().filter(|failed| **failed).count()),
    }
}

/// What all metrics together say.
struct Overall {
    name: &'static str,
    sentence: &'static str,
    code: Code,
}

fn overall(findings: &[(&str, Finding)]) -> Overall {
    let any = |is: fn(&Verdict) -> bool| findings.iter().any(|(_, finding)| is(&finding.verdict));
    if any(|verdict| matches!(verdict, Verdict::Fail(_))) {
        return Overall {
            name: "fail",
            sentence: "the canary is worse",
            code: Code::CriteriaNotMet,
        };
    }
    if any(|verdict| matches!(verdict, Verdict::Inconclusive(_))) {
        let sentence = "it cannot be known whether the canary is worse";
        return Overall { name: "inconclusive", sentence, code: Code::Awaiting };
    }
    Overall { name: "pass", sentence: "the canary is no worse", code: Code::Done }
}
