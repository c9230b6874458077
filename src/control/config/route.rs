//! Paths with a meaning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CachePolicy;

/// A path with a meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The exact path, beginning with `/`.
    pub path: String,
    /// What kind of request arrives here.
    pub kind: RouteKind,
    /// Whose webhooks arrive here; decides signature, delivery id and event type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Whether answers may be cached.
    #[serde(default)]
    pub cache: bool,
    /// How its answers are cached; absent is as `cache` says, by the whole target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_policy: Option<CachePolicy>,
    /// Whether copies may be sent to the legacy app to compare answers. Only safe for reads.
    #[serde(default)]
    pub shadow: bool,
    /// The request header whose value decides percentages, so that a sender stays on its side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<String>,
    /// Reference to the webhook's secret, `env:NAME` or `file:PATH`; without one, signatures are
    /// not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Whether the sender needs the handler's own answer, as for Slack's slash commands: such a
    /// request is never acknowledged from the inbox. Slack's challenge is recognised by itself.
    #[serde(default)]
    pub synchronous: bool,
    /// The largest body in bytes; `null` is what the platform sends at most (GitHub 25 MiB, Linear
    /// 2 MiB, others 1 MiB).
    #[serde(default)]
    pub max_body: Option<u64>,
}

/// What kind of request a route carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteKind {
    /// A webhook: has effects, carries a delivery id, may be processed by an extension.
    Event,
    /// A read without effects.
    Read,
}

/// A platform whose webhooks are understood.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    Linear,
    Github,
    Slack,
}

impl Platform {
    pub const ALL: [Self; 3] = [Self::Linear, Self::Github, Self::Slack];

    /// The name as in configuration and paths.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Github => "github",
            Self::Slack => "slack",
        }
    }
}
