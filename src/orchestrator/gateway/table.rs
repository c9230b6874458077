//! A revision of the configuration, compiled for the gateway: what a request needs is one lookup
//! away, and nothing in it is parsed, resolved or searched for while a request waits.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::intake;
use super::keyring::Keyring;
use crate::control::config::{self, CacheMode, Config, LEGACY, Mode, Platform, RouteKind, flag};
use crate::orchestrator::flags::Share;
use crate::orchestrator::metrics::{CACHE, GATEWAY, INBOX, OTHER};
use crate::orchestrator::plane::Active;
use crate::orchestrator::pool::Address;
use crate::orchestrator::split::Split;
use crate::secret::Rotating;

/// A compiled revision. Never changed, only replaced; a request keeps the one it began with.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) mode: Mode,
    pub(super) legacy_fallback: bool,
    pub(super) cache_mode: CacheMode,
    pub(super) cache_ttl: Duration,
    pub(super) pool: config::Pool,
    pub(super) legacy: Arc<Upstream>,
    pub(super) canary: Option<Split<Arc<Upstream>>>,
    /// The handlers of installed extensions, by the platform whose events they take.
    pub(super) extensions: BTreeMap<Platform, Handler>,
    pub(super) enhanced: Share,
    pub(super) pooling: Share,
    pub(super) caching: Share,
    pub(super) extending: Share,
    pub(super) storing: Share,
    pub(super) breaking: Share,
    pub(super) breaker: config::Breaker,
    pub(super) inbox: config::Inbox,
    pub(super) tracing: config::Tracing,
    pub(super) cache_arm: Arc<str>,
    pub(super) inbox_arm: Arc<str>,
    pub(super) gateway_arm: Arc<str>,
    routes: HashMap<String, Arc<Route>>,
    other: Arc<Route>,
}

/// Where requests are forwarded to.
#[derive(Debug)]
pub(super) struct Upstream {
    /// Its name, which is also the arm that its requests are counted under.
    pub(super) name: Arc<str>,
    /// `None` when the configuration names no such upstream, or its URL is none.
    pub(super) address: Option<Address>,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Duration,
}

/// Who handles an event in an extension's name.
#[derive(Debug)]
pub(super) struct Handler {
    /// The extension's id.
    pub(super) arm: Arc<str>,
    pub(super) upstream: Arc<Upstream>,
    /// The path there that takes the event.
    pub(super) path: String,
}

/// A path with a meaning.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) name: Arc<str>,
    /// `None` for everything that is on no route of the configuration.
    pub(super) kind: Option<RouteKind>,
    pub(super) platform: Option<Platform>,
    pub(super) cache: bool,
    pub(super) shadow: bool,
    /// Whether its senders need the handler's own answer.
    pub(super) synchronous: bool,
    /// The largest body, in bytes.
    pub(super) max_body: usize,
    pub(super) signing: Signing,
    sticky: Option<HeaderName>,
}

/// How an event's signature is checked.
#[derive(Debug)]
pub(super) enum Signing {
    Unchecked,
    Checked(Platform, Rotating),
    /// There ought to be a check and there cannot be one: events are refused, never let through.
    Impossible,
}

