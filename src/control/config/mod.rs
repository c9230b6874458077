//! The orchestrator's one configuration document.
//!
//! Everything that ctx can change about a running service is a value in here, so the inverse of a
//! change is always known: the document before it. Maps are ordered and quantities are exact, so
//! that equal configurations are equal bytes (see [`Config::canonical`]).

mod breaker;
mod cache;
mod canary;
mod extension;
pub mod flag;
mod health;
mod inbox;
mod limits;
pub mod process;
mod route;
mod scaling;
mod tracing;
mod upstream;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::breaker::Breaker;
pub use self::cache::{Cache, CacheMode, CachePolicy, Query};
pub use self::canary::{Canary, Compared, ExtensionCanary};
pub use self::extension::{Category, Dependency, DependencyError, Extension, Kind};
pub use self::flag::{Bucketing, Flag};
pub use self::health::{Healing, HealingMode, Health};
pub use self::inbox::{Inbox, InboxMode};
pub use self::limits::{Limits, Network, NoNetwork};
pub use self::process::{Process, Replicas};
pub use self::route::{Platform, Route, RouteKind};
pub use self::scaling::Scaling;
pub use self::tracing::Tracing;
pub use self::upstream::{Pool, Upstream, UpstreamPool};
use crate::ids::ExtensionId;
use crate::units::Percent;

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
    /// Connections to upstreams.
    pub pool: Pool,
    /// When an upstream is not asked any more for a while.
    pub breaker: Breaker,
    /// Answers that are served again.
    pub cache: Cache,
    /// Whether events are stored before they are acknowledged.
    pub inbox: Inbox,
    /// Connections of senders.
    pub limits: Limits,
    /// Checks.
    pub health: Health,
    /// What is done when a check fails.
    pub healing: Healing,
    /// Installed extensions, by id.
    pub extensions: BTreeMap<ExtensionId, Extension>,
    /// A second upstream that takes a share of the traffic.
    pub canary: Option<Canary>,
    /// A new version of an extension that takes a share of its events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension_canary: Option<ExtensionCanary>,
    /// How many workers there are.
    pub scaling: Scaling,
    /// Names of requests and traces.
    pub tracing: Tracing,
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

impl Config {
    /// The document of a service that nothing has been changed about yet: everything to the
    /// legacy app at `url`, every feature off.
    pub fn legacy(url: &str) -> Self {
        let event = |platform: Platform, sticky: Option<&str>| Route {
            path: format!("/{}/events", platform.name()),
            kind: RouteKind::Event,
            platform: Some(platform),
            cache: false,
            cache_policy: None,
            shadow: false,
            sticky: sticky.map(str::to_owned),
            secret: None,
            synchronous: false,
            max_body: None,
        };
        let home = Route {
            path: "/".to_owned(),
            kind: RouteKind::Read,
            platform: None,
            cache: true,
            cache_policy: None,
            shadow: true,
            sticky: None,
            secret: None,
            synchronous: false,
            max_body: None,
        };
        let routes = [
            ("home", home),
            ("linear", event(Platform::Linear, None)),
            ("github", event(Platform::Github, Some("x-github-hook-id"))),
            ("slack", event(Platform::Slack, None)),
        ];
        let off = Flag::boolean(false, Percent::ZERO);
        Self {
            mode: Mode::Legacy,
            legacy_fallback: true,
            upstreams: BTreeMap::from([(LEGACY.to_owned(), Upstream::at(url))]),
            routes: routes.map(|(name, route)| (name.to_owned(), route)).into(),
            flags: flag::ALL.map(|name| (name.to_owned(), off.clone())).into(),
            pool: Pool { max_idle: 64, idle_timeout: Duration::from_secs(2) },
            breaker: Breaker::default(),
            cache: Cache { mode: CacheMode::Off, ttl: Duration::from_secs(60), capacity: 10_000 },
            inbox: Inbox::default(),
            limits: Limits::default(),
            health: Health { enabled: false, interval: Duration::from_secs(30), alerts: false },
            healing: Healing::default(),
            extensions: BTreeMap::new(),
            canary: None,
            extension_canary: None,
            scaling: Scaling::default(),
            tracing: Tracing::default(),
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

    /// Whether self-healing watches anything, and perhaps acts.
    pub fn heals(&self) -> bool {
        let flag = self.flags.get(flag::SELF_HEALING);
        self.health.enabled
            && self.healing.mode != HealingMode::Off
            && flag.is_some_and(|flag| flag.enabled && flag.percentage != Percent::ZERO)
    }

    /// The longest time that a cached answer may be served, on whichever route.
    pub fn longest_ttl(&self) -> Duration {
        let own = self.routes.values().filter_map(|route| route.cache_policy.as_ref()?.ttl);
        own.fold(self.cache.ttl, Duration::max)
    }

    /// Whether `flag` is enabled for everybody.
    pub fn fully_on(&self, flag: &str) -> bool {
        self.flags.get(flag).is_some_and(|f| f.enabled && f.percentage == Percent::ALL)
    }
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
