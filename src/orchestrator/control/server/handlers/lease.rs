//! `/v1/lease`, `/v1/lease/break`

use axum::Json;
use axum::http::StatusCode;

use crate::control::wire::{LeaseBreak, LeaseBroken, LeaseGrant, LeaseRequest, LeaseView};
use crate::orchestrator::control::core::Refusal;
use crate::orchestrator::control::server::access::Operator;
use crate::orchestrator::control::server::input::{Body, Fenced, MaybeFenced};

pub(in super::super) async fn put(
    operator: Operator,
    MaybeFenced(fence): MaybeFenced,
    Body(request): Body<LeaseRequest>,
) -> Result<Json<LeaseGrant>, Refusal> {
    operator.desk.lease(fence.as_ref(), &request).map(Json)
}

pub(in super::super) async fn get(operator: Operator) -> Result<Json<Option<LeaseView>>, Refusal> {
    operator.desk.lease_view().map(Json)
}

pub(in super::super) async fn delete(
    operator: Operator,
    Fenced(fence): Fenced,
) -> Result<StatusCode, Refusal> {
    operator.desk.release(&fence).map(|()| StatusCode::NO_CONTENT)
}

pub(in super::super) async fn break_lease(
    operator: Operator,
    Body(request): Body<LeaseBreak>,
) -> Result<Json<LeaseBroken>, Refusal> {
    operator.desk.break_lease(&request).map(Json)
}
