//! Installed extensions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::route::Platform;
use crate::ids::ExtensionId;

/// An installed extension: a handler for a platform's events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    pub name: String,
    /// `MAJOR.MINOR.PATCH`.
    pub version: String,
    pub category: Category,
    /// Whose events it handles, while the flag `extension_management` includes them.
    pub platform: Platform,
    /// The upstream that answers for it.
    pub upstream: String,
    /// The path there that takes the event.
    pub path: String,
    /// Ids of extensions that must be installed too.
    #[serde(default)]
    pub depends_on: Vec<ExtensionId>,
}

/// What an extension is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    PlatformIntegration,
    EventProcessor,
}
