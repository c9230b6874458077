//! The `OpenAPI` document of the control API, made from the table of routes and the wire types.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::problem::PROBLEM_JSON;
use super::routes::{Content, Parameter, ROUTES, Route};
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
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ctx orchestrator control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Leases, provisional revisions and what an orchestrator measures of \
                itself. Every authenticated reply carries `Ctx-Anchor`, the end of the audit chain.",
        },
        "security": [{ "token": [] }],
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
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
    });
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
fn problems(route: &Route) -> Vec<(u16, Vec<ProblemCode>)> {
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
    let titles: Vec<&str> = codes.iter().map(|code| code.title()).collect();
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

fn parameter(parameter: Parameter) -> Value {
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
