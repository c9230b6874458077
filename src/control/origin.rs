//! Where values of the first configuration come from: the variables of the service as it was, and
//! the command line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A variable or flag that the orchestrator was started with, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// Such as `CONTEXTEN_ENHANCED_MODE` or `--slack-secret`.
    pub name: String,
    /// The value's place in the document; absent for what means nothing to the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The value as it stands in the document; for a secret, where it is. Absent with the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether it is in the configuration that this orchestrator began with.
    pub used: bool,
    /// Why it is not, or how it was read.
    pub note: String,
}

impl Origin {
    /// A value that is used, if nothing stands against it.
    pub fn of(name: &str, path: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: Some(path.to_owned()),
            value: Some(value.to_owned()),
            used: true,
            note: String::new(),
        }
    }

    /// The same, not used.
    #[must_use]
    pub fn but(self, note: impl Into<String>) -> Self {
        Self { used: false, note: note.into(), ..self }
    }
}
