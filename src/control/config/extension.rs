//! Installed extensions.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::process::{
    Configuration, Limits, Permissions, Process, Replicas, START_TIMEOUT, Schema,
};
use super::route::Platform;
use crate::ids::ExtensionId;
use crate::units::duration;

/// An installed extension: a handler for a platform's events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "Written")]
#[schemars(with = "Written")]
pub struct Extension {
    pub name: String,
    /// `MAJOR.MINOR.PATCH`.
    pub version: String,
    pub category: Category,
    /// Whose events it handles, while the flag `extension_management` includes them.
    pub platform: Platform,
    /// What must be installed too.
    pub depends_on: Vec<Dependency>,
    pub kind: Kind,
}

/// What an extension is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    PlatformIntegration,
    EventProcessor,
}

/// Who answers for an extension.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A server that runs anyway.
    Http {
        /// Its name among the upstreams.
        upstream: String,
        /// The path there that takes the event.
        path: String,
    },
    /// A program that the orchestrator runs.
    Process(Box<Process>),
}

impl Extension {
    /// The program, if the orchestrator runs one for it.
    pub fn process(&self) -> Option<&Process> {
        match &self.kind {
            Kind::Process(process) => Some(process),
            Kind::Http { .. } => None,
        }
    }
}

/// Another extension, and which versions of it will do: `linear-integration >= 1.0`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    with = "String",
    extend("pattern" = r"^[a-z0-9][a-z0-9_-]{0,63}( (>=|<=|>|<|=|~)?(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){0,2})?$")
)]
pub struct Dependency {
    pub id: ExtensionId,
    /// None: any version.
    pub versions: Option<VersionReq>,
}

/// Why a text names no dependency.
#[derive(Debug, thiserror::Error)]
pub enum DependencyError {
    #[error(transparent)]
    Id(#[from] crate::ids::NameError),
    #[error("`{text}` asks for no version: {source}")]
    Versions { text: String, source: semver::Error },
}

impl Dependency {
    /// Whether a version of the other extension will do; one that is none never does.
    pub fn accepts(&self, version: &str) -> bool {
        let Some(versions) = &self.versions else { return true };
        Version::parse(version).is_ok_and(|version| versions.matches(&version))
    }
}

impl FromStr for Dependency {
    type Err = DependencyError;

