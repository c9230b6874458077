//! `/ofrep/v1`: flags for `OpenFeature` clients, by the `OpenFeature` Remote Evaluation Protocol.
//!
//! The paths, fields, error codes and statuses are the protocol's (version 0.2); it has a document
//! of its own, so these are not in ours. Nothing is decided by dice here: where only a key could tell,
//! a request without one is told so. Who may read them: operators, and whoever has the flags'
//! own token, which opens nothing else.

use axum::body::to_bytes;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::access::{Access, Reader};
use super::input::BODY;
use crate::orchestrator::control::core::Refusal;
use crate::orchestrator::flags::book::{Book, Entry};
use crate::orchestrator::flags::evaluator::{Context, Evaluator};

pub(super) fn router() -> Router<Access> {
    Router::new()
        .route("/ofrep/v1/evaluate/flags", post(bulk))
        // Some clients end it so.
        .route("/ofrep/v1/evaluate/flags/", post(bulk))
        .route("/ofrep/v1/evaluate/flags/{key}", post(single))
}

/// What a client sends.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    context: Option<Value>,
}

/// What an application tells of the user or the request at hand.
type Attributes = Map<String, Value>;

/// Why there is no evaluation.
struct Fault {
    code: &'static str,
    why: String,
}

impl Fault {
    fn new(code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }

    fn answer(self, key: Option<&str>) -> Response {
        let status = match self.code {
            "FLAG_NOT_FOUND" => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, Json(self.body(key))).into_response()
    }

    fn body(self, key: Option<&str>) -> Value {
        let mut body = json!({ "errorCode": self.code, "errorDetails": self.why });
        if let Some(key) = key {
            body["key"] = key.into();
        }
        body
    }
}

/// Why nothing is evaluated.
enum Denied {
    Stranger(Refusal),
    Faulty(Fault),
}

impl Denied {
    fn answer(self, key: Option<&str>) -> Response {
        match self {
            Self::Stranger(refusal) => refusal.into_response(),
            Self::Faulty(fault) => fault.answer(key),
        }
    }
}

async fn single(
    State(access): State<Access>,
    Path(key): Path<String>,
    request: Request,
) -> Response {
    let (reader, _, attributes) = match read(&access, request).await {
        Ok(read) => read,
        Err(denied) => return denied.answer(Some(&key)),
    };
    let book = reader.plane.flags();
    let Some(entry) = book.get(&key) else {
        let why = format!("there is no flag `{key}`");
        return Fault::new("FLAG_NOT_FOUND", why).answer(Some(&key));
    };
    match evaluation(&key, entry, &Context::new(&attributes), seconds(&reader)) {
        Ok(found) => Json(found).into_response(),
        Err(fault) => fault.answer(Some(&key)),
    }
}

async fn bulk(State(access): State<Access>, request: Request) -> Response {
    let (reader, headers, attributes) = match read(&access, request).await {
        Ok(read) => read,
        Err(denied) => return denied.answer(None),
    };
    let (book, now) = (reader.plane.flags(), seconds(&reader));
    let context = Context::new(&attributes);
    let tag = tag(&book, &context, now);
    if headers.get_all(IF_NONE_MATCH).iter().any(|given| given == tag) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    let all: Vec<Value> = book
        .iter()
        .map(|(key, entry)| {
            evaluation(key, entry, &context, now).unwrap_or_else(|fault| fault.body(Some(key)))
        })
        .collect();
    ([(ETAG, tag)], Json(json!({ "flags": all }))).into_response()
}

fn seconds(reader: &Reader) -> u64 {
    u64::try_from(reader.plane.clock.wall().timestamp()).unwrap_or_default()
}

/// Who asks, with what head, and for what context.
async fn read(
    access: &Access,
    request: Request,
) -> Result<(Reader, HeaderMap, Attributes), Denied> {
    let (mut parts, body) = request.into_parts();
    let reader = Reader::from_request_parts(&mut parts, access).await.map_err(Denied::Stranger)?;
    let fault = |code, why: String| Denied::Faulty(Fault::new(code, why));
    let bytes = to_bytes(body, BODY)
        .await
        .map_err(|_| fault("PARSE_ERROR", "the body is too large".into()))?;
    if bytes.is_empty() {
        return Ok((reader, parts.headers, Attributes::new()));
    }
    let asked: Asked =
        serde_json::from_slice(&bytes).map_err(|error| fault("PARSE_ERROR", error.to_string()))?;
    let context = match asked.context {
        None | Some(Value::Null) => Attributes::new(),
        Some(Value::Object(context)) => context,
        Some(_) => return Err(fault("INVALID_CONTEXT", "`context` is an object".into())),
    };
    match context.get("targetingKey") {
        None | Some(Value::Null | Value::String(_)) => Ok((reader, parts.headers, context)),
        Some(other) => {
            Err(fault("INVALID_CONTEXT", format!("`targetingKey` is text, not {other}")))
        }
    }
}

fn evaluation(key: &str, entry: &Entry, context: &Context<'_>, now: u64) -> Result<Value, Fault> {
    let evaluator = entry.evaluator.as_ref();
    let evaluator = evaluator.map_err(|faults| Fault::new("PARSE_ERROR", faults.join("; ")))?;
    let found = evaluator
        .evaluate(context, now)
        .map_err(|missing| Fault::new("TARGETING_KEY_MISSING", missing.to_string()))?;
    let flag = &entry.definition;
    let mut metadata = flag.metadata.clone();
    metadata.insert("percentage".to_owned(), json!(flag.percentage));
    metadata.insert("bucketing".to_owned(), json!(flag.bucketing));
    // Without a variant there is none; the SDK for Python wants the field all the same.
    let variant = found.variant.unwrap_or_default();
    let mut answer =
        json!({ "key": key, "variant": variant, "reason": found.reason, "metadata": metadata });
    if let Some(value) = found.value {
        answer["value"] = value.clone();
    }
    Ok(answer)
}

/// What an answer for `context` is recognised by: flags and context, and what the clock decides.
fn tag(book: &Book, context: &Context<'_>, now: u64) -> HeaderValue {
    let mut hash = Sha256::new();
    hash.update(book.hash());
    // The keys of an object stand in order, so that the same context is the same bytes.
    hash.update(serde_json::to_vec(context.attributes()).expect("a JSON value prints"));
    for (key, entry) in book.iter() {
        if entry.evaluator.as_ref().is_ok_and(Evaluator::looks_at_the_clock)
            && let Ok(found) = evaluation(key, entry, context, now)
        {
            hash.update(found.to_string());
        }
    }
    let text = format!("\"{}\"", hex::encode(&hash.finalize()[..16]));
    HeaderValue::try_from(text).expect("hex in quotes")
}
