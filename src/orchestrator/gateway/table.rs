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
use super::reads::Policy;
use crate::control::config::{
    self, CacheMode, Config, Kind, LEGACY, Mode, Platform, RouteKind, flag,
};
use crate::orchestrator::breaker::{Breakers, Shared};
use crate::orchestrator::extensions::{Extensions, Service};
use crate::orchestrator::flags::Share;
use crate::orchestrator::metrics::{CACHE, GATEWAY, INBOX, OTHER};
use crate::orchestrator::plane::Active;
use crate::orchestrator::pool::{Address, Limits, Target};
use crate::orchestrator::split::Split;
use crate::secret::Rotating;

/// A compiled revision. Never changed, only replaced; a request keeps the one it began with.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) mode: Mode,
    pub(super) legacy_fallback: bool,
    pub(super) cache_mode: CacheMode,
    pub(super) cache_ttl: Duration,
    /// Upstreams of which connections are kept open.
    pub(super) warm: Vec<Arc<Upstream>>,
    /// Whether the connections of an upstream that plain requests go to are limited in number.
    pub(super) limited: bool,
    pub(super) legacy: Arc<Upstream>,
    pub(super) canary: Option<Split<Arc<Upstream>>>,
    /// The handlers of installed extensions, by the platform whose events they take.
    pub(super) extensions: BTreeMap<Platform, Handler>,
    /// The new version of one of them, and its share of that platform's events.
    pub(super) next: Option<(Platform, Split<Handler>)>,
    pub(super) enhanced: Share,
    pub(super) pooling: Share,
    pub(super) caching: Share,
    pub(super) extending: Share,
    pub(super) storing: Share,
    pub(super) breaking: Share,
    pub(super) breaker: config::Breaker,
    /// Whether self-healing wants to know how requests end, though no breaker may open by itself.
    pub(super) healing: bool,
    pub(super) inbox: config::Inbox,
    pub(super) limits: config::Limits,
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
    pub(super) breaker: Arc<Shared>,
    pub(super) connect_timeout: Duration,
    pub(super) timeout: Duration,
    /// How connections to it are kept.
    pub(super) limits: Limits,
}

/// Who handles an event in an extension's name.
#[derive(Debug)]
pub(super) enum Handler {
    Upstream(Arc<Deputy>),
    /// A program that the orchestrator runs.
    Process {
        service: Arc<Service>,
        before: Before,
    },
}

/// An upstream that answers for an extension.
#[derive(Debug)]
pub(super) struct Deputy {
    /// The extension's id.
    pub(super) arm: Arc<str>,
    pub(super) upstream: Arc<Upstream>,
    /// The path there that takes the event.
    pub(super) path: String,
}

/// Who takes the events of a program that has not run yet.
#[derive(Clone, Debug)]
pub(super) enum Before {
    /// Nobody: they have been its own before.
    Itself,
    /// Whoever took them when it was installed: an upstream, or those who take them where there
    /// is no extension. So a program takes over from one event to the next, too.
    Others(Option<Arc<Deputy>>),
}

