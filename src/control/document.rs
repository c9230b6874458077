//! Changes to the configuration document: a list of paths and values, and the rules that a
//! document must keep.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{Config, LEGACY};
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

/// The fields of a flag that may be absent.
const OPTIONAL: [&str; 4] = ["variants", "default_variant", "targeting", "metadata"];

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
    let open = (parents.len() == 1 && OPEN.contains(&parents[0]))
        || matches!(parents, ["flags", _] if OPTIONAL.contains(last));
    if value.is_null() && open {
        map.remove(*last).ok_or_else(|| no_such(known))?;
    } else if open || map.contains_key(*last) || path == "canary" {
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
    }
    let mut paths = BTreeSet::new();
    for (name, route) in &config.routes {
        if !route.path.starts_with('/') || route.path.contains(['?', '#', ' ']) {
            return broken(format!("route `{name}`: `{}` is not a path", route.path));
        }
        if route.secret.as_ref().is_some_and(|secret| secret.parse::<SecretRef>().is_err()) {
            return broken(format!("route `{name}`: its secret is not `env:NAME` or `file:PATH`"));
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
