//! Extensions that the orchestrator runs as programs of its own: what they are started with, and
//! what they may use.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::units::{duration, size};

/// What a program is given when it starts, by key.
pub type Configuration = BTreeMap<String, Value>;
/// What a configuration may hold, by key.
pub type Schema = BTreeMap<String, Parameter>;

/// A program that the orchestrator runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// The program and its arguments; never a shell's line. A word that begins with `./` is a
    /// file below the folder that the orchestrator takes programs from.
    pub command: Vec<String>,
    pub permissions: Permissions,
    pub limits: Limits,
    pub replicas: Replicas,
    /// How long it may take until it is ready.
    pub start_timeout: Duration,
    pub config: Configuration,
    pub config_schema: Schema,
}

/// What a program is given of the orchestrator's own.
///
/// What it may reach over the network or read on the disk is the business of the user that the
/// orchestrator runs as: nothing here restricts that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// Names of environment variables that are passed on, besides `PATH` and `LANG`.
    pub env: Vec<String>,
}

/// What each replica may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ProcessLimits")]
pub struct Limits {
    /// Its address space (`RLIMIT_AS`).
    #[serde(with = "size")]
    #[schemars(with = "size::Text")]
    pub memory: u64,
    /// Processor time in its life (`RLIMIT_CPU`), in whole seconds; then it is ended, and started
    /// anew. None: as much as it takes.
    pub cpu_seconds: Option<u64>,
    /// Files and sockets at the same time (`RLIMIT_NOFILE`).
    pub open_files: u64,
    /// Processes and threads of the orchestrator's user, all together (`RLIMIT_NPROC`); of no
    /// effect on root. None: as many as the user may have.
    pub processes: Option<u64>,
    /// How long it may take for an event. A replica that takes longer is replaced.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub timeout: Duration,
    /// Events that it is given at the same time.
    #[schemars(range(min = 1))]
    pub in_flight: u32,
    /// Events that may wait until a replica is free, over all of them.
    pub queue: u32,
    /// How long an event may wait.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub wait: Duration,
}

impl Limits {
    /// What holds unless a manifest says otherwise.
    pub const USUAL: Self = Self {
        memory: 512 << 20,
        cpu_seconds: None,
        open_files: 64,
        processes: None,
        timeout: Duration::from_secs(10),
        in_flight: 8,
        queue: 128,
        wait: Duration::from_secs(2),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::USUAL
    }
}

/// How many of a program run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Replicas {
    /// The fewest that run.
    #[schemars(range(min = 1))]
    pub min: u32,
    /// The most that scaling may start; at most 64.
    pub max: u32,
}

impl Replicas {
    /// What holds unless a manifest says otherwise.
    pub const USUAL: Self = Self { min: 1, max: 1 };

    /// The most that there may be.
    pub const MOST: u32 = 64;
}

impl Default for Replicas {
    fn default() -> Self {
        Self::USUAL
    }
}

/// How long a program may take to be ready unless it says so.
pub const START_TIMEOUT: Duration = Duration::from_secs(10);

/// What one key of a configuration may hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The type of its value.
    #[serde(rename = "type")]
    pub kind: ParameterKind,
    /// Whether it must be given; one with a default need not be.
    #[serde(default)]
    pub required: bool,
    /// What it is when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The values that it may have; any when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
}

/// A type of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    String,
    Integer,
    Number,
    Boolean,
    /// Texts, numbers or truth values.
    Array,
}

/// What is wrong with a configuration, and at which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The key, or what it should have been.
    pub key: String,
    pub of: Misfits,
}

/// Where the fault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfits {
    /// It is needed and not there.
    Missing,
    /// The schema has no such key.
    Unknown,
    /// Its value is of another type, or none of the choices.
    Value(String),
    /// Its own default, or one of its choices, does not fit it.
    Schema(String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.of {
            Misfits::Missing => write!(f, "`config` needs `{key}`"),
            Misfits::Unknown => write!(f, "`config.{key}` is not in `config_schema`"),
            Misfits::Value(why) => write!(f, "`config.{key}` {why}"),
            Misfits::Schema(why) => write!(f, "`config_schema.{key}`: {why}"),
        }
    }
}