/// A path with a meaning.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) name: Arc<str>,
    /// `None` for everything that is on no route of the configuration.
    pub(super) kind: Option<RouteKind>,
    pub(super) platform: Option<Platform>,
    pub(super) cache: bool,
    pub(super) policy: Policy,
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
    /// Compiles a revision with the secrets and the breakers that it refers to; `previous` is what it follows, if
    /// anything.
    pub(crate) fn compile(
        active: &Active,
        keyring: &Keyring,
        breakers: &Breakers,
        running: &Extensions,
        previous: Option<&Self>,
    ) -> Self {
        let config = &active.config;
        let share = |name| Share::of_flag(name, config.flags.get(name));
        let names = config.upstreams.keys().map(String::as_str).chain([LEGACY]);
        let upstreams: HashMap<&str, Arc<Upstream>> =
            names.map(|name| (name, Arc::new(Upstream::of(config, name, breakers)))).collect();
        let canary = config.canary.as_ref().and_then(|canary| {
            Some(Split::new(canary.weight, Arc::clone(upstreams.get(canary.upstream.as_str())?)))
        });
        let next = config.extension_canary.as_ref();
        let next = next.filter(|canary| config.extensions.contains_key(&canary.id));
        let next = next.and_then(|canary| {
            let handler = match &canary.next.kind {
                Kind::Process(_) => {
                    let service = running.service(&canary.arm());
                    // Until it runs, its events are the installed version's.
                    Handler::Process { service, before: Before::Itself }
                }
                Kind::Http { upstream, path } => {
                    let upstream = Arc::clone(upstreams.get(upstream.as_str())?);
                    let (arm, path) = (canary.arm().into(), path.clone());
                    Handler::Upstream(Arc::new(Deputy { arm, upstream, path }))
                }
            };
            Some((canary.next.platform, Split::new(canary.weight, handler)))
        });
        let mut extensions = BTreeMap::new();
        for (id, extension) in &config.extensions {
            let handler = match &extension.kind {
                Kind::Process(_) => Handler::Process {
                    service: running.service(id.as_str()),
                    before: Before::of(id.as_str(), extension.platform, previous),
                },
                Kind::Http { upstream, path } => {
                    let Some(upstream) = upstreams.get(upstream.as_str()) else {
                        tracing::warn!(extension = %id, "its upstream is not in the configuration");
                        continue;
                    };
                    let (upstream, path) = (Arc::clone(upstream), path.clone());
                    Handler::Upstream(Arc::new(Deputy { arm: id.as_str().into(), upstream, path }))
                }
            };
            extensions.entry(extension.platform).or_insert(handler);
        }
        let warm = upstreams.values().filter(|upstream| upstream.limits.min > 0);
        let warm = warm.cloned().collect();
        let asked = config.canary.as_ref().map(|canary| canary.upstream.as_str());
        let plain = [LEGACY].into_iter().chain(asked);
        let limited = plain
            .filter_map(|name| upstreams.get(name))
            .any(|upstream| upstream.limits.max.is_some());
        let routes = config.routes.iter();
        let routes = routes
            .map(|(name, route)| (route.path.clone(), Route::of(name, route, config, keyring)));
        Self {
            mode: config.mode,
            legacy_fallback: config.legacy_fallback,
            cache_mode: config.cache.mode,
            cache_ttl: config.cache.ttl,
            warm,
            limited,
            legacy: Arc::clone(&upstreams[LEGACY]),
            canary,
            extensions,
            next,
            enhanced: share(flag::ENHANCED_EVENT_PROCESSING),
            pooling: share(flag::CONNECTION_POOLING),
            caching: share(flag::CACHING_LAYER),
            extending: share(flag::EXTENSION_MANAGEMENT),
            storing: share(flag::DURABLE_INBOX),
            breaking: share(flag::CIRCUIT_BREAKING),
            breaker: config.breaker.clone(),
            healing: config.heals(),
            inbox: config.inbox.clone(),
            limits: config.limits.clone(),
            tracing: config.tracing,
            cache_arm: CACHE.into(),
            inbox_arm: INBOX.into(),
            gateway_arm: GATEWAY.into(),
            routes: routes.map(|(path, route)| (path, Arc::new(route))).collect(),
            other: Arc::new(Route::other(config)),
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

impl Before {
    fn of(id: &str, platform: Platform, previous: Option<&Table>) -> Self {
        let Some(previous) = previous else { return Self::Itself };
        match previous.extensions.get(&platform) {
            Some(Handler::Upstream(deputy)) => Self::Others(Some(Arc::clone(deputy))),
            Some(Handler::Process { service, before }) if *service.id == *id => {
                if service.has_begun() { Self::Itself } else { before.clone() }
            }
            Some(Handler::Process { .. }) | None => Self::Others(None),
        }
    }
}

impl Upstream {
    fn of(config: &Config, name: &str, breakers: &Breakers) -> Self {
        let upstream = config.upstreams.get(name);
        let breaker = breakers.of(name, upstream.map_or("", |upstream| &upstream.url));
        let address = upstream.and_then(|upstream| Address::of_url(&upstream.url));
        if address.is_none() {
            tracing::error!(upstream = name, "it has no usable `http://HOST:PORT`");
        }
        let [connect_timeout, timeout] = upstream
            .map_or([Duration::ZERO; 2], |upstream| [upstream.connect_timeout, upstream.timeout]);
        let limits = match upstream {
            Some(upstream) => Limits::of(&config.pool, upstream),
            None => Limits::of(&config.pool, &config::Upstream::at("")),
        };
        Self { name: name.into(), address, breaker, connect_timeout, timeout, limits }
    }

    /// Where connections to it go.
    pub(super) fn target(&self) -> Option<Target<'_>> {
        let address = self.address.as_ref()?;
        let connect_timeout = self.connect_timeout.min(self.timeout);
        Some(Target { address, connect_timeout, limits: self.limits })
    }
}

impl Route {
    fn of(name: &str, route: &config::Route, config: &Config, keyring: &Keyring) -> Self {
        let sticky = route.sticky.as_deref().and_then(|header| header.parse().ok());
        Self {
            name: name.into(),
            kind: Some(route.kind),
            platform: route.platform,
            cache: route.cache,
            policy: Policy::of(route.cache_policy.as_ref(), &config.cache),
            shadow: route.shadow,
            synchronous: route.synchronous,
            max_body: route
                .max_body
                .map_or(intake::cap(route.platform), |max| max.try_into().unwrap_or(usize::MAX)),
            signing: Signing::of(name, route, keyring),
            sticky,
        }
    }

    fn other(config: &Config) -> Self {
        Self {
            name: OTHER.into(),
            kind: None,
            platform: None,
            cache: false,
            policy: Policy::of(None, &config.cache),
            shadow: false,
            synchronous: true,
            max_body: intake::cap(None),
            signing: Signing::Unchecked,
            sticky: None,
        }
    }

    /// The header whose value decides percentages.
    pub(super) fn sticky(&self) -> Option<&HeaderName> {
        self.sticky.as_ref()
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
