//! `/livez`, `/readyz`, `/metrics`, `/v1/metrics`, `/v1/health`, `/v1/extensions`, `/v1/audit`, `/openapi.json`

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName};

use crate::control::observe::{ExtensionList, Health, Metrics, Shadow};
use crate::control::wire::{AuditRow, ProblemCode};
use crate::orchestrator::control::core::Refusal;
use crate::orchestrator::control::server::access::{Access, Operator};
use crate::orchestrator::control::server::input::{After, From, Params};
use crate::orchestrator::control::server::{openapi, prometheus};

pub(in super::super) async fn live() -> &'static str {
    "live"
}

pub(in super::super) async fn ready(State(access): State<Access>) -> Result<&'static str, Refusal> {
    let ready = access.ready().map(|()| "ready");
    ready.map_err(|why| Refusal::new(ProblemCode::NotReady, why))
}

pub(in super::super) async fn metrics(
    operator: Operator,
    Params(From { from }): Params<From>,
) -> Json<Metrics> {
    Json(operator.metrics(from))
}

pub(in super::super) async fn shadow(operator: Operator) -> Json<Shadow> {
    Json(Shadow { routes: operator.plane.parity.view() })
}

pub(in super::super) async fn extensions(operator: Operator) -> Json<ExtensionList> {
    Json(ExtensionList { extensions: operator.extensions() })
}

pub(in super::super) async fn health(operator: Operator) -> Result<Json<Health>, Refusal> {
    operator.health().map(Json)
}

pub(in super::super) async fn prometheus(
    operator: Operator,
    headers: HeaderMap,
) -> ([(HeaderName, &'static str); 2], String) {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = prometheus::Format::accepted(accept);
    let heads = [(CONTENT_TYPE, format.content_type()), (VARY, "accept")];
    (heads, prometheus::text(&operator, format))
}

pub(in super::super) async fn audit(
    operator: Operator,
    Params(After { after }): Params<After>,
) -> Result<Json<Vec<AuditRow>>, Refusal> {
    operator.desk.audit(after).map(Json)
}

pub(in super::super) async fn openapi(_: Operator) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, "application/json")], openapi::text())
}
