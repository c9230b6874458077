//! What is measured: a metric of the orchestrator, or a query to a Prometheus server.
//!
//! A query is judged on exactly one number. None, several, one that is no number, one that is
//! stale, and a server that does not answer are all the same to the judge: inconclusive, with the
//! reason. An outage of the monitoring is never a failure of what is monitored.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Limit, Metric, Unit, Verdict};

/// What a guard or a criterion looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Measure {
    /// The orchestrator's own; written as its name.
    Own(Metric),
    /// A Prometheus server's; written as a table.
    Query(Query),
}

/// A query that comes to one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// In the server's query language.
    pub query: String,
    /// The server's name in the plan.
    pub from: String,
    /// Where the server's API is, without a slash at its end.
    pub url: String,
    /// A reference, `env:NAME` or `file:PATH`, resolved by whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A reference to the certificate of the authority that the server's own is signed by; what the
    /// system trusts, if absent. For `https` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// What its number is.
    pub unit: Unit,
}

impl Measure {
    /// The orchestrator's metric, if it is one.
    pub const fn own(&self) -> Option<Metric> {
        match self {
            Self::Own(metric) => Some(*metric),
            Self::Query(_) => None,
        }
    }

    pub const fn query(&self) -> Option<&Query> {
        match self {
            Self::Own(_) => None,
            Self::Query(query) => Some(query),
        }
    }

    /// The unit of its numbers.
    pub fn unit(&self) -> Unit {
        match self {
            Self::Own(metric) => metric.unit(),
            Self::Query(query) => query.unit,
        }
    }
}

impl From<Metric> for Measure {
    fn from(metric: Metric) -> Self {
        Self::Own(metric)
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(metric) => metric.fmt(f),
            Self::Query(query) => query.fmt(f),
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.query.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(f, "{} `{words}`", self.from)
    }
}

impl Query {
    /// Judges what the server answered: a number, or why there is none.
    pub fn judge(&self, limit: Limit, answer: Result<f64, String>) -> Verdict {
        let bound = limit.describe_in(self.unit);
        let value = match answer {
            Ok(value) if value.is_finite() => value,
            Ok(value) => {
                return Verdict::Inconclusive(format!(
                    "{self}: {value} is no number, limit {bound}"
                ));
            }
            Err(why) => return Verdict::Inconclusive(format!("{self}: {why}, limit {bound}")),
        };
        let sentence = format!("{self} {}, limit {bound}", self.unit.format(value));
        if limit.holds(value) { Verdict::Pass(sentence) } else { Verdict::Fail(sentence) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Query {
        Query {
            query: "errors\n  / all".to_owned(),
            from: "prom".to_owned(),
            url: "http://127.0.0.1:9090".to_owned(),
            token: None,
            ca: None,
            unit: Unit::Ratio,
        }
    }

    #[test]
    fn a_metric_of_the_orchestrator_is_written_as_before() {
        let own = serde_json::to_string(&Measure::Own(Metric::ErrorRate)).unwrap();
        assert_eq!(own, r#""error_rate""#);
        for measure in [Measure::Own(Metric::Cpu), Measure::Query(query())] {
            let text = serde_json::to_string(&measure).unwrap();
            assert_eq!(serde_json::from_str::<Measure>(&text).unwrap(), measure);
        }
    }

    #[test]
    fn only_a_number_passes_or_fails() {
        let limit = Limit::AtMost(0.01);
        let judge = |answer| query().judge(limit, answer);
        let failed = judge(Ok(0.25));
        assert_eq!(failed, Verdict::Fail("prom `errors / all` 25%, limit at most 1%".to_owned()));
        assert!(judge(Ok(0.01)).passed());
        for answer in [Ok(f64::NAN), Ok(f64::INFINITY), Err("connection refused".to_owned())] {
            assert!(matches!(judge(answer), Verdict::Inconclusive(_)));
        }
    }
}
