//! The one error type of the command line: what failed, why, and what to do next.
//!
//! Inside a module, errors are that module's own `thiserror` types. At the edge each becomes a
//! [`Failure`], whose [`Code`] picks the exit code. The set of codes is fixed and documented;
//! scripts depend on it.

mod code;

use std::fmt;

pub use code::Code;

/// An error as an operator meets it.
///
/// Texts are lower case without a full stop; what the user typed stands in backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    /// What failed, completing "failed to ..." or naming the fault.
    pub what: String,
    /// Why, outermost cause first.
    pub why: Vec<String>,
    /// What to do next, most useful first.
    pub hints: Vec<String>,
}

impl Failure {
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), why: Vec::new(), hints: Vec::new() }
    }

    /// Adds one cause.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Adds an error and its chain of sources as causes.
    #[must_use]
    pub fn because(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Libraries repeat their source in their own text; say it once.
            if !self.why.iter().any(|said| said.contains(&text)) {
                self.why.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds one thing to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// The result of everything at the edge.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// The candidate nearest to `given`, where one is near enough to be what was meant.
pub fn did_you_mean<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(given, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `1 step`, `2 steps`: a count with its noun.
pub fn count(n: usize, noun: &str) -> String {
    let plural = match noun {
        _ if n == 1 => noun.to_owned(),
        "criterion" => "criteria".to_owned(),
        _ if noun.ends_with('y') => format!("{}ies", &noun[..noun.len() - 1]),
        _ => format!("{noun}s"),
    };
    format!("{n} {plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_suggested_and_far_ones_are_not() {
        let metrics = ["error_rate", "latency_p95", "cpu"];
        assert_eq!(did_you_mean("eror_rate", metrics), Some("error_rate"));
        assert_eq!(did_you_mean("latency_p59", metrics), Some("latency_p95"));
        assert_eq!(did_you_mean("zebra", metrics), None);
    }

    #[test]
    fn counts_agree_with_their_nouns() {
        assert_eq!(count(1, "step"), "1 step");
        assert_eq!(count(0, "step"), "0 steps");
        assert_eq!(count(2, "criterion"), "2 criteria");
        assert_eq!(count(3, "entry"), "3 entries");
    }

    #[test]
    fn a_cause_that_repeats_its_source_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("reading failed: disk on fire")]
        struct Outer(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("disk on fire")]
        struct Inner;
        let failure = Failure::new(Code::Failure, "failed to x").because(&Outer(Inner));
        assert_eq!(failure.why, ["reading failed: disk on fire"]);
    }
}
