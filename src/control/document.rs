//! Changes to the configuration document: a list of paths and values, and the rules that a
//! document must keep.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{CachePolicy, Config, LEGACY, UpstreamPool};
use super::{extensions, flags, host};
use crate::secret::{SecretRef, shown_url};
use crate::units::{Percent, duration};

/// One assignment: a dotted path into the document, and its new value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Assignment {
    /// Such as `cache.mode` or `extensions.linear-integration`.
    pub path: String,
    /// The new value; `null` removes an entry of a map.
    pub value: Value,
}

/// Why a document cannot be changed, or is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("the configuration has no `{path}`")]
    NoSuchPath { path: String, known: Vec<String> },
    #[error("`{path}` cannot be {value}: {why}")]
    BadValue { path: String, value: String, why: String },
    #[error("{0}")]
    Broken(String),
}

/// The maps whose entries may be added and removed by name.
const OPEN: [&str; 4] = ["extensions", "flags", "routes", "upstreams"];

/// The most connections that are kept open to an upstream although nobody needs them.
const MOST_KEPT_OPEN: u32 = 1024;
/// The largest body that the cache keeps.
const MOST_KEPT_BODY: u64 = 1024 * 1024;
/// Statuses that a cache may keep answers of without being told so (RFC 9110, 15.1), but for 206,
/// which is a part of one.
const KEPT_STATUSES: [u16; 11] = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];

/// The fields that need not be there, by the map that their entry is in. They can be set, and
/// taken away with `null`.
const OPTIONAL: [(&str, &str); 6] = [
    ("flags", "default_variant"),
    ("flags", "metadata"),
    ("flags", "targeting"),
    ("flags", "variants"),
    ("routes", "cache_policy"),
    ("upstreams", "pool"),
];

/// Applies assignments in order and returns the resulting document.
///
/// The document it starts from is left alone; either all assignments hold or none.
///
/// # Errors
/// When a path does not exist, a value does not fit, or the result breaks a rule of [`check`].
pub fn assign(config: &Config, assignments: &[Assignment]) -> Result<Config, DocumentError> {
    let mut document = serde_json::to_value(config).expect("a configuration is plain data");
    for Assignment { path, value } in assignments {
        set(&mut document, path, value)?;
        // Typed after each one, so that the fault is named with the path that caused it.
        if let Err(error) = serde_json::from_value::<Config>(document.clone()) {
            return Err(DocumentError::BadValue {
                path: path.clone(),
                value: value.to_string(),
                why: error.to_string(),
            });
        }
    }
    let config: Config = serde_json::from_value(document).expect("checked after each assignment");
    check(&config)?;
    Ok(config)
}

fn set(document: &mut Value, path: &str, value: &Value) -> Result<(), DocumentError> {
    let keys: Vec<&str> = path.split('.').collect();
    let (last, parents) = keys.split_last().expect("split gives at least one part");
    let no_such = |known: Vec<String>| DocumentError::NoSuchPath { path: path.to_owned(), known };
    let mut at = document;
    for key in parents {
        let known = known_keys(at);
        at = at.get_mut(key).ok_or_else(|| no_such(known))?;
    }
    let known = known_keys(at);
    let Value::Object(map) = at else { return Err(no_such(Vec::new())) };
    let open = parents.len() == 1 && OPEN.contains(&parents[0]);
    let optional = match parents {
        [of, _] => OPTIONAL.contains(&(*of, last)),
        // What is in there is for the types to say.
        [of, _, field] => OPTIONAL.contains(&(*of, field)),
        _ => false,
    };
    if value.is_null() && open {
        map.remove(*last).ok_or_else(|| no_such(known))?;
    } else if value.is_null() && optional {
        map.remove(*last);
    } else if open
        || optional
        || map.contains_key(*last)
        || ["canary", "extension_canary"].contains(&path)
    {
        map.insert((*last).to_owned(), value.clone());
    } else {
        return Err(no_such(known));
    }
    Ok(())
}