    fn from_str(text: &str) -> Result<Self, DependencyError> {
        let end = text.find([' ', '<', '>', '=', '^', '~', '*']).unwrap_or(text.len());
        let (id, versions) = text.split_at(end);
        let versions = versions.trim();
        let versions = (!versions.is_empty()).then(|| versions.parse()).transpose();
        let versions = versions
            .map_err(|source| DependencyError::Versions { text: text.to_owned(), source })?;
        Ok(Self { id: id.parse()?, versions })
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.versions {
            Some(versions) => write!(f, "{} {versions}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

impl TryFrom<String> for Dependency {
    type Error = DependencyError;

    fn try_from(text: String) -> Result<Self, DependencyError> {
        text.parse()
    }
}

impl From<Dependency> for String {
    fn from(dependency: Dependency) -> Self {
        dependency.to_string()
    }
}

/// An extension as the document has it: the keys of a manifest, of which some belong to one kind.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Extension", transform = one_kind_or_the_other)]
struct Written {
    /// Its name for people.
    name: String,
    /// `MAJOR.MINOR.PATCH`.
    version: String,
    /// What it is for.
    category: Category,
    /// Whose events it handles, while the flag `extension_management` includes them.
    platform: Platform,
    /// Ids of extensions that must be installed too, each with the versions that will do.
    #[serde(default)]
    depends_on: Vec<Dependency>,
    /// `http`, which it is without a word, or `process`.
    #[serde(default, skip_serializing_if = "KindName::is_http")]
    #[schemars(with = "String")]
    kind: KindName,
    /// `http`: the upstream that answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    /// `http`: the path there that takes the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// `process`: the program and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    /// `process`: what it is given besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions>,
    /// `process`: what each replica may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    /// `process`: how many of it run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replicas: Option<Replicas>,
    /// `process`: how long it may take until it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_duration")]
    #[schemars(with = "Option<duration::Text>")]
    start_timeout: Option<std::time::Duration>,
    /// `process`: what it is given when it starts, by key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<Configuration>,
    /// `process`: what `config` may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config_schema: Option<Schema>,
}

/// Makes two schemas of the one with all keys: what is needed and what is not allowed depends on
/// the kind.
fn one_kind_or_the_other(schema: &mut schemars::Schema) {
    let Some(all) = schema.get("properties").and_then(Value::as_object).cloned() else { return };
    let text = || json!({ "type": "string" });
    let words = || json!({ "type": "array", "items": { "type": "string" } });
    let of = |kind: &str, needs: &[(&str, Value)], not: &[&str]| {
        let mut properties = all.clone();
        properties.retain(|key, _| !not.contains(&key.as_str()));
        let mut insert = |key: &str, mut schema: Value| {
            if let Some(text) = all.get(key).and_then(|of| of.get("description")) {
                schema["description"] = text.clone();
            }
            properties.insert(key.to_owned(), schema);
        };
        insert("kind", json!({ "const": kind }));
        let mut required = vec!["name", "version", "category", "platform"];
        for (key, schema) in needs {
            insert(key, schema.clone());
            required.push(key);
        }
        if kind != "http" {
            required.push("kind");
        }
        json!({ "type": "object", "properties": properties, "required": required,
            "additionalProperties": false })
    };
    let http = of("http", &[("upstream", text()), ("path", text())], &OF_PROCESS);
    let process = of("process", &[("command", words())], &OF_HTTP);
    let described = schema.get("description").cloned();
    *schema = schemars::json_schema!({ "oneOf": [http, process] });
    if let Some(text) = described {
        schema.insert("description".to_owned(), text);
    }
}

/// Keys that only extensions of one kind have.
const OF_HTTP: [&str; 2] = ["upstream", "path"];
const OF_PROCESS: [&str; 7] =
    ["command", "permissions", "limits", "replicas", "start_timeout", "config", "config_schema"];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindName {
    #[default]
    Http,
    Process,
}

impl KindName {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn is_http(&self) -> bool {
        *self == Self::Http
    }
}

impl TryFrom<Written> for Extension {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { name, version, category, platform, depends_on, kind, .. } = written;
        let stray = |kind: &str, keys: &[(&str, bool)]| match keys.iter().find(|(_, there)| *there)
        {
            Some((key, _)) => Err(format!("an extension of kind `{kind}` has no `{key}`")),
            None => Ok(()),
        };
        let needed = |kind: &str, key: &str| format!("an extension of kind `{kind}` needs `{key}`");
        let kind = match kind {
            KindName::Http => {
                stray(
                    "http",
                    &[
                        ("command", written.command.is_some()),
                        ("permissions", written.permissions.is_some()),
                        ("limits", written.limits.is_some()),
                        ("replicas", written.replicas.is_some()),
                        ("start_timeout", written.start_timeout.is_some()),
                        ("config", written.config.is_some()),
                        ("config_schema", written.config_schema.is_some()),
                    ],
                )?;
                let upstream = written.upstream.ok_or_else(|| needed("http", "upstream"))?;
                let path = written.path.ok_or_else(|| needed("http", "path"))?;
                Kind::Http { upstream, path }
            }
            KindName::Process => {
                let keys =
                    [("upstream", written.upstream.is_some()), ("path", written.path.is_some())];
                stray("process", &keys)?;
                Kind::Process(Box::new(Process {
                    command: written.command.ok_or_else(|| needed("process", "command"))?,
                    permissions: written.permissions.unwrap_or_default(),
                    limits: written.limits.unwrap_or_default(),
                    replicas: written.replicas.unwrap_or_default(),
                    start_timeout: written.start_timeout.unwrap_or(START_TIMEOUT),
                    config: written.config.unwrap_or_default(),
                    config_schema: written.config_schema.unwrap_or_default(),
                }))
            }
        };
        Ok(Self { name, version, category, platform, depends_on, kind })
    }
}

impl From<Extension> for Written {
    fn from(extension: Extension) -> Self {
        let Extension { name, version, category, platform, depends_on, kind } = extension;
        let mut written = Self {
            name,
            version,
            category,
            platform,
            depends_on,
            kind: KindName::Http,
            upstream: None,
            path: None,
            command: None,
            permissions: None,
            limits: None,
            replicas: None,
            start_timeout: None,
            config: None,
            config_schema: None,
        };
        match kind {
            Kind::Http { upstream, path } => {
                (written.upstream, written.path) = (Some(upstream), Some(path));
            }
            Kind::Process(process) => {
                let process = *process;
                written.kind = KindName::Process;
                written.command = Some(process.command);
                written.permissions = Some(process.permissions);
                written.limits = Some(process.limits);
                written.replicas = Some(process.replicas);
                written.start_timeout = Some(process.start_timeout);
                written.config = Some(process.config);
                written.config_schema = Some(process.config_schema);
            }
        }
        written
    }
}

mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::units::duration;

    #[expect(clippy::ref_option, reason = "serde asks for a reference")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => duration::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| duration::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_before_is_an_upstream_and_keeps_its_bytes() {
        let before = json!({"name": "Linear", "version": "1.0.0", "depends_on": ["a-b"],
            "category": "platform_integration", "platform": "linear",
            "upstream": "legacy", "path": "/linear/events"});
        let extension: Extension = serde_json::from_value(before.clone()).unwrap();
        assert!(matches!(extension.kind, Kind::Http { .. }));
        assert_eq!(serde_json::to_value(extension).unwrap(), before);
    }

    #[test]
    fn keys_of_the_other_kind_are_refused_by_name() {
        let base = json!({"name": "X", "version": "1.0.0", "category": "event_processor",
            "platform": "linear"});
        for (more, expect) in [
            (json!({}), "an extension of kind `http` needs `upstream`"),
            (json!({"kind": "process"}), "an extension of kind `process` needs `command`"),
            (
                json!({"kind": "process", "command": ["x"], "path": "/x"}),
                "an extension of kind `process` has no `path`",
            ),
            (
                json!({"upstream": "legacy", "path": "/", "replicas": {}}),
                "an extension of kind `http` has no `replicas`",
            ),
            (json!({"colour": "red"}), "unknown field `colour`"),
        ] {
            let mut value = base.clone();
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let error = serde_json::from_value::<Extension>(value).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
    }

    #[test]
    fn a_dependency_may_ask_for_versions() {
        let any: Dependency = "linear-integration".parse().unwrap();
        assert!(any.accepts("0.1.0"));
        for text in ["linear >= 1.0, <3", "linear>=1.0,<3"] {
            let some: Dependency = text.parse().unwrap();
            assert!(some.accepts("2.9.9") && !some.accepts("0.9.0") && !some.accepts("odd"));
            assert_eq!(some.to_string(), "linear >=1.0, <3");
            assert_eq!(some.to_string().parse::<Dependency>().unwrap(), some);
        }
        assert!("linear >= one".parse::<Dependency>().is_err());
        assert!("Linear".parse::<Dependency>().is_err());
    }
}
