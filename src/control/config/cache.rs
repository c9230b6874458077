//! The answer cache, and what is different about it on a route.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{self, SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::duration;

/// The answer cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// What it does.
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

/// How the answers of a route are cached. What is absent is as it is without a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CachePolicy {
    /// How long an answer may be served again, shorter or longer than `cache.ttl`; never longer
    /// than its sender allows.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::option")]
    #[schemars(with = "Option<duration::Text>")]
    pub ttl: Option<Duration>,
    /// Request headers that answers may depend on, besides `host` and `accept-encoding`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vary: Vec<String>,
    /// The part of the query that answers depend on.
    #[serde(default, skip_serializing_if = "Query::is_all")]
    pub query: Query,
    /// Statuses of answers that are kept; absent is 200 alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<u16>,
    /// The largest body that is kept, in bytes; at most, and by default, 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<u64>,
}

/// The part of a query that answers depend on: `"all"`, `"none"`, or a list of parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Query {
    #[default]
    All,
    None,
    Only(Vec<String>),
}

impl Query {
    fn is_all(&self) -> bool {
        *self == Self::All
    }
}

impl Serialize for Query {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::None => serializer.serialize_str("none"),
            Self::Only(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Query;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all`, `none`, or a list of parameters")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Query, E> {
                match text {
                    "all" => Ok(Query::All),
                    "none" => Ok(Query::None),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Query, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(names)).map(Query::Only)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Query {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Query".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The part of a query that answers depend on.",
            "oneOf": [
                { "type": "string", "enum": ["all", "none"] },
                { "type": "array", "items": { "type": "string" } },
            ],
        })
    }
}
