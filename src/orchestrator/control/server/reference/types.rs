//! The types of the page: what each is called in a table, and how it is described.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::PROBLEMS;
use crate::kept::{Page, anchor, divided};

/// The types of the document, and which of them are still to be described.
pub(super) struct Types {
    pub(super) all: Map<String, Value>,
    pub(super) left: BTreeSet<String>,
    /// The document that an orchestrator begins with.
    pub(super) first: Value,
}

impl Types {
    /// The types that these lead to, each before those that it names.
    pub(super) fn reached(&self, from: &BTreeSet<String>) -> Vec<String> {
        fn add(types: &Types, names: &BTreeSet<String>, found: &mut Vec<String>) {
            for name in names {
                if !found.contains(name) {
                    found.push(name.clone());
                    let mut named = BTreeSet::new();
                    references(&types.all[name], &mut named);
                    add(types, &named, found);
                }
            }
        }
        let mut found = Vec::new();
        add(self, from, &mut found);
        found
    }

    /// A type and all that it leads to.
    pub(super) fn below(&self, name: &str) -> Vec<String> {
        self.reached(&BTreeSet::from([name.to_owned()]))
    }

    /// Whether a type is a text or a number with a form of its own, or words without a meaning of
    /// their own.
    pub(super) fn is_short(&self, name: &str) -> bool {
        let schema = &self.all[name];
        schema["type"] == "string" && schema["enum"].is_null()
    }

    pub(super) fn describe(&self, page: &mut Page, level: usize, name: &str) {
        let schema = &self.all[name];
        page.heading(level, &format!("`{name}`"));
        page.paragraph(&described(schema));
        let variants = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
        if variants.iter().any(|variant| variant["properties"].is_object()) {
            for (n, variant) in variants.iter().enumerate() {
                page.paragraph(if n == 0 { "Either:" } else { "Or:" });
                fields(page, variant, None);
            }
        } else if !variants.is_empty() || schema["enum"].is_array() {
            words(page, schema);
        } else {
            let whole = (name == "Config").then_some(&self.first);
            let first = whole.or_else(|| self.first.get(self.place(name)?));
            fields(page, schema, first);
        }
    }

    /// The key of the configuration whose value is of this type.
    fn place(&self, name: &str) -> Option<&str> {
        let keys = self.all["Config"]["properties"].as_object()?;
        keys.iter().find(|(_, of)| reference(of) == Some(name)).map(|(key, _)| key.as_str())
    }
}

/// What a value is, in a few words, with links to types.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        return match name {
            // Its words are a chapter.
            "ProblemCode" => format!("[`{name}`](#{})", anchor(PROBLEMS)),
            // A link to what explains itself only takes the room of words.
            "Duration" | "Percent" | "Size" => format!("`{name}`"),
            _ => format!("[`{name}`](#{})", anchor(name)),
        };
    }
    if let Some(word) = schema["const"].as_str() {
        return format!("`{word}`");
    }
    for any in ["anyOf", "oneOf"] {
        if let Some(kinds) = schema[any].as_array() {
            return kinds.iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::Array(kinds) => {
            let one = |of: &Value| {
                let mut schema = schema.clone();
                schema["type"] = of.clone();
                kind(&schema)
            };
            kinds.iter().map(one).collect::<Vec<_>>().join(" or ")
        }
        Value::String(of) => match of.as_str() {
            "array" if schema["prefixItems"].is_array() => "pair of texts".to_owned(),
            "array" => format!("list of {}", kind(&schema["items"])),
            "object" => match &schema["additionalProperties"] {
                Value::Object(_) => format!("map of {}", kind(&schema["additionalProperties"])),
                _ => {
                    match schema["patternProperties"].as_object().and_then(|p| p.values().next()) {
                        Some(of) => format!("map of {}", kind(of)),
                        None => "object".to_owned(),
                    }
                }
            },
            "string" => "text".to_owned(),
            "integer" | "number" => format!("{of}{}", range(schema)),
            other => other.to_owned(),
        },
        _ => "any JSON".to_owned(),
    }
}

/// The bounds of a number, unless they are those of its size alone.
fn range(schema: &Value) -> String {
    let least = schema["minimum"].as_f64().filter(|least| *least != 0.0);
    let most = schema["maximum"].as_u64().filter(|most| {
        ![u64::from(u16::MAX), u64::from(u32::MAX), u64::MAX, (1 << 53) - 1].contains(most)
    });
    match (least, most) {
        (None, None) => String::new(),
        (Some(least), None) => format!(" ≥ {least}"),
        (None, Some(most)) => format!(" ≤ {most}"),
        (Some(least), Some(most)) => format!(" {least} to {most}"),
    }
}

/// The type that a schema stands for.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

/// Every type that is named within.
pub(super) fn references(schema: &Value, found: &mut BTreeSet<String>) {
    found.extend(reference(schema).map(str::to_owned));
    match schema {
        Value::Object(map) => map.values().for_each(|value| references(value, found)),
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

pub(super) fn described(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

/// The fields of an object; with `first`, what they are in the document that an orchestrator begins
/// with.
fn fields(page: &mut Page, schema: &Value, first: Option<&Value>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let required = |field: &str| {
        schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == field))
    };
    let mut notes = Vec::new();
    let mut rows = Vec::new();
    for (field, of) in properties {
        let given = match (first.and_then(|first| first.get(field)), &of["default"]) {
            (Some(Value::Object(_)), _) => String::new(),
            (Some(value), _) => format!("`{value}`"),
            (None, _) if required(field) => "always".to_owned(),
            (None, Value::Null) => String::new(),
            // What is empty says nothing.
            (None, value) if [json!([]), json!({}), json!("")].contains(value) => String::new(),
            (None, Value::Object(_)) => String::new(),
            (None, value) => format!("else `{value}`"),
        };
        let cells = [format!("`{field}`"), kind(of), given];
        // A variant with a value has its words beside its one field.
        let told = if of["description"].is_string() { of } else { schema };
        let (short, rest) = divided(&cells, &described(told));
        if !rest.is_empty() {
            notes.push(format!("`{field}`: {rest}"));
        }
        let short =
            if short.is_empty() && !rest.is_empty() { "see below".to_owned() } else { short };
        let [field, kind, given] = cells;
        rows.push([field, kind, given, short]);
    }
    let given = if first.is_some() { "at first" } else { "given" };
    page.table(["field", "type", given, "meaning"], &rows);
    page.list(&notes);
}

/// The words of a type, each with what it means.
fn words(page: &mut Page, schema: &Value) {
    let mut items = Vec::new();
    let all = schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    for variant in &all {
        if let Some(word) = variant["const"].as_str() {
            items.push(format!("`{word}`: {}", described(variant)));
        } else if let Some(words) = variant["enum"].as_array() {
            let words = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`"));
            items.push(words.collect::<Vec<_>>().join(", "));
        } else {
            items.push(kind(variant));
        }
    }
    page.list(&items);
}
