//! `/v1/guards`, `/v1/asks`

use axum::Json;
use axum::http::StatusCode;

use crate::control::armed::{ArmRequest, Armed, AskRequest, AskResult, GuardsView, Record};
use crate::orchestrator::control::core::Refusal;
use crate::orchestrator::control::server::access::Operator;
use crate::orchestrator::control::server::input::{Body, Fenced, Params, TakenBack};

pub(in super::super) async fn arm(
    operator: Operator,
    Fenced(fence): Fenced,
    Body(request): Body<ArmRequest>,
) -> Result<Json<Armed>, Refusal> {
    operator.desk.arm(&fence, &request).map(Json)
}

pub(in super::super) async fn get(operator: Operator) -> Result<Json<GuardsView>, Refusal> {
    let (armed, rev) = operator.desk.armed()?;
    let Some(armed) = armed else { return Ok(Json(GuardsView::default())) };
    let (looks, canary) = (operator.guards.looks(&armed, rev), operator.guards.canary(&armed, rev));
    Ok(Json(GuardsView { armed: Some(armed.view()), looks, canary }))
}

pub(in super::super) async fn disarm(
    operator: Operator,
    Fenced(fence): Fenced,
    Params(TakenBack { taken_back }): Params<TakenBack>,
) -> Result<StatusCode, Refusal> {
    operator.desk.disarm(&fence, taken_back).map(|()| StatusCode::NO_CONTENT)
}

pub(in super::super) async fn record(operator: Operator) -> Result<Json<Option<Record>>, Refusal> {
    let (armed, _) = operator.desk.armed()?;
    let record = |run, record: &str| Record { run, record: record.to_owned() };
    Ok(Json(armed.map(|armed| record(armed.run.clone(), &armed.record))))
}

pub(in super::super) async fn ask(
    operator: Operator,
    Body(request): Body<AskRequest>,
) -> Result<Json<AskResult>, Refusal> {
    operator.desk.ask(&request).map(Json)
}