impl Table {
    /// Compiles a revision with the secrets it refers to.
    pub(crate) fn compile(active: &Active, keyring: &Keyring) -> Self {
        let config = &active.config;
        let share = |name| Share::of_flag(name, config.flags.get(name));
        let names = config.upstreams.keys().map(String::as_str).chain([LEGACY]);
        let upstreams: HashMap<&str, Arc<Upstream>> =
            names.map(|name| (name, Arc::new(Upstream::of(config, name)))).collect();
        let canary = config.canary.as_ref().and_then(|canary| {
            Some(Split::new(canary, Arc::clone(upstreams.get(canary.upstream.as_str())?)))
        });
        let mut extensions = BTreeMap::new();
        for (id, extension) in &config.extensions {
            let Some(upstream) = upstreams.get(extension.upstream.as_str()) else {
                tracing::warn!(extension = %id, "its upstream is not in the configuration");
                continue;
            };
            extensions.entry(extension.platform).or_insert_with(|| Handler {
                arm: id.as_str().into(),
                upstream: Arc::clone(upstream),
                path: extension.path.clone(),
            });
        }
        let routes = config.routes.iter();
        let routes =
            routes.map(|(name, route)| (route.path.clone(), Route::of(name, route, keyring)));
        Self {
            mode: config.mode,
            legacy_fallback: config.legacy_fallback,
            cache_mode: config.cache.mode,
            cache_ttl: config.cache.ttl,
            pool: config.pool.clone(),
            legacy: Arc::clone(&upstreams[LEGACY]),
            canary,
            extensions,
            enhanced: share(flag::ENHANCED_EVENT_PROCESSING),
            pooling: share(flag::CONNECTION_POOLING),
            caching: share(flag::CACHING_LAYER),
            extending: share(flag::EXTENSION_MANAGEMENT),
            storing: share(flag::DURABLE_INBOX),
            breaking: share(flag::CIRCUIT_BREAKING),
            breaker: config.breaker.clone(),
            inbox: config.inbox.clone(),
            tracing: config.tracing,
            cache_arm: CACHE.into(),
            inbox_arm: INBOX.into(),
            gateway_arm: GATEWAY.into(),
            routes: routes.map(|(path, route)| (path, Arc::new(route))).collect(),
            other: Arc::new(Route::other()),
        }
    }

    /// The route of a path; exact, or the one for everything else.
    pub(super) fn route(&self, path: &str) -> &Arc<Route> {
        self.routes.get(path).unwrap_or(&self.other)
    }

    /// The route that requests on no route of the configuration are counted under.
    pub(super) fn other(&self) -> &Arc<Route> {
        &self.other
    }
}

impl Upstream {
    fn of(config: &Config, name: &str) -> Self {
        let upstream = config.upstreams.get(name);
        let address = upstream.and_then(|upstream| Address::of_url(&upstream.url));
        if address.is_none() {
            tracing::error!(upstream = name, "it has no usable `http://HOST:PORT`");
        }
        let [connect_timeout, timeout] = upstream
            .map_or([Duration::ZERO; 2], |upstream| [upstream.connect_timeout, upstream.timeout]);
        Self { name: name.into(), address, connect_timeout, timeout }
    }
}

impl Route {
    fn of(name: &str, route: &config::Route, keyring: &Keyring) -> Self {
        let sticky = route.sticky.as_deref().and_then(|header| header.parse().ok());
        Self {
            name: name.into(),
            kind: Some(route.kind),
            platform: route.platform,
            cache: route.cache,
            shadow: route.shadow,
            synchronous: route.synchronous,
            max_body: route
                .max_body
                .map_or(intake::cap(route.platform), |max| max.try_into().unwrap_or(usize::MAX)),
            signing: Signing::of(name, route, keyring),
            sticky,
        }
    }

    fn other() -> Self {
        Self {
            name: OTHER.into(),
            kind: None,
            platform: None,
            cache: false,
            shadow: false,
            synchronous: true,
            max_body: intake::cap(None),
            signing: Signing::Unchecked,
            sticky: None,
        }
    }

    /// The value that decides percentages for a request, if it has one.
    pub(super) fn sticky_value(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        headers.get(self.sticky.as_ref()?).cloned()
    }
}

impl Signing {
    fn of(name: &str, route: &config::Route, keyring: &Keyring) -> Self {
        let Some(reference) = &route.secret else {
            return Self::Unchecked;
        };
        match (route.platform, keyring.get(reference)) {
            (Some(platform), Some(secret)) => Self::Checked(platform, secret.clone()),
            (platform, secret) => {
                let why = secret.is_none().then_some("its secret could not be read");
                tracing::error!(
                    route = name,
                    ?platform,
                    why,
                    "its signatures cannot be checked: the own processor will refuse its events"
                );
                Self::Impossible
            }
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
