//! Feature flags, and the names of those that the orchestrator itself consults.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::units::Percent;

/// Share of events that the own processor takes while the mode is still legacy.
pub const ENHANCED_EVENT_PROCESSING: &str = "enhanced_event_processing";
/// Share of upstream requests that use pooled connections.
pub const CONNECTION_POOLING: &str = "connection_pooling";
/// Share of requests that the cache serves.
pub const CACHING_LAYER: &str = "caching_layer";
/// Share of what could be sick that self-healing looks after, in the mode that `healing.mode` says.
pub const SELF_HEALING: &str = "self_healing";
/// Share of events that installed extensions handle.
pub const EXTENSION_MANAGEMENT: &str = "extension_management";
/// Share of what could be scaled that is: the event workers, and each extension.
pub const AUTO_SCALING: &str = "auto_scaling";
/// Share of upstream requests that ask a breaker first.
pub const CIRCUIT_BREAKING: &str = "circuit_breaking";
/// Share of events that the inbox takes, as `inbox.mode` says.
pub const DURABLE_INBOX: &str = "durable_inbox";

/// All of them, in alphabetical order.
pub const ALL: [&str; 8] = [
    AUTO_SCALING,
    CACHING_LAYER,
    CIRCUIT_BREAKING,
    CONNECTION_POOLING,
    DURABLE_INBOX,
    ENHANCED_EVENT_PROCESSING,
    EXTENSION_MANAGEMENT,
    SELF_HEALING,
];

/// A feature flag with a gradual rollout.
///
/// Without variants it is boolean: on for the share of keys that `percentage` says.
/// The orchestrator's own flags are always of that kind. `docs/flags.md` says what a targeting rule
/// may say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// Off means off for everybody, whatever the percentage.
    pub enabled: bool,
    /// The share of keys that are in while the flag is enabled: the others get the default.
    pub percentage: Percent,
    /// The algorithm that assigns keys; pinned, because changing it would move everybody.
    pub bucketing: Bucketing,
    /// What it may be, by name; all of one type. Empty for a boolean flag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, Value>,
    /// The variant of whoever no rule gives another one; absent: the application's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_variant: Option<String>,
    /// JSON Logic that names the variant of a key that is in, as flagd writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targeting: Option<Value>,
    /// What applications are told besides the value: texts, numbers and booleans.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Value>,
}

impl Flag {
    /// A boolean flag for a share of keys.
    pub const fn boolean(enabled: bool, percentage: Percent) -> Self {
        Self {
            enabled,
            percentage,
            bucketing: Bucketing::FlagdV2,
            variants: BTreeMap::new(),
            default_variant: None,
            targeting: None,
            metadata: BTreeMap::new(),
        }
    }

    /// Whether it is on or off and nothing else, as the gateway asks it.
    pub fn is_boolean(&self) -> bool {
        self.variants.is_empty()
    }
}

/// How a key is assigned to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Bucketing {
    /// flagd's `fractional`, second version: murmur3 over the key, scaled by a multiplication.
    #[serde(rename = "flagd-v2")]
    FlagdV2,
}
