//! Identifiers: each its own type, so that a step can never be passed where a run is meant.
//!
//! Names that people write (plans, phases, steps, criteria, ...) share one grammar: lower-case
//! letters, digits, `-` and `_`, beginning with a letter or digit, at most 64 bytes. They are safe in a
//! file name, a URL, a log line and a shell word.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a name; use lower-case letters, digits, `-` and `_`, at most 64 of them")]
pub struct NameError(pub String);

/// Whether `text` follows the grammar of names.
pub fn is_name(text: &str) -> bool {
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    first && text.len() <= 64 && text.bytes().all(ok)
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String", extend("pattern" = "^[a-z0-9][a-z0-9_-]{0,63}$"))]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(NameError(text.to_owned())) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                if is_name(&text) { Ok(Self(text)) } else { Err(NameError(text)) }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    )*};
}

names! {
    /// The name of a plan.
    PlanName;
    /// The id of a phase within its plan.
    PhaseId;
    /// The id of a step within its phase.
    StepId;
    /// The name of a guard.
    GuardId;
    /// The id of a success criterion, unique within its plan.
    CriterionId;
    /// The id of a milestone, unique within its plan.
    MilestoneId;
    /// The id of a test suite, unique within its plan.
    SuiteId;
    /// The id of an extension.
    ExtensionId;
    /// The name of a place that alerts are sent to.
    SinkId;
    /// The id of a backup: `b-` and a time and four random hex digits.
    BackupId;
}

/// The id of one run of ctx against an orchestrator: 128 random bits as 32 hex digits.
///
/// ```compile_fail
/// use ctx::ids::{RunId, StepId};
/// fn undo(run: &RunId) {}
/// let step: StepId = "copy".parse().unwrap();
/// undo(&step);
/// ```
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[0-9a-f]{32}$"))]
pub struct RunId(String);

impl RunId {
    /// Draws a new id from the operating system's randomness.
    pub fn random() -> Self {
        Self(random_hex::<16>())
    }

    /// The whole id, 32 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight digits, as shown to people.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl TryFrom<String> for RunId {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 32 && text.bytes().all(hex) {
            Ok(Self(text))
        } else {
            Err(NameError(text))
        }
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.short())
    }
}

/// `N` random bytes as hex, for ids, tokens and lease ids.
///
/// # Panics
/// When the operating system has no randomness to give; nothing safe can be done then.
pub fn random_hex<const N: usize>() -> String {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_everywhere_a_name_goes() {
        for good in ["a", "pool-ramp", "error_rate", "2nd"] {
            assert!(is_name(good), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["", "-a", "A", "a b", "a/b", "..", "a.b", "ä", &long] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn run_ids_differ_and_survive_json() {
        let (a, b) = (RunId::random(), RunId::random());
        assert_ne!(a, b);
        let json = serde_json::to_string(&a).unwrap();
        assert_eq!(serde_json::from_str::<RunId>(&json).unwrap(), a);
        assert!(serde_json::from_str::<RunId>("\"xyz\"").is_err());
    }
}
