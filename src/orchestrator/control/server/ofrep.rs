//! `/ofrep/v1`: flags for `OpenFeature` clients, by the `OpenFeature` Remote Evaluation Protocol.
//!
//! The paths, fields, error codes and statuses are the protocol's (version 0.2); it has a document
//! of its own, so these are not in ours. Who may read them: operators, and whoever has the flags'
//! own token, which opens nothing else.

use std::collections::BTreeMap;

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
use crate::control::config::Flag;
use crate::orchestrator::control::core::Refusal;
use crate::orchestrator::flags::explain::{Reason, explain};

pub(super) fn router() -> Router<Access> {
    Router::new()
        .route("/ofrep/v1/evaluate/flags", post(bulk))
        .route("/ofrep/v1/evaluate/flags/{key}", post(single))
}

/// What a client sends; other fields of the context say nothing to percentages.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    context: Option<Map<String, Value>>,
}

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
        let mut body = json!({ "errorCode": self.code, "errorDetails": self.why });
        if let Some(key) = key {
            body["key"] = key.into();
        }
        (status, Json(body)).into_response()
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
    let (reader, _, asked) = match read(&access, request).await {
        Ok(read) => read,
        Err(denied) => return denied.answer(Some(&key)),
    };
    let active = reader.plane.active();
    let Some(flag) = active.config.flags.get(&key) else {
        let why = format!("there is no flag `{key}`");
        return Fault::new("FLAG_NOT_FOUND", why).answer(Some(&key));
    };
    match targeting_key(&asked) {
        Ok(user) => Json(evaluation(&key, flag, user)).into_response(),
        Err(fault) => fault.answer(Some(&key)),
    }
}

async fn bulk(State(access): State<Access>, request: Request) -> Response {
    let (reader, headers, asked) = match read(&access, request).await {
        Ok(read) => read,
        Err(denied) => return denied.answer(None),
    };
    let user = match targeting_key(&asked) {
        Ok(user) => user,
        Err(fault) => return fault.answer(None),
    };
    let active = reader.plane.active();
    let flags = &active.config.flags;
    let tag = tag(flags, user);
    if let Some(tag) = &tag
        && headers.get_all(IF_NONE_MATCH).iter().any(|given| given == tag)
    {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag.clone())]).into_response();
    }
    let all: Vec<Value> = flags.iter().map(|(key, flag)| evaluation(key, flag, user)).collect();
    let mut answer = Json(json!({ "flags": all })).into_response();
    if let Some(tag) = tag {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer
}

/// Who asks, with what head, and for whom.
async fn read(access: &Access, request: Request) -> Result<(Reader, HeaderMap, Asked), Denied> {
    let (mut parts, body) = request.into_parts();
    let reader = Reader::from_request_parts(&mut parts, access).await.map_err(Denied::Stranger)?;
    let fault = |why: String| Denied::Faulty(Fault::new("PARSE_ERROR", why));
    let bytes = to_bytes(body, BODY).await.map_err(|_| fault("the body is too large".into()))?;
    if bytes.is_empty() {
        return Ok((reader, parts.headers, Asked::default()));
    }
    let asked = serde_json::from_slice(&bytes).map_err(|error| fault(error.to_string()))?;
    Ok((reader, parts.headers, asked))
}

fn targeting_key(asked: &Asked) -> Result<Option<&str>, Fault> {
    match asked.context.as_ref().and_then(|context| context.get("targetingKey")) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(key)) => Ok(Some(key)),
        Some(other) => {
            let why = format!("`targetingKey` is text, not {other}");
            Err(Fault::new("INVALID_CONTEXT", why))
        }
    }
}

fn evaluation(key: &str, flag: &Flag, user: Option<&str>) -> Value {
    let found = explain(key, flag, user);
    json!({
        "key": key,
        "value": found.on,
        "variant": if found.on { "on" } else { "off" },
        "reason": found.reason,
        "metadata": { "percentage": flag.percentage, "bucketing": flag.bucketing },
    })
}

/// What an answer for `user` is recognised by; `None` while the dice decide some of it.
fn tag(flags: &BTreeMap<String, Flag>, user: Option<&str>) -> Option<HeaderValue> {
    let user = user.filter(|user| !user.is_empty());
    let split = |(key, flag): (&String, &Flag)| explain(key, flag, user).reason == Reason::Split;
    if user.is_none() && flags.iter().any(split) {
        return None;
    }
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(flags).expect("flags are plain data"));
    hash.update(user.unwrap_or_default());
    let text = format!("\"{}\"", hex::encode(&hash.finalize()[..16]));
    Some(HeaderValue::try_from(text).expect("hex in quotes"))
}
