//! Changes to the configuration document: a list of paths and values, and the rules that a
//! document must keep.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{Config, LEGACY};
use super::host;
use crate::secret::{SecretRef, shown_url};

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
    for (id, extension) in &config.extensions {
        if !config.upstreams.contains_key(&extension.upstream) {
            return broken(format!("extension `{id}`: no upstream `{}`", extension.upstream));
        }
        if let Some(missing) =
            extension.depends_on.iter().find(|id| !config.extensions.contains_key(id))
        {
            return broken(format!("extension `{id}` depends on `{missing}`: not installed"));
        }
        if let Some((other, _)) = config
            .extensions
            .iter()
            .find(|(other, e)| *other != id && e.platform == extension.platform)
        {
            let platform = extension.platform.name();
            return broken(format!("extensions `{other}` and `{id}` both handle {platform}"));
        }
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
    if config.health.interval.is_zero() {
        return broken("health.interval must be longer than zero".to_owned());
    }
    let tracing = &config.tracing;
    if !tracing.request_id && (tracing.trust_request_id || tracing.answer_request_id) {
        return broken("tracing: without `request_id` there is none to trust or answer".to_owned());
    }
    Ok(())
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
