//! The JSON Schema of plans, for editors: made from the shapes that the readers use.

use serde_json::{Map, Value, json};

use super::read::PLAN_FILE;
use super::shape::{Key, Kind, Shape};
use super::usual::{Literal, Range, Usual};
use crate::judge::Metric;

/// The JSON Schema (draft 2020-12) of a plan file.
pub fn schema() -> Value {
    let mut schema = table(&PLAN_FILE);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("ctx plan");
    schema
}

fn table(shape: &Shape) -> Value {
    let properties: Map<String, Value> =
        shape.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> =
        shape.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if !shape.about.is_empty() {
        schema["description"] = json!(shape.about);
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = value(key.kind);
    schema["description"] = json!(description(key));
    if let Usual::Is(usual) = key.usual {
        schema["default"] = usual.json();
    }
    // A duration or a size is a text, which a schema cannot bound; its description does.
    if matches!(key.kind, Kind::Count | Kind::Number) {
        let (least, most) = match key.range {
            Range::All => (None, None),
            Range::AboveZero => {
                schema["exclusiveMinimum"] = json!(0);
                (None, None)
            }
            Range::UpTo(most) => (None, Some(most)),
            Range::From(least) => (Some(least), None),
            Range::Between(least, most) => (Some(least), Some(most)),
        };
        let mut bound = |name: &str, end: Option<Literal>| {
            if let Some(end) = end {
                schema[name] = end.json();
            }
        };
        bound("minimum", least);
        bound("maximum", most);
    }
    schema
}

/// Everything there is to know about a key, as an editor shows it.
fn description(key: &Key) -> String {
    let mut text = key.doc.to_owned();
    if matches!(key.kind, Kind::Duration | Kind::Size) && !matches!(key.range, Range::All) {
        text = format!("{text} ({})", key.range);
    }
    if let Usual::Said(words) = key.usual {
        text = format!("{text}; by default {words}");
    }
    if !key.more.is_empty() {
        text = format!("{text}. {}", key.more);
    }
    text
}

fn value(kind: Kind) -> Value {
    let array = |items: Value| json!({"type": "array", "items": items});
    match kind {
        Kind::Text | Kind::Query => json!({"type": "string"}),
        Kind::Url => json!({"type": "string", "pattern": "^https?://[^/?#@ ][^ ]*$"}),
        Kind::Reference => json!({"type": "string", "pattern": "^(env|file):.+$"}),
        Kind::Size => json!({"type": "string", "pattern": "^ *[0-9]+(GiB|MiB|KiB) *$"}),
        Kind::Name => json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}),
        Kind::Duration => json!({"type": "string", "pattern": "^(0|([0-9]+(d|h|m|s|ms))+)$"}),
        Kind::Share => json!({"anyOf": [
            {"type": "string", "pattern": r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,3})?) ?%$"},
            {"type": "number", "minimum": 0, "maximum": 1},
        ]}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Count => json!({"type": "integer", "minimum": 0}),
        Kind::Number => json!({"type": "number"}),
        Kind::Limit => json!({"type": ["string", "number"]}),
        Kind::Days => json!({"type": "string", "pattern": "^[0-9]+( *- *[0-9]+)?$"}),
        Kind::Metric => json!({"enum": Metric::ALL.map(|(_, name, _)| name)}),
        Kind::Choice(words) => json!({"enum": words}),
        Kind::Texts => array(value(Kind::Text)),
        Kind::Names => array(value(Kind::Name)),
        Kind::Shares => array(value(Kind::Share)),
        Kind::Any => json!({}),
        Kind::Table(shape) => table(shape),
        Kind::Tables(shape) => array(table(shape)),
        Kind::Map(kind) => json!({"type": "object", "additionalProperties": value(*kind)}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::MANIFEST;
    use super::*;

    /// Whether `value` fits the parts of JSON Schema that [`schema`] uses, patterns aside.
    fn fits(value: &Value, schema: &Value, at: &str) {
        if let Some(choices) = schema["enum"].as_array() {
            assert!(choices.contains(value), "{at}: {value}");
        }
        let is = |kind: &Value| match kind.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_u64(),
            Some("number") => value.is_number(),
            other => panic!("{at}: a type that is not used: {other:?}"),
        };
        if let Some(number) = value.as_f64() {
            let end = |name: &str| schema[name].as_f64();
            assert!(end("minimum").is_none_or(|least| number >= least), "{at}: {value}");
            assert!(end("exclusiveMinimum").is_none_or(|least| number > least), "{at}: {value}");
            assert!(end("maximum").is_none_or(|most| number <= most), "{at}: {value}");
        }
        match &schema["type"] {
            Value::Null => {}
            Value::Array(kinds) => assert!(kinds.iter().any(is), "{at}: {value}"),
            kind => assert!(is(kind), "{at}: {value}"),
        }
        for (key, value) in value.as_object().into_iter().flatten() {
            let at = format!("{at}.{key}");
            match (&schema["properties"][key], &schema["additionalProperties"]) {
                (Value::Null, Value::Bool(false)) => panic!("{at} is not in the schema"),
                (Value::Null, Value::Null) => {}
                (Value::Null, open) => fits(value, open, &at),
                (known, _) => fits(value, known, &at),
            }
        }
        for key in schema["required"].as_array().into_iter().flatten() {
            assert!(value.get(key.as_str().unwrap()).is_some(), "{at} needs {key}");
        }
        for (n, item) in value.as_array().into_iter().flatten().enumerate() {
            fits(item, &schema["items"], &format!("{at}[{n}]"));
        }
    }

    #[test]
    fn the_plans_of_the_repository_fit_the_schema() {
        for file in ["plans/contexten.toml", "plans/examples/shop.toml", "plans/reference.toml"] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text = std::fs::read_to_string(path).unwrap();
            let plan: Value = toml::from_str(&text).unwrap();
            fits(&plan, &schema(), file);
        }
    }

    #[test]
    fn every_key_says_what_it_is_for_and_is_usually_what_it_may_be() {
        fn look(shape: &Shape) {
            for key in shape.keys {
                assert!(!key.doc.is_empty() && !key.doc.ends_with('.'), "{}", key.name);
                assert!(key.more.is_empty() || key.more.ends_with('.'), "{}", key.name);
                if let Usual::Is(usual) = key.usual {
                    assert!(!key.required && key.range.holds(usual), "{}", key.name);
                    fits(&usual.json(), &property(key), key.name);
                }
                let mut kind = key.kind;
                while let Kind::Map(inner) = kind {
                    kind = *inner;
                }
                if let Kind::Table(inner) | Kind::Tables(inner) = kind {
                    look(inner);
                }
            }
        }
        look(&PLAN_FILE);
        look(&MANIFEST);
    }
}
