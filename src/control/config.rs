//! The orchestrator's one configuration document.
//!
//! Everything that ctx can change about a running service is a value in here, so the inverse of a
//! change is always known: the document before it. Maps are ordered and quantities are exact, so
//! that equal configurations are equal bytes (see [`Config::canonical`]).

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::ExtensionId;
use crate::units::{Percent, duration};

/// The name of the upstream that stands for the service as it was.
pub const LEGACY: &str = "legacy";

/// The configuration of a data plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who processes events: the legacy app alone, or the orchestrator's own processor.
    pub mode: Mode,
    /// Whether an event that the own processor could not handle goes to the legacy app instead.
    pub legacy_fallback: bool,
    /// Servers that requests are forwarded to, by name. `legacy` is always there.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Paths with a meaning, by name. Every other path is passed to `legacy` unchanged.
    pub routes: BTreeMap<String, Route>,
    /// Feature flags, by name.
    pub flags: BTreeMap<String, Flag>,
    pub pool: Pool,
    pub cache: Cache,
    pub health: Health,
    pub healing: Healing,
    /// Installed extensions, by id.
    pub extensions: BTreeMap<ExtensionId, Extension>,
    /// A second upstream that takes a share of the traffic.
    pub canary: Option<Canary>,
    pub scaling: Scaling,
}

/// Who processes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every request goes to the legacy app, bytes unchanged, save those that
    /// `enhanced_event_processing` takes.
    Legacy,
    /// Events go to the orchestrator's own processor.
    Enhanced,
}

/// A server that requests are forwarded to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// `http://HOST:PORT`, without a path.
    pub url: String,
    /// How long a connection attempt may take.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub connect_timeout: Duration,
    /// How long an answer may take, from the first byte sent to the last byte received.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub timeout: Duration,
}

/// A path with a meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The exact path, beginning with `/`.
    pub path: String,
    pub kind: RouteKind,
    /// Whose webhooks arrive here; decides signature, delivery id and event type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Whether answers may be cached.
    #[serde(default)]
    pub cache: bool,
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

/// A feature flag with a gradual rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// Off means off for everybody, whatever the percentage.
    pub enabled: bool,
    /// The share of keys that are in while the flag is enabled.
    pub percentage: Percent,
    /// The algorithm that assigns keys; pinned, because changing it would move everybody.
    pub bucketing: Bucketing,
}

/// How a key is assigned to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Bucketing {
    /// flagd's `fractional`, second version: murmur3 over the key, scaled by a multiplication.
    #[serde(rename = "flagd-v2")]
    FlagdV2,
}

/// Pooled connections to upstreams.
///
/// Which share of the requests uses the pool is the flag `connection_pooling`; the others get a
/// connection each, as the legacy client did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Idle connections kept per upstream and per gateway worker.
    pub max_idle: u32,
    /// How long an idle connection is kept; shorter than the upstream's own keep-alive, so that
    /// no request dies on a connection the upstream has just closed.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub idle_timeout: Duration,
}

/// The answer cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub mode: CacheMode,
    /// How long an answer may be served again.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub ttl: Duration,
    /// How many answers are kept at most.
    pub capacity: u64,
}

/// What the cache does, for requests that the flag `caching_layer` includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheMode {
    /// Nothing is looked up and nothing is stored.
    Off,
    /// Reads are answered from the cache, and fill it when they miss.
    Read,
    /// As `read`; and answers to events are stored under their delivery id, so that a repeated
    /// delivery gets the first answer without running again.
    Write,
}

/// Health checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub enabled: bool,
    /// Time from one check to the next.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub interval: Duration,
    /// Whether an incident raises an alert.
    pub alerts: bool,
}

/// Self-healing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Healing {
    pub mode: HealingMode,
    /// Least time between two actions of the same kind on the same target.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub cooldown: Duration,
}

/// How far self-healing goes, while the flag `self_healing` is enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealingMode {
    Off,
    /// Records what it would do.
    Monitor,
    /// Does it, and records it.
    Recover,
}

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

/// A second upstream that takes a share of what would go to `legacy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The name of the upstream.
    pub upstream: String,
    /// Its share of the traffic.
    pub weight: Percent,
}