impl Process {
    /// Everything in its configuration that its schema does not allow.
    pub fn misfits(&self) -> Vec<Misfit> {
        let at = |key: &String, of| Misfit { key: key.clone(), of };
        let mut misfits = Vec::new();
        for (key, parameter) in &self.config_schema {
            let given = parameter.default.iter().map(|value| ("its default", value));
            let given = given.chain(parameter.choices.iter().map(|value| ("a choice", value)));
            for (what, value) in given {
                if let Err(why) = parameter.check(value) {
                    misfits.push(at(key, Misfits::Schema(format!("{what} {why}"))));
                }
            }
            if parameter.required && parameter.default.is_none() && !self.config.contains_key(key) {
                misfits.push(at(key, Misfits::Missing));
            }
        }
        for (key, value) in &self.config {
            match self.config_schema.get(key).map(|parameter| parameter.check(value)) {
                None => misfits.push(at(key, Misfits::Unknown)),
                Some(Err(why)) => misfits.push(at(key, Misfits::Value(why))),
                Some(Ok(())) => {}
            }
        }
        misfits
    }

    /// The configuration as the program gets it: what is given, and else the defaults.
    pub fn configuration(&self) -> Configuration {
        let default = |(key, parameter): (&String, &Parameter)| {
            Some((key.clone(), parameter.default.clone()?))
        };
        let mut configuration: Configuration =
            self.config_schema.iter().filter_map(default).collect();
        configuration.extend(self.config.clone());
        configuration
    }
}

impl Parameter {
    fn check(&self, value: &Value) -> Result<(), String> {
        let (fits, word) = match self.kind {
            ParameterKind::String => (value.is_string(), "a text"),
            ParameterKind::Integer => (value.is_i64() || value.is_u64(), "a whole number"),
            ParameterKind::Number => (value.is_number(), "a number"),
            ParameterKind::Boolean => (value.is_boolean(), "`true` or `false`"),
            ParameterKind::Array => (is_plain_array(value), "an array of single values"),
        };
        if !fits {
            return Err(format!("must be {word}, not {}", kind_of(value)));
        }
        if !self.choices.is_empty() && !self.choices.contains(value) {
            let choices: Vec<String> = self.choices.iter().map(|c| format!("`{c}`")).collect();
            return Err(format!("must be one of {}", choices.join(", ")));
        }
        Ok(())
    }
}

fn is_plain_array(value: &Value) -> bool {
    let plain = |item: &Value| !item.is_array() && !item.is_object() && !item.is_null();
    value.as_array().is_some_and(|items| items.iter().all(plain))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn process(schema: Value, config: Value) -> Process {
        Process {
            command: vec!["x".to_owned()],
            permissions: Permissions::default(),
            limits: Limits::default(),
            replicas: Replicas::default(),
            start_timeout: START_TIMEOUT,
            config: serde_json::from_value(config).unwrap(),
            config_schema: serde_json::from_value(schema).unwrap(),
        }
    }

    #[test]
    fn a_configuration_is_held_against_its_schema() {
        let schema = json!({
            "greeting": {"type": "string", "required": true},
            "loud": {"type": "boolean", "default": false},
            "tone": {"type": "string", "choices": ["warm", "cool"]},
            "times": {"type": "integer", "default": "once"},
        });
        let config = json!({"loud": 1, "tone": "sour", "colour": "red"});
        let said: Vec<String> =
            process(schema, config).misfits().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "`config` needs `greeting`",
                "`config_schema.times`: its default must be a whole number, not a text",
                "`config.colour` is not in `config_schema`",
                "`config.loud` must be `true` or `false`, not a number",
                "`config.tone` must be one of `\"warm\"`, `\"cool\"`",
            ]
        );
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let schema = json!({
            "greeting": {"type": "string", "required": true, "default": "hello"},
            "times": {"type": "integer", "default": 1},
            "ratio": {"type": "number"},
        });
        let process = process(schema, json!({"times": 2}));
        assert_eq!(process.misfits(), []);
        let given = serde_json::to_value(process.configuration()).unwrap();
        assert_eq!(given, json!({"greeting": "hello", "times": 2}));
    }
}
