//! The `OpenAPI` document of the control API, made from the table of routes and the wire types.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::problem::PROBLEM_JSON;
use super::routes::{Content, Parameter, ROUTES, Route};
use super::subjects::{SUBJECTS, subject};
use crate::control::wire::{Problem, ProblemCode};

/// The document as indented JSON, as in `docs/openapi.json`.
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).expect("a JSON value prints");
    text.push('\n');
    text
}

/// The document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in ROUTES {
        let operation = operation(route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation;
    }
    generator.subschema_for::<Problem>();
    let mut schemas = Value::Object(generator.take_definitions(true));
    bound_integers(&mut schemas);
    for_readers(&mut schemas);
    let tags: Vec<Value> = SUBJECTS
        .iter()
        .map(|subject| json!({ "name": subject.name, "description": subject.about }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ctx orchestrator control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Leases, provisional revisions and what an orchestrator measures of \
                itself. Every authenticated reply carries `Ctx-Anchor`, the end of the audit chain.",
        },
        "security": [{ "token": [] }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

/// Says of every integer how large it may be: a `format` alone is only a comment.
fn bound_integers(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let largest = match map.get("format").and_then(Value::as_str) {
                Some("uint16") => Some(u64::from(u16::MAX)),
                Some("uint32") => Some(u64::from(u32::MAX)),
                Some("uint64") => Some(u64::MAX),
                _ => None,
            };
            if let Some(largest) = largest {
                map.entry("maximum").or_insert_with(|| largest.into());
            }
            map.values_mut().for_each(bound_integers);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        _ => {}
    }
}

/// Takes out of all descriptions what is for readers of the source: links to items, and examples
/// in Rust.
fn for_readers(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = prose(text);
            }
            map.values_mut().for_each(for_readers);
        }
        Value::Array(items) => items.iter_mut().for_each(for_readers),
        _ => {}
    }
}

/// A comment of the source as a text: one line for each paragraph.
fn prose(comment: &str) -> String {
    let text: String = comment.split("```").step_by(2).collect();
    let paragraphs = text.split("\n\n").map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "));
    let text = paragraphs.filter(|p| !p.is_empty()).collect::<Vec<_>>().join("\n\n");
    let mut parts = text.split("[`");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // A field of a type is told with a dot, and not with the way to it in Rust.
        let (link, rest) = part.split_once("`]").unwrap_or((part, ""));
        text.extend(["`", &link.replace("::", "."), "`", rest]);
    }
    text
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for (status, content) in route.replies {
        responses.insert(status.to_string(), reply(route, *status, *content, generator));
    }
    for (status, codes) in problems(route) {
        responses.insert(status.to_string(), problem(&codes, generator));
    }
    let parameters: Vec<Value> = route.parameters.iter().map(|p| parameter(*p)).collect();
    let mut operation = json!({
        "operationId": operation_id(route),
        "tags": [subject(route).name],
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if !route.about.is_empty() {
        operation["description"] = json!(route.about);
    }
    if route.open {
        operation["security"] = json!([]);
    }
    if let Some(shape) = route.body {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": shape(generator) } },
        });
    }
    operation
}

