//! `docs/api.md`: every operation and every type of the control API, made from the table of routes
//! and the `OpenAPI` document.
//!
//! Law: the page says what the document says. What is written by hand stands above the mark in the
//! page itself, and `tests/it/api.rs` runs it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::openapi::{document, parameter, problems};
use super::routes::{Content, Parameter, ROUTES, Route};
use super::subjects::{SUBJECTS, subject};
use crate::control::config::Config;
use crate::control::wire::ProblemCode;
use crate::kept::{self, Page, anchor, divided};

/// The last chapters.
const CONFIGURATION: &str = "The configuration";
const TEXTS: &str = "Texts with a form";
const PARAMETERS: &str = "Headers and parameters";
const PROBLEMS: &str = "Problems";

/// Every parameter, in the order of the page.
const ALL_PARAMETERS: [Parameter; 10] = [
    Parameter::Fence,
    Parameter::MaybeFence,
    Parameter::Key,
    Parameter::IfMatch,
    Parameter::Rev,
    Parameter::Letter,
    Parameter::KeyPath,
    Parameter::From,
    Parameter::After,
    Parameter::TakenBack,
];

/// The types of the document, and which of them are still to be described.
struct Types {
    all: Map<String, Value>,
    left: BTreeSet<String>,
    /// The document that an orchestrator begins with.
    first: Value,
}

fn text() -> String {
    let document = document();
    let all = document["components"]["schemas"].as_object().expect("it has types").clone();
    let first = serde_json::to_value(Config::legacy("http://127.0.0.1:8000")).expect("plain data");
    let mut types = Types { left: BTreeSet::new(), all, first };
    let of_config = types.below("Config");
    // These have chapters of their own.
    let elsewhere = |name: &String| {
        of_config.contains(name) || types.is_short(name) || name.starts_with("Problem")
    };
    types.left = types.all.keys().filter(|name| !elsewhere(name)).cloned().collect();

    let mut page = Page::default();
    overview(&mut page);
    for of in SUBJECTS {
        page.heading(2, of.name);
        page.paragraph(of.about);
        let routes: Vec<&Route> = ROUTES.iter().filter(|r| subject(r).name == of.name).collect();
        routes.iter().for_each(|route| operation(&mut page, route, &document));
        for route in routes {
            let operation = &document["paths"][route.path][route.method];
            let mut named = BTreeSet::new();
            references(operation, &mut named);
            for name in types.reached(&named) {
                if types.left.remove(&name) {
                    types.describe(&mut page, 3, &name);
                }
            }
        }
    }
    assert!(types.left.is_empty(), "no operation leads to {:?}", types.left);
    configuration(&mut page, &types, &of_config);
    short_types(&mut page, &types);
    parameters(&mut page);
    all_problems(&mut page, &types);
    page.into_text()
}

fn overview(page: &mut Page) {
    page.heading(2, "All operations");
    let chapters = SUBJECTS.iter().map(|s| format!("[{}](#{})", s.name, anchor(s.name)));
    let others =
        [CONFIGURATION, TEXTS, PARAMETERS, PROBLEMS].map(|h| format!("[{h}](#{})", anchor(h)));
    page.paragraph(&format!("{}.", listed(&chapters.chain(others).collect::<Vec<_>>())));
    let of = |name: &'static str| ROUTES.iter().filter(move |r| subject(r).name == name);
    let row = |route: &Route| [format!("`{}`", heading(route)), route.summary.to_owned()];
    let rows: Vec<_> = SUBJECTS.iter().flat_map(|s| of(s.name)).map(row).collect();
    page.table(["operation", "what it does"], &rows);
}

/// `PUT /v1/lease`.
fn heading(route: &Route) -> String {
    format!("{} {}", route.method.to_uppercase(), route.path)
}

fn operation(page: &mut Page, route: &Route, document: &Value) {
    page.heading(3, &format!("`{}`", heading(route)));
    page.paragraph(format!("{}. {}", route.summary, route.about).trim());
    let operation = &document["paths"][route.path][route.method];
    let mut items = Vec::new();
    if route.open {
        items.push("**Who**: anybody, without a token.".to_owned());
    }
    let sent: Vec<String> = route.parameters.iter().map(|p| sends(*p)).collect();
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let body = (!body.is_null()).then(|| format!("a body, {}", kind(body)));
    let sent: Vec<String> = sent.into_iter().chain(body).collect();
    if !sent.is_empty() {
        items.push(format!("**Sends** {}.", listed(&sent)));
    }
    for (status, content) in route.replies {
        let reply = &operation["responses"][status.to_string()];
        let with = match content {
            Content::Nothing => "nothing".to_owned(),
            Content::Text(of) | Content::Bytes(of) => format!("`{of}`"),
            Content::Json(_) => kind(&reply["content"]["application/json"]["schema"]),
            Content::Tagged(_) => {
                format!("{}, with `ETag`", kind(&reply["content"]["application/json"]["schema"]))
            }
        };
        let why = if route.replies.len() > 1 {
            format!("; {}", reply["description"].as_str().unwrap_or_default())
        } else {
            String::new()
        };
        items.push(format!("**{status}**: {with}{why}."));
    }
    for (status, codes) in problems(route) {
        let own: Vec<String> = codes
            .iter()
            .filter(|code| route.problems.contains(code))
            .map(|code| format!("`{}`", code.name()))
            .collect();
        if !own.is_empty() {
            items.push(format!("**{status}**: {}.", listed(&own)));
        }
    }
    page.list(&items);
}