/// Scaling of the event workers, while the flag `auto_scaling` is enabled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Fewest workers; also the number while scaling is off.
    pub min: u32,
    /// Most workers.
    pub max: u32,
    /// The share of busy workers that scaling aims at.
    pub target: Percent,
}

impl Config {
    /// The document of a service that nothing has been changed about yet: everything to the
    /// legacy app at `url`, every feature off.
    pub fn legacy(url: &str) -> Self {
        let upstream = Upstream {
            url: url.trim_end_matches('/').to_owned(),
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
        };
        let event = |platform: Platform, sticky: Option<&str>| Route {
            path: format!("/{}/events", platform.name()),
            kind: RouteKind::Event,
            platform: Some(platform),
            cache: false,
            shadow: false,
            sticky: sticky.map(str::to_owned),
            secret: None,
        };
        let home = Route {
            path: "/".to_owned(),
            kind: RouteKind::Read,
            platform: None,
            cache: true,
            shadow: true,
            sticky: None,
            secret: None,
        };
        let routes = [
            ("home", home),
            ("linear", event(Platform::Linear, None)),
            ("github", event(Platform::Github, Some("x-github-hook-id"))),
            ("slack", event(Platform::Slack, None)),
        ];
        let off = Flag { enabled: false, percentage: Percent::ZERO, bucketing: Bucketing::FlagdV2 };
        Self {
            mode: Mode::Legacy,
            legacy_fallback: true,
            upstreams: BTreeMap::from([(LEGACY.to_owned(), upstream)]),
            routes: routes.map(|(name, route)| (name.to_owned(), route)).into(),
            flags: flag::ALL.map(|name| (name.to_owned(), off.clone())).into(),
            pool: Pool { max_idle: 64, idle_timeout: Duration::from_secs(2) },
            cache: Cache { mode: CacheMode::Off, ttl: Duration::from_secs(60), capacity: 10_000 },
            health: Health { enabled: false, interval: Duration::from_secs(30), alerts: false },
            healing: Healing { mode: HealingMode::Off, cooldown: Duration::from_secs(30) },
            extensions: BTreeMap::new(),
            canary: None,
            scaling: Scaling { min: 2, max: 8, target: Percent::whole(70) },
        }
    }

    /// The bytes that two equal configurations share: JSON without white space, object keys in
    /// byte order, quantities in their canonical text.
    pub fn canonical(&self) -> Vec<u8> {
        let value = serde_json::to_value(self).expect("a configuration is plain data");
        serde_json::to_vec(&value).expect("a JSON value prints")
    }

    /// SHA-256 over [`Config::canonical`], as 64 hex digits.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.canonical()))
    }

    /// Whether `flag` is enabled for everybody.
    pub fn fully_on(&self, flag: &str) -> bool {
        self.flags.get(flag).is_some_and(|f| f.enabled && f.percentage == Percent::ALL)
    }
}

/// The flags that the orchestrator itself consults.
pub mod flag {
    /// Share of events that the own processor takes while the mode is still legacy.
    pub const ENHANCED_EVENT_PROCESSING: &str = "enhanced_event_processing";
    /// Share of upstream requests that use pooled connections.
    pub const CONNECTION_POOLING: &str = "connection_pooling";
    /// Share of requests that the cache serves.
    pub const CACHING_LAYER: &str = "caching_layer";
    /// Whether self-healing runs, in the mode that `healing.mode` says.
    pub const SELF_HEALING: &str = "self_healing";
    /// Share of events that installed extensions handle.
    pub const EXTENSION_MANAGEMENT: &str = "extension_management";
    /// Whether the event workers are scaled.
    pub const AUTO_SCALING: &str = "auto_scaling";

    /// All of them, in alphabetical order.
    pub const ALL: [&str; 6] = [
        AUTO_SCALING,
        CACHING_LAYER,
        CONNECTION_POOLING,
        ENHANCED_EVENT_PROCESSING,
        EXTENSION_MANAGEMENT,
        SELF_HEALING,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_survives_json_byte_for_byte() {
        let config = Config::legacy("http://127.0.0.1:8000/");
        let bytes = config.canonical();
        let again: Config = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(again, config);
        assert_eq!(again.canonical(), bytes);
        assert_eq!(config.hash().len(), 64);
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let mut value = serde_json::to_value(Config::legacy("http://x")).unwrap();
        value["colour"] = "red".into();
        assert!(serde_json::from_value::<Config>(value).is_err());
    }
}