/// The problems of a route by status: its own, and those that its kind brings along.
pub(super) fn problems(route: &Route) -> Vec<(u16, Vec<ProblemCode>)> {
    let mut codes = route.problems.to_vec();
    codes.push(ProblemCode::Forbidden);
    if !route.open {
        codes.extend([
            ProblemCode::Unauthorized,
            ProblemCode::UnsupportedMediaType,
            ProblemCode::StoreFailed,
        ]);
    }
    if !route.parameters.is_empty() || route.body.is_some() {
        codes.push(ProblemCode::BadRequest);
    }
    if route.body.is_some() {
        codes.push(ProblemCode::TooLarge);
    }
    let required = [Parameter::Fence, Parameter::Key, Parameter::IfMatch];
    if route.parameters.iter().any(|parameter| required.contains(parameter)) {
        codes.push(ProblemCode::PreconditionRequired);
    }
    let mut statuses: Vec<u16> = codes.iter().map(|code| code.status()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    let with = |status| codes.iter().copied().filter(|code| code.status() == status).collect();
    statuses.into_iter().map(|status| (status, with(status))).collect()
}

fn problem(codes: &[ProblemCode], generator: &mut SchemaGenerator) -> Value {
    let titles: Vec<String> =
        codes.iter().map(|code| format!("`{}`: {}", code.name(), code.title())).collect();
    let schema = generator.subschema_for::<Problem>();
    json!({
        "description": titles.join("; "),
        "content": { PROBLEM_JSON: { "schema": schema } },
    })
}

fn reply(route: &Route, status: u16, content: Content, generator: &mut SchemaGenerator) -> Value {
    let mut headers = Map::new();
    if !route.open {
        headers.insert(
            "Ctx-Anchor".to_owned(),
            json!({ "required": true,
                "schema": { "type": "string", "pattern": "^[0-9]+\\.[0-9a-f]{64}$" } }),
        );
    }
    let typed = |content_type: &str, schema: Value| json!({ content_type: { "schema": schema } });
    let content = match content {
        Content::Nothing => json!({}),
        Content::Text(content_type) => typed(content_type, json!({ "type": "string" })),
        Content::Bytes(content_type) => typed(content_type, json!({})),
        Content::Json(shape) => typed("application/json", shape(generator).to_value()),
        Content::Tagged(shape) => {
            headers.insert(
                "ETag".to_owned(),
                json!({ "required": true,
                    "schema": { "type": "string", "pattern": "^\"[0-9]+\"$" } }),
            );
            typed("application/json", shape(generator).to_value())
        }
    };
    let description = match status {
        201 => "made",
        204 => "done; nothing to say",
        200 if route.replies.iter().any(|(other, _)| *other == 201) => {
            "made before, by this request"
        }
        _ => "the answer",
    };
    json!({ "description": description, "headers": headers, "content": content })
}

pub(super) fn parameter(parameter: Parameter) -> Value {
    let number = json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX });
    let key = json!({ "type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9._:-]{1,128}$" });
    let fence =
        json!({ "type": "string", "minLength": 18, "pattern": "^[0-9]{1,16}\\.[0-9a-f]{16}$" });
    let (name, place, required, schema, description) = match parameter {
        Parameter::Rev => ("rev", "path", true, number, "the number of a revision"),
        Parameter::Letter => ("id", "path", true, number, "the number of a dead letter"),
        Parameter::KeyPath => ("key", "path", true, key, "the idempotency key of a request"),
        Parameter::Fence => ("Ctx-Fence", "header", true, fence, "proof of holding the lease"),
        Parameter::MaybeFence => (
            "Ctx-Fence",
            "header",
            false,
            fence,
            "proof of holding the lease; when given, it must be the current one",
        ),
        Parameter::Key => {
            ("Idempotency-Key", "header", true, key, "names this request, however often it is sent")
        }
        Parameter::IfMatch => (
            "If-Match",
            "header",
            true,
            json!({ "type": "string", "minLength": 3, "pattern": "^\"[0-9]{1,19}\"$" }),
            "the revision that must be at the head, in quotes",
        ),
        Parameter::From => {
            ("from", "query", false, number, "milliseconds since the orchestrator started")
        }
        Parameter::TakenBack => (
            "taken_back",
            "query",
            false,
            json!({ "type": "boolean" }),
            "the run knows that its phase was taken back",
        ),
        Parameter::After => {
            ("after", "query", false, number, "only rows with a larger sequence number")
        }
    };
    json!({ "name": name, "in": place, "required": required, "schema": schema,
        "description": description })
}

/// Such as `post_v1_revisions_rev_confirm`.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    std::iter::once(route.method).chain(words).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_kept_document_is_up_to_date() {
        crate::kept::check("docs/openapi.json", &text());
    }

    #[test]
    fn every_field_says_what_it_is() {
        fn look(schema: &Value, name: &str, silent: &mut Vec<String>) {
            for (field, of) in schema["properties"].as_object().into_iter().flatten() {
                // A variant with a value has its words beside its one field.
                if !of["description"].is_string() && !schema["description"].is_string() {
                    silent.push(format!("{name}.{field}"));
                }
            }
            let variants = schema["oneOf"].as_array().into_iter().flatten();
            variants.for_each(|variant| look(variant, name, silent));
        }
        let document = document();
        let mut silent = Vec::new();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let mut schema = schema.clone();
            schema["description"].take();
            look(&schema, name, &mut silent);
        }
        assert!(silent.is_empty(), "write a comment on each of these: {silent:#?}");
        assert!(!document.to_string().contains("](crate"), "a link into the source");
    }

    #[test]
    fn a_comment_becomes_a_text() {
        let comment = "An id,\nas [`Run::id`].\n\n```compile_fail\nuse x;\n```";
        assert_eq!(prose(comment), "An id, as `Run.id`.");
    }

    #[test]
    fn every_route_is_in_the_document_once() {
        let document = document();
        let mut ids = BTreeSet::new();
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method];
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{route:?}: {id} is there twice");
            for (status, _) in route.replies {
                assert!(operation["responses"][status.to_string()].is_object(), "{route:?}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(reference)) = map.get("$ref") {
                        found.insert(reference.clone());
                    }
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn path_parameters_are_declared() {
        for route in ROUTES {
            let declares = |parameter| route.parameters.contains(&parameter);
            assert_eq!(route.path.contains("{rev}"), declares(Parameter::Rev), "{route:?}");
            assert_eq!(route.path.contains("{id}"), declares(Parameter::Letter), "{route:?}");
            assert_eq!(route.path.contains("{key}"), declares(Parameter::KeyPath), "{route:?}");
        }
    }
}