fn sends(of: Parameter) -> String {
    let told = parameter(of);
    let name = told["name"].as_str().expect("a parameter has a name");
    let optional = if told["required"] == true { "" } else { " (may be left out)" };
    match told["in"].as_str() {
        Some("path") => format!("`{{{name}}}`"),
        Some("query") => format!("`?{name}=`{optional}"),
        _ => format!("`{name}`{optional}"),
    }
}

fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}

/// What a value is, in a few words, with links to types.
fn kind(schema: &Value) -> String {
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
fn references(schema: &Value, found: &mut BTreeSet<String>) {
    found.extend(reference(schema).map(str::to_owned));
    match schema {
        Value::Object(map) => map.values().for_each(|value| references(value, found)),
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn described(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

impl Types {
    /// The types that these lead to, each before those that it names.
    fn reached(&self, from: &BTreeSet<String>) -> Vec<String> {
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
    fn below(&self, name: &str) -> Vec<String> {
        self.reached(&BTreeSet::from([name.to_owned()]))
    }

    /// Whether a type is a text or a number with a form of its own, or words without a meaning of
    /// their own.
    fn is_short(&self, name: &str) -> bool {
        let schema = &self.all[name];
        schema["type"] == "string" && schema["enum"].is_null()
    }

    fn describe(&self, page: &mut Page, level: usize, name: &str) {
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

/// The document that a revision holds: what the steps of a plan change, by dotted path.
fn configuration(page: &mut Page, types: &Types, names: &[String]) {
    page.heading(2, CONFIGURATION);
    page.paragraph(
        "The document of every revision, and what a plan's `set` assigns by dotted path: \
         `cache.ttl` is the field `ttl` of `cache`, `routes.home.shadow` a field of the entry `home` \
         of `routes`. `upstreams`, `routes`, `flags` and `extensions` take whole entries too.",
    );
    let entries = |map: &str| {
        let keys = types.first[map].as_object().expect("it is a map").keys();
        listed(&keys.map(|key| format!("`{key}`")).collect::<Vec<_>>())
    };
    page.paragraph(&format!(
        "*At first* is what `ctx serve` begins with: everything goes to `legacy`. Then there are the \
         routes {} and the flags {}, all of them off; [flags.md](flags.md) says what each does.",
        entries("routes"),
        entries("flags")
    ));
    for name in names.iter().filter(|name| !types.is_short(name)) {
        types.describe(page, 3, name);
    }
}

fn short_types(page: &mut Page, types: &Types) {
    page.heading(2, TEXTS);
    for name in types.all.keys().filter(|name| types.is_short(name)) {
        let schema = &types.all[name];
        page.heading(3, &format!("`{name}`"));
        // One that is longer than a line helps nobody here; it stands in the document.
        let form = schema["pattern"].as_str().filter(|pattern| pattern.len() < 100);
        let form = form.map(|form| format!(" As a regular expression: `{form}`"));
        let form = form.unwrap_or_default();
        page.paragraph(&format!("{}{form}", described(schema)));
    }
}

fn parameters(page: &mut Page) {
    page.heading(2, PARAMETERS);
    let row = |of: Parameter| {
        let told = parameter(of);
        let word = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
        let given = if told["required"] == true { "always" } else { "" };
        [format!("`{}`", word("name")), word("in"), given.to_owned(), word("description")]
    };
    page.table(["name", "where", "given", "meaning"], &ALL_PARAMETERS.map(row));
}

fn all_problems(page: &mut Page, types: &Types) {
    page.heading(2, PROBLEMS);
    page.paragraph(
        "Every refusal is a `Problem` as `application/problem+json` (RFC 9457). An operation names \
         those of its own; these come with the kind of the operation: `unauthorized`, `forbidden`, \
         `bad_request`, `too_large`, `unsupported_media_type`, `precondition_required` where a \
         header is missing, `method_not_allowed`, and `store_failed`. `ctx help CODE` says the same.",
    );
    let mut items = Vec::new();
    for code in ProblemCode::ALL {
        items.push(format!("`{}` ({}): {}", code.name(), code.status(), code.meaning()));
    }
    page.list(&items);
    for name in ["Problem"] {
        types.describe(page, 3, name);
    }
}

#[test]
fn the_kept_document_of_the_api_is_up_to_date() {
    kept::check_below_mark("docs/api.md", &text());
}

#[test]
fn every_link_within_the_page_leads_somewhere() {
    let page = text();
    let headings = page.lines().filter_map(|line| line.strip_prefix('#'));
    let there: Vec<String> = headings.map(|h| anchor(h.trim_start_matches(['#', ' ']))).collect();
    for to in page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(there.iter().any(|heading| heading == to), "#{to}");
    }
    for heading in &there {
        assert_eq!(there.iter().filter(|other| *other == heading).count(), 1, "two of #{heading}");
    }
}