fn known_keys(value: &Value) -> Vec<String> {
    value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// Checks the rules that types alone cannot keep.
///
/// # Errors
/// Names the first rule that is broken.
pub fn check(config: &Config) -> Result<(), DocumentError> {
    let broken = |text: String| Err(DocumentError::Broken(text));
    if !config.upstreams.contains_key(LEGACY) {
        return broken("there must be an upstream named `legacy`".to_owned());
    }
    for (name, upstream) in &config.upstreams {
        let rest = upstream.url.strip_prefix("http://").unwrap_or_default();
        if rest.is_empty() || rest.contains(['/', '?', '#', '@', ' ']) {
            let url = shown_url(&upstream.url);
            return broken(format!("upstream `{name}`: `{url}` is not `http://HOST:PORT`"));
        }
        if let Some(why) = host::refusal(rest) {
            return broken(format!("upstream `{name}`: {why}"));
        }
        if upstream.timeout.is_zero() || upstream.connect_timeout.is_zero() {
            return broken(format!("upstream `{name}`: a timeout of zero never lets a request by"));
        }
        if let Some(why) = upstream.pool.as_ref().and_then(|pool| pool_fault(config, pool)) {
            return broken(format!("upstream `{name}`: its pool {why}"));
        }
    }
    let mut paths = BTreeSet::new();
    for (name, route) in &config.routes {
        if !route.path.starts_with('/') || route.path.contains(['?', '#', ' ']) {
            return broken(format!("route `{name}`: `{}` is not a path", route.path));
        }
        if route.secret.as_ref().is_some_and(|secret| secret.parse::<SecretRef>().is_err()) {
            return broken(format!("route `{name}`: its secret is not `env:NAME` or `file:PATH`"));
        }
        if let Some(why) = route.cache_policy.as_ref().and_then(policy_fault) {
            return broken(format!("route `{name}`: its cache_policy {why}"));
        }
        if !paths.insert(&route.path) {
            return broken(format!("route `{name}`: `{}` is routed twice", route.path));
        }
    }
    extensions::check(config).map_err(DocumentError::Broken)?;
    if let Some(fault) =
        config.flags.iter().find_map(|(name, flag)| flags::faults(name, flag).into_iter().next())
    {
        return broken(fault);
    }
    if let Some(canary) = &config.canary
        && (canary.upstream == LEGACY || !config.upstreams.contains_key(&canary.upstream))
    {
        return broken(format!("canary: `{}` is not a second upstream", canary.upstream));
    }
    if config.scaling.min == 0 || config.scaling.min > config.scaling.max {
        let (min, max) = (config.scaling.min, config.scaling.max);
        return broken(format!("scaling: needs 1 <= min <= max, not min {min} and max {max}"));
    }
    if config.limits.connections == 0 || config.limits.connections_per_address == 0 {
        return broken("limits: without a connection nobody is served".to_owned());
    }
    if let Some(why) = healing_and_scaling(config) {
        return broken(why);
    }
    if config.health.interval.is_zero() {
        return broken("health.interval must be longer than zero".to_owned());
    }
    let tracing = &config.tracing;
    if !tracing.request_id && (tracing.trust_request_id || tracing.answer_request_id) {
        return broken("tracing: without `request_id` there is none to trust or answer".to_owned());
    }
    Ok(())
}

/// The longest wait that is measured: nobody waits for a worker for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What is wrong with the numbers of self-healing and scaling.
fn healing_and_scaling(config: &Config) -> Option<String> {
    let (healing, scaling) = (&config.healing, &config.scaling);
    let within = |name, value: Duration, least: Duration, most: Duration| {
        (value < least || value > most).then(|| {
            let [value, least, most] = [value, least, most].map(duration::format);
            format!("{name} must be between {least} and {most}, not {value}")
        })
    };
    let (ms, second) = (Duration::from_millis(1), Duration::from_secs(1));
    let (hour, week) = (second * 3600, second * 7 * 86_400);
    for (name, value) in [("limit", healing.limit), ("min_requests", healing.min_requests)] {
        if value == 0 {
            return Some(format!("healing.{name} must be at least 1"));
        }
    }
    if scaling.target == Percent::ZERO {
        return Some("scaling.target must be above 0%".to_owned());
    }
    within("healing.cooldown", healing.cooldown, second, week)
        .or_else(|| within("healing.patience", healing.patience, second, week))
        .or_else(|| within("healing.window", healing.window, healing.cooldown, week))
        .or_else(|| within("healing.look_back", healing.look_back, second, second * 300))
        .or_else(|| within("healing.max_delay", healing.max_delay, ms, LONGEST_WAIT))
        .or_else(|| within("healing.release", healing.release, second, hour))
        .or_else(|| within("scaling.queue_delay", scaling.queue_delay, ms, LONGEST_WAIT))
        .or_else(|| within("scaling.stabilization", scaling.stabilization, second, hour))
}

/// What is wrong with the connections to an upstream.
fn pool_fault(config: &Config, pool: &UpstreamPool) -> Option<String> {
    let (min, max) = (pool.min.unwrap_or(0), pool.max);
    if min > MOST_KEPT_OPEN {
        return Some(format!("may keep at most {MOST_KEPT_OPEN} connections open, not {min}"));
    }
    let max_idle = pool.max_idle.unwrap_or(config.pool.max_idle);
    if min > 0 && max_idle == 0 {
        return Some(format!("cannot keep {min} connections open with a max_idle of 0"));
    }
    if min > 0 && pool.idle_timeout.unwrap_or(config.pool.idle_timeout).is_zero() {
        return Some(format!("cannot keep {min} connections open with an idle_timeout of 0s"));
    }
    match max {
        Some(0) => Some("with a max of 0 never lets a request by".to_owned()),
        Some(max) if min > max => Some(format!("needs min <= max, not min {min} and max {max}")),
        None if pool.wait.is_some() => Some("has nothing to wait for without a max".to_owned()),
        _ => None,
    }
}

/// What is wrong with how a route's answers are cached.
fn policy_fault(policy: &CachePolicy) -> Option<String> {
    if policy.ttl.is_some_and(|ttl| ttl.is_zero()) {
        return Some("has a ttl of 0s; set `cache = false` instead".to_owned());
    }
    let known = |status: &&u16| !KEPT_STATUSES.contains(*status);
    if let Some(status) = policy.statuses.iter().find(known) {
        return Some(format!("cannot keep answers of status {status}, only {KEPT_STATUSES:?}"));
    }
    if policy.max_body.is_some_and(|max| max > MOST_KEPT_BODY) {
        return Some(format!("cannot keep bodies of more than {MOST_KEPT_BODY} bytes"));
    }
    for name in &policy.vary {
        if !is_token(name) {
            return Some(format!("varies by `{name}`, which is no header"));
        }
        // Such requests are one person's, and go past the cache.
        if ["authorization", "cookie"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Some(format!("cannot vary by `{name}`: such requests are never cached"));
        }
    }
    None
}

/// Whether a text can be the name of a header (RFC 9110, 5.6.2).
fn is_token(name: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(ok)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set_one(path: &str, value: Value) -> Result<Config, DocumentError> {
        let config = Config::legacy("http://127.0.0.1:8000");
        assign(&config, &[Assignment { path: path.to_owned(), value }])
    }

    #[test]
    fn a_value_is_changed_and_nothing_else() {
        let before = Config::legacy("http://127.0.0.1:8000");
        let after = set_one("cache.mode", json!("read")).unwrap();
        assert_ne!(after, before);
        let back = [Assignment { path: "cache.mode".to_owned(), value: json!("off") }];
        assert_eq!(assign(&after, &back).unwrap().canonical(), before.canonical());
    }

    #[test]
    fn a_misspelt_path_names_what_there_is() {
        let Err(DocumentError::NoSuchPath { known, .. }) = set_one("cache.mood", json!("read"))
        else {
            panic!("must be refused")
        };
        assert_eq!(known, ["capacity", "mode", "ttl"]);
    }

    #[test]
    fn a_bad_value_is_named_with_its_path() {
        let error = set_one("cache.mode", json!("sideways")).unwrap_err();
        assert!(error.to_string().contains("`cache.mode` cannot be \"sideways\""), "{error}");
        assert!(set_one("flags.connection_pooling.percentage", json!("120%")).is_err());
        assert!(set_one("upstreams.legacy", Value::Null).is_err());
        assert!(set_one("upstreams.legacy.url", json!("ftp://x")).is_err());
        let metadata = set_one("upstreams.legacy.url", json!("http://169.254.169.254"));
        let why = metadata.unwrap_err().to_string();
        assert!(why.starts_with("upstream `legacy`: `169.254.169.254` is a link-local"), "{why}");
    }

    #[test]
    fn numbers_of_healing_and_scaling_have_bounds() {
        for (path, value, why) in [
            ("healing.limit", json!(0), "healing.limit must be at least 1"),
            ("healing.min_requests", json!(0), "healing.min_requests must be at least 1"),
            ("healing.cooldown", json!("0s"), "healing.cooldown must be between 1s and 7d, not 0s"),
            ("healing.patience", json!("8d"), "healing.patience must be between 1s and 7d, not 8d"),
            ("healing.window", json!("1s"), "healing.window must be between 30s and 7d, not 1s"),
            (
                "healing.look_back",
                json!("1h"),
                "healing.look_back must be between 1s and 5m, not 1h",
            ),
            (
                "healing.max_delay",
                json!("3s"),
                "healing.max_delay must be between 1ms and 2s, not 3s",
            ),
            ("healing.release", json!("2h"), "healing.release must be between 1s and 1h, not 2h"),
            ("scaling.target", json!("0%"), "scaling.target must be above 0%"),
            (
                "scaling.queue_delay",
                json!("0s"),
                "scaling.queue_delay must be between 1ms and 2s, not 0s",
            ),
            (
                "scaling.stabilization",
                json!("1d"),
                "scaling.stabilization must be between 1s and 1h, not 1d",
            ),
        ] {
            assert_eq!(set_one(path, value).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn a_pool_that_makes_no_sense_is_refused_and_says_why() {
        let good = json!({"min": 2, "max": 4, "wait": "200ms", "idle_timeout": "1s"});
        let with = set_one("upstreams.legacy.pool", good).unwrap();
        let before = Config::legacy("http://127.0.0.1:8000");
        assert_ne!(with, before);
        let gone = [Assignment { path: "upstreams.legacy.pool".to_owned(), value: Value::Null }];
        assert_eq!(assign(&with, &gone).unwrap().canonical(), before.canonical());
        for (pool, why) in [
            (json!({"min": 3, "max": 2}), "needs min <= max, not min 3 and max 2"),
            (json!({"max": 0}), "never lets a request by"),
            (json!({"min": 1, "max_idle": 0}), "with a max_idle of 0"),
            (json!({"min": 1, "idle_timeout": "0s"}), "with an idle_timeout of 0s"),
            (json!({"min": 100_000}), "at most 1024"),
            (json!({"wait": "1s"}), "nothing to wait for without a max"),
            (json!({"mix": 1}), "unknown field `mix`"),
            (json!({"wait": 1}), "cannot be"),
        ] {
            let error = set_one("upstreams.legacy.pool", pool).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_flag_s_rule_is_read_before_it_is_in_force() {
        let checkout = json!({ "enabled": true, "percentage": "100%", "bucketing": "flagd-v2",
            "variants": { "on": true, "off": false } });
        let config = set_one("flags.checkout", checkout).unwrap();
        let target = |rule: Value| {
            let path = "flags.checkout.targeting".to_owned();
            assign(&config, &[Assignment { path, value: rule }])
        };
        let with = target(json!({ "in": ["a", { "var": "team" }] })).unwrap();
        assert!(with.flags["checkout"].targeting.is_some());
        let gone = [Assignment { path: "flags.checkout.targeting".to_owned(), value: Value::Null }];
        assert_eq!(assign(&with, &gone).unwrap().canonical(), config.canonical());
        let error = target(json!({ "if": [{ "foo": 1 }, "on"] })).unwrap_err().to_string();
        assert!(error.starts_with("flags.checkout.targeting.if[0]: operator `foo`"), "{error}");
        let own = set_one("flags.caching_layer.variants", json!({ "a": true })).unwrap_err();
        assert!(own.to_string().contains("`caching_layer` is the orchestrator's own"), "{own}");
    }

    #[test]
    fn one_field_of_what_is_optional_can_be_set_and_taken_away() {
        let with = set_one("upstreams.legacy.pool", json!({"max": 4})).unwrap();
        let set = |value| [Assignment { path: "upstreams.legacy.pool.min".to_owned(), value }];
        let both = assign(&with, &set(json!(2))).unwrap();
        assert_eq!(both.upstreams["legacy"].pool.as_ref().unwrap().min, Some(2));
        assert_eq!(assign(&both, &set(Value::Null)).unwrap().canonical(), with.canonical());
    }

    #[test]
    fn a_cache_policy_that_makes_no_sense_is_refused_and_says_why() {
        let good = json!({"ttl": "5m", "vary": ["Accept-Language"], "query": ["page"],
            "statuses": [200, 404], "max_body": 4096});
        let with = set_one("routes.home.cache_policy", good).unwrap();
        let again: Config = serde_json::from_slice(&with.canonical()).unwrap();
        assert_eq!(again, with);
        for (policy, why) in [
            (json!({"ttl": "0s"}), "has a ttl of 0s"),
            (json!({"statuses": [206]}), "cannot keep answers of status 206"),
            (json!({"vary": ["a b"]}), "varies by `a b`, which is no header"),
            (json!({"vary": ["Cookie"]}), "cannot vary by `Cookie`"),
            (json!({"max_body": 2_000_000}), "more than 1048576 bytes"),
            (json!({"query": "some"}), "`all`, `none`, or a list of parameters"),
        ] {
            let error = set_one("routes.home.cache_policy", policy).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn entries_of_open_maps_come_and_go() {
        let extension = json!({"name": "Linear", "version": "1.0.0",
            "category": "platform_integration", "platform": "linear",
            "upstream": "legacy", "path": "/linear/events"});
        let with = set_one("extensions.linear", extension).unwrap();
        assert_eq!(with.extensions.len(), 1);
        let gone = Assignment { path: "extensions.linear".to_owned(), value: Value::Null };
        assert!(assign(&with, std::slice::from_ref(&gone)).unwrap().extensions.is_empty());
        assert!(assign(&Config::legacy("http://x"), &[gone]).is_err());
    }
}
